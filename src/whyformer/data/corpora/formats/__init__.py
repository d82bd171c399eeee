"""Formats of files beside plain text, and the short ways in which a recipe names files."""
