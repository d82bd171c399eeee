"""OpenAI's protocol: models, completions, embeddings and transcriptions."""
