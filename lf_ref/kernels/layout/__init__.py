"""Tokens in lanes, and the vectors that hold one channel of them."""
