"""What every request passes through on its way in and out: who may, how much, and what is noted and added."""
