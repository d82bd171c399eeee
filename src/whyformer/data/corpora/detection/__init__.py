"""Detection: what a text file is, by its bytes and its first lines. Pure functions, which read no file."""
