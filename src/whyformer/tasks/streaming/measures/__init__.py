"""Measures of streaming recognisers: error rates, latencies, costs."""
