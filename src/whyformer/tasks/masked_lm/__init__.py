"""Language models that fill holes: BERT."""
