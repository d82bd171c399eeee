"""Greedy translation of one sentence in C++, on all cores; compiled at install where there is a compiler."""
