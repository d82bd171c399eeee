"""The answers as readers see them: in a terminal, as a page, as a picture."""
