"""Toy sequences that are turned into others: translations, and streams of signals."""
