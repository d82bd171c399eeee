"""Our C++ program as an engine: batches, greedy search of its own, and steps for every other search."""
