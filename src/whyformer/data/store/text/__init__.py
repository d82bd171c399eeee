"""Text of any size as a stream: its lines, a sample of them, what is fit to train on."""
