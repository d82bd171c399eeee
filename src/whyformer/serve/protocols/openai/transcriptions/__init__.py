"""Transcriptions of sound files."""
