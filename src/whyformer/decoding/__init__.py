"""Decoding: one search loop for greedy, beam and sampling, over any model that can take a step."""
