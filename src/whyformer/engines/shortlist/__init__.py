"""Shortlists: the few target pieces that a sentence's translation is looked for among."""
