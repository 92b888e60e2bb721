"""What web processes start and workers do, by subject; beside this file lies what all subjects share."""
