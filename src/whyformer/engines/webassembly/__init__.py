"""The native engine for browsers: its sources compiled to WebAssembly, and the file of a model."""
