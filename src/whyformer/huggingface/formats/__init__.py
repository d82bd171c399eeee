"""Formats of other toolkits: where each of our tensors lies there, and what their config.json says."""
