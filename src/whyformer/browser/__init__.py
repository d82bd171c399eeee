"""A run as a folder of static files that translates in the reader's browser."""
