"""Shortlists of runs: made from training data, measured, kept in a file."""
