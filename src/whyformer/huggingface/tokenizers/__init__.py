"""Tokenizers of other toolkits: read from their files, brought to our ids, and back to theirs."""
