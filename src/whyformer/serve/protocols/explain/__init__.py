"""Our own dialect: the runs that are served, and a look inside at one sentence."""
