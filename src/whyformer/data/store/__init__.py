"""Corpora larger than memory: token ids in files that are mapped, not read, and how they are built."""
