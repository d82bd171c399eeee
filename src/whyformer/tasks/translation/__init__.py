"""Translation: from a sentence to a sentence."""
