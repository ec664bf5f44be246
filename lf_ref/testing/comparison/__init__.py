"""A candidate compared with a trace: layouts, error metrics, tolerances, hints, and the report."""
