"""Text before it is cut: its normal form, what of it training has seen, its sentences."""
