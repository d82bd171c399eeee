"""The special tokens that every tokenizer, model and search agree on, by id."""

from __future__ import annotations

PAD = 0
"""Fills a sentence up to the longest of its batch; never predicted, never attended to."""
UNKNOWN = 1
"""Stands for text the tokenizer cannot represent."""
START = 2
"""Opens a target sentence."""
END = 3
"""Closes a source or target sentence."""

NAMES = ("<pad>", "<unk>", "<s>", "</s>")
