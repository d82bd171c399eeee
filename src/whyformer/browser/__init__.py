"""A run as a page: a translator that computes, and can be looked into, in any browser."""
