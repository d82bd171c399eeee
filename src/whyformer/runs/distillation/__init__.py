"""Training data made useful by a run: translations that a smaller model learns from, and a shortlist."""
