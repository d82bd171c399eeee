"""The native engine for browsers: the same sources compiled to WebAssembly, and the file that it reads a model from."""
