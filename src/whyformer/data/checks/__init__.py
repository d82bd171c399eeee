"""Checks of data before training: of one file, and of all that a recipe names."""
