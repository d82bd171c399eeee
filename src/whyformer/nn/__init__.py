"""Layers: norms, feed-forward networks, embeddings, blocks and stacks."""
