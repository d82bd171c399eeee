"""Completions: texts that go on from prompts, or translations of them."""
