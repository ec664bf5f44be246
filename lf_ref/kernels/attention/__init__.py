"""Attention: of local queries to a window, of global queries to everything, and the probabilities of both."""
