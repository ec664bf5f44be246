"""Sentence embeddings: pooling, and the folders of sentence-transformers."""
