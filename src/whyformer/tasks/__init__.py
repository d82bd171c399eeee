"""Tasks: each ties a model to its data, its loss and its scores, and gives the object that users call."""
