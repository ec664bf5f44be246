"""The version of lf_ref."""

__version__ = "0.1.0"
