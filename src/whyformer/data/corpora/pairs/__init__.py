"""Pairs of sentences: which are fit to train on, which are copies, and what is odd about them."""
