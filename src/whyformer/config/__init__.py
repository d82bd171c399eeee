"""Recipes as text: read, derived, overridden, checked, written."""
