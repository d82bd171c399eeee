"""Passes over memory that training makes between two products, each in one go on a CPU."""
