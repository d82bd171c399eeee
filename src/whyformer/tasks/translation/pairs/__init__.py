"""Pairs that a translator is trained on, as token ids: in memory or in a store."""
