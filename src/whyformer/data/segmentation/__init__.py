"""Ways to cut the text that is trained on: as the tokenizer does, or anew in every epoch."""
