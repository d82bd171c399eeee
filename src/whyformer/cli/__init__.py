"""The command line: one verb per file, thin; whatever is heavy is imported inside the verbs."""
