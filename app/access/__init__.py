"""Who may use the service, and what is noted of what they did."""
