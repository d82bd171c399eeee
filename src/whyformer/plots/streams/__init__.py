"""Pictures of what a streaming recogniser does: how late, how wrong, and word by word."""
