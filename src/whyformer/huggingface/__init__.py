"""Weights of other toolkits: the same numbers under other names and in other orders, both ways."""
