"""Pictures from plain lists and arrays: an interactive page and a PNG of each; knows nothing of torch."""
