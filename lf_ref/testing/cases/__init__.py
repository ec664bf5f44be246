"""Models with a batch that bring one known fault of ports to light: the standard cases, and random ones."""
