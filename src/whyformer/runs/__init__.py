"""Runs: from a recipe to a trained folder, and from a folder to the object that users call."""
