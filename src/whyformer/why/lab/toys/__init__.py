"""Toy tasks and the models that learn them."""
