"""The page of the service: what its runs can do, tried in a browser."""
