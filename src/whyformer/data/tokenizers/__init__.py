"""Text: tokenizers, reading, cleaning, sentence pairs, downloads."""
