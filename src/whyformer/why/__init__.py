"""The questions: each is answered by an experiment whose verdict is computed."""
