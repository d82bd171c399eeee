"""Attention: scores, masks, heads and the one softmax. Tensors in, tensors out."""
