"""One vector from many: of a word by its characters, a text by its tokens, a token by its layers."""
