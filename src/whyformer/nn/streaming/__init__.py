"""Layers that may be fed piece by piece: what each must remember, and the rows that remember it."""
