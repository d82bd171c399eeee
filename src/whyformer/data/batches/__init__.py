"""Batches: which examples stand side by side, and what is made of them there."""
