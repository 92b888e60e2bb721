"""What a worker is: RQ's, made to the service's needs, and what becomes of jobs that die."""
