"""Ranking: of tokens, of finished hypotheses by their scores, and of those by their agreement."""
