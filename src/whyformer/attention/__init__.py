"""Attention: scores, masks, positions and the one softmax. Tensors in, tensors out."""
