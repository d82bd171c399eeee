"""Interview mode: questions that are put, answers that are compared with ours, and what was known of each."""
