"""What users bring: archives, URLs, and folders whose layout describes them. None of it is trusted."""
