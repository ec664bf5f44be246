"""Golden files: the expected outputs of cases, computed once in float64."""
