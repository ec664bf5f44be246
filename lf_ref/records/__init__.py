"""Many inputs from files, and results into files: lines of JSON, CSV, Parquet, folders of texts, NumPy's files."""
