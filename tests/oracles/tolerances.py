"""How closely two results must agree: every tolerance of the model's tests, with its reason.

All are relative to the largest magnitude of the expected array (see `oracles.compare`): single elements near zero come
from cancellation and have no relative accuracy of their own.
"""

# float64 results of two independent programs: sums of at most a few hundred terms in another order, a few layers
# deep. Rounding is 1.1e-16; measured differences stay below 1e-14.
FLOAT64 = 1e-12

# The same in float32: rounding is 6e-8, measured differences of a few layers are 1e-6. float16 anywhere would show.
FLOAT32 = 1e-5

# A float32 run judged by a float64 one; every layer adds its own rounding, nothing cancels it as with an equal program.
FLOAT32_AGAINST_FLOAT64 = 2e-5

# A float64 batch against its rows alone, or padded against unpadded: matmuls of other shapes sum in another
# order, the mathematics is the same.
FLOAT64_OTHER_SHAPE = 1e-13

# Probabilities of one row in float64 add up to one: fewer than a hundred terms, each rounded once.
FLOAT64_SUM = 1e-14 * 100

# Fill-mask scores of the demo model in float32 on two engines: a softmax over 8192 logits, whose errors are about 1e-5.
DEMO_SCORE = 1e-4

# Reduced weights against a float64 oracle with the exact ones, two layers of width 192 with large random weights.
# bfloat16 has 8 binary digits: each rounding is up to 0.4 %, and a few hundred of them average out.
BFLOAT16 = 0.04

# int8 rounds to 1/254 of the largest number of a row, which is often the larger part of a small one.
INT8 = 0.2

# The reference implementation in float64 against scalar loops with exact sums: only its own sums round.
SCALARS = 1e-13
