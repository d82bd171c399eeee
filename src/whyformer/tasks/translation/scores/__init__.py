"""Scores of translations: what is counted, and how their text is cut for it."""
