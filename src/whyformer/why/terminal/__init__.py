"""The answers in a terminal: a list of all, and each with its claims, numbers and a drawing."""
