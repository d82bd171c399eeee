"""Queues in front of engines: a request starts as soon as its engine is free, with others of its kind."""
