"""The job of a training, and what starts and resumes one."""
