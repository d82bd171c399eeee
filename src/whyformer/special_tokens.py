"""The special tokens that every tokenizer, model and search agree on, by id."""

from __future__ import annotations

PAD = 0
"""Fills a sentence up to the longest of its batch; never predicted, never attended to."""
UNK = 1
"""Stands for text the tokenizer cannot represent."""
BOS = 2
"""Opens a target sentence."""
EOS = 3
"""Closes a source or target sentence."""

NAMES = ("<pad>", "<unk>", "<s>", "</s>")
