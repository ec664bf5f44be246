"""The model classes by HF's names, their outputs, and helpers for global attention."""
