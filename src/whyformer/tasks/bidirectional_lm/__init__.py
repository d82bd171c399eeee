"""Language models that read both ways apart: ELMo."""
