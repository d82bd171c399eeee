"""Residual branches: norms, their places, sums, values of the first layer."""
