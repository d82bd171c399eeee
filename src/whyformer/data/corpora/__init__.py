"""Corpora: where text comes from, and how it is read and cleaned."""
