"""The job of an inference, and what starts one."""
