"""Our engine in the reader's browser: a run as a page that needs no server."""
