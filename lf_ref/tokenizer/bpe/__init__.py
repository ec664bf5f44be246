"""Byte-level BPE: split a text into words, write their bytes as characters, and merge these by rank."""
