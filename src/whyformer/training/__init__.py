"""Training: loss, schedules, optimizers, the loop, and what a run leaves on disk."""
