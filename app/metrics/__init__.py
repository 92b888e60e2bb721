"""The numbers of trainings and inferences, the same for every engine."""
