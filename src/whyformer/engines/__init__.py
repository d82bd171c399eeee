"""Engines: what computes translations, and in which precision."""
