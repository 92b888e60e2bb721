"""What the API tells of processes, how they come to be, and how they end."""
