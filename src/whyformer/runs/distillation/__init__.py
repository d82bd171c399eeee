"""Distillation: a run translates its training sources, and a smaller model learns from that."""
