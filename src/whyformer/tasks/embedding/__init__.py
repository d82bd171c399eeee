"""Vectors of texts by pretrained models."""
