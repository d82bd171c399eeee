"""Positions: where tokens stand, and the schemes that tell a model of it. Tensors in, tensors out."""
