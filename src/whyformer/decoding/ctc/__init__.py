"""Connectionist temporal classification: sums over alignments, searches, times, rescoring, endpoints."""
