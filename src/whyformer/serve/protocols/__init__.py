"""Protocols: what clients speak, each as routes in front of one service."""
