"""Spoken words and what is made of them: recordings, tones, strings, examples for training, prompts."""
