"""Experiments: one recipe under changes, from several seeds."""
