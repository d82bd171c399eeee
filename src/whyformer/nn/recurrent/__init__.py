"""Recurrent layers: what the Transformer replaced, and one that replaces a part of it again."""
