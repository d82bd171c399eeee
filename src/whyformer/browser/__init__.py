"""A trained model in a web page: its files, and the scripts that read them there."""
