"""Encode texts into rows of ids, with special tokens, truncation and padding, and decode ids."""
