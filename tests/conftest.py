import os

# Idle OpenMP threads that spin slow a busy box by a factor of 4 to 10; torch reads this when it is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
