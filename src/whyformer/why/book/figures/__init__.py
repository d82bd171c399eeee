"""Figures of an answer as drawings that fit a phone, take the colours of their page, and need no script."""
