"""Beginnings of runs: a recipe written for files of one's own, the weights of another run."""
