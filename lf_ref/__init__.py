"""Longformer on a CPU without torch."""
