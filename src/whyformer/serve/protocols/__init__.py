"""Protocols that clients speak, a folder each."""
