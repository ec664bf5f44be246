"""Memory, threads and processes: what a call costs and whom it may disturb."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from lf_ref.errors import InputError
from lf_ref.kernels.threads import limit_blas
from model.building import ENGINES, build
from oracles.compare import assert_identical
from oracles.weights import batch_of, fields_of, ragged_batch, ragged_marks, state_of

TESTS = Path(__file__).parents[1]

MEMORY = """
    import resource, sys, tracemalloc
    import numpy as np
    from model.building import build
    from oracles.weights import fields_of, state_of

    dtype = sys.argv[1]
    window, short, factor = 4096, 2048, 16
    fields = fields_of(
        hidden_size=8, num_attention_heads=2, intermediate_size=8, num_hidden_layers=1, attention_window=window,
        max_position_embeddings=short * factor + 2,
    )
    state = state_of("LongformerModel", fields, seed=1)
    model = build("LongformerModel", fields, state, "numba", dtype, num_threads=2)

    def call(length):
        ids = np.random.default_rng(2).integers(3, 53, size=(1, length))
        is_global = np.zeros((1, length), np.int64)
        is_global[0, :2] = 1
        tracemalloc.start()
        model(ids, global_attention_mask=is_global)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    call(short)  # compiles
    small = call(short)
    unit = 1 if sys.platform == "darwin" else 1024
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    large = call(short * factor)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit - before
    band = short * factor * (window + 1) * np.dtype(dtype).itemsize  # an array of sequence x window: 537 MB or twice
    print("peaks", small, large, "grown", grown)
    assert large <= (factor + 1) * small, "Python's allocations grow faster than the sequence"
    assert grown < band / 4, "the process grew as if it held an array of sequence x window"
"""

FORK = """
    import os, signal, sys
    import numpy as np
    from model.building import build
    from oracles.weights import batch_of, fields_of, ragged_marks, state_of

    backend = sys.argv[1]
    fields = fields_of(max_position_embeddings=400)
    inputs = batch_of(fields, ragged_marks((389, 71), ({0: 2}, {})), seed=3)
    model = build("LongformerModel", fields, state_of("LongformerModel", fields, seed=4), backend, num_threads=2)
    before = model(**inputs).last_hidden_state.tobytes()
    child = os.fork()
    if child == 0:
        signal.alarm(250)  # a deadlock ends the child
        same = model(**inputs).last_hidden_state.tobytes() == before
        os._exit(0 if same else 3)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status == 0, f"the child ended with {status}"
    assert model(**inputs).last_hidden_state.tobytes() == before
"""


def run_python(code, *arguments, **environment):
    """Run code in a fresh interpreter that sees the tests' helpers; its output is shown when it fails."""
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(TESTS)!r})\n{textwrap.dedent(code)}", *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, **environment},
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


@pytest.mark.jit
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no getrusage")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_memory_is_linear_in_the_sequence(dtype):
    run_python(MEMORY, dtype)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.parametrize("backend", ["numpy", pytest.param("numba", marks=pytest.mark.jit)])
def test_a_forked_child_gives_the_same_answer(backend):
    run_python(FORK, backend)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_one_thread_equals_many(dtype):
    fields = fields_of(max_position_embeddings=400, attention_window=[6, 150])
    state = state_of("LongformerForMaskedLM", fields, seed=141)
    inputs = batch_of(fields, ragged_marks((389, 251), ({0: 2, 200: 2, 77: 0}, {5: 2})), seed=142)
    answers = [
        build("LongformerForMaskedLM", fields, state, "numba", dtype, num_threads=count)(
            **inputs, output_attentions=True, output_hidden_states=True
        ).to_tuple()
        for count in (1, 2, 3, 7, None)
    ]
    for count, answer in zip((2, 3, 7, None), answers[1:], strict=True):
        assert_identical(answer, answers[0], f"{count} threads")


@pytest.mark.jit
def test_one_thread_equals_many_at_the_width_of_a_real_model():
    """Wide enough that the matmuls themselves run on several threads."""
    fields = fields_of(
        hidden_size=384,
        num_attention_heads=6,
        intermediate_size=1536,
        max_position_embeddings=900,
        attention_window=64,
        num_hidden_layers=1,
    )
    state = state_of("LongformerModel", fields, seed=143)
    inputs = batch_of(fields, ragged_marks((787,), ({0: 2},)), seed=144)
    one, two = (
        build("LongformerModel", fields, state, "numba", "float32", num_threads=count)(**inputs).to_tuple()
        for count in (1, 2)
    )
    assert_identical(two, one, "2 threads")


@pytest.mark.parametrize(("backend", "dtype"), ENGINES)
def test_two_python_threads_on_one_model(backend, dtype):
    fields = fields_of()
    model = build("LongformerModel", fields, state_of("LongformerModel", fields, seed=145), backend, dtype)
    batches = [ragged_batch(fields, seed) for seed in range(4)]
    alone = [model(**inputs).last_hidden_state for inputs in batches]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(lambda turn: model(**batches[turn % 4]).last_hidden_state, range(24)))
    for turn, answer in enumerate(together):
        assert_identical(answer, alone[turn % 4], f"call {turn}")


def blas_threads():
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_two_python_threads_leave_the_thread_counts_as_they_were(backend):
    """Both set NumPy's BLAS to their own number during a call; whoever ends last must not restore the other's."""
    fields = fields_of(num_hidden_layers=1, attention_window=4)
    state = state_of("LongformerModel", fields, seed=146)
    inputs = ragged_batch(fields, seed=147)
    models = [build("LongformerModel", fields, state, backend, num_threads=count) for count in (1, 3)]
    with threadpool_limits(limits=2, user_api="blas"):
        for model in models:
            model(**inputs)
            assert set(blas_threads()) == {2}
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda turn: models[turn % 2](**inputs), range(60)))
        assert set(blas_threads()) == {2}


def test_any_thread_may_limit_and_restore_the_blas():
    """Also after another one did, and instead of another one."""

    def in_thread(what):
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(what).result()

    first, second = limit_blas(1), limit_blas(1)
    with threadpool_limits(limits=2, user_api="blas"):  # this thread has set it before
        before = set(blas_threads())
        in_thread(first.__enter__)
        assert set(in_thread(blas_threads)) == {1}
        second.__enter__()
        in_thread(lambda: first.__exit__(None, None, None))
        assert set(blas_threads()) == {1}
        in_thread(lambda: second.__exit__(None, None, None))
        assert set(blas_threads()) == before
        with limit_blas(1):
            assert set(blas_threads()) == {1}
        assert set(blas_threads()) == before


@pytest.mark.parametrize(("backend", "wanted"), [("numpy", 1), ("numba", 2)])
def test_blas_is_held_to_the_number_of_threads_during_a_call(backend, wanted, monkeypatch):
    """The kernels use none, and leave it alone."""
    fields = fields_of(num_hidden_layers=1, attention_window=4)
    state = state_of("LongformerModel", fields, seed=146)
    model = build("LongformerModel", fields, state, backend, num_threads=1)
    seen = []
    original = model._encode
    monkeypatch.setattr(model, "_encode", lambda *arguments: (seen.append(blas_threads()), original(*arguments))[1])
    with threadpool_limits(limits=2, user_api="blas"):
        model(**ragged_batch(fields, seed=147))
    assert set(seen[0]) == {wanted}


@pytest.mark.parametrize("backend", ["numpy", "numba"])
@pytest.mark.parametrize("count", [0, -5, "x", 1.0, True])
def test_a_number_of_threads_that_is_none_is_refused(backend, count):
    fields = fields_of()
    with pytest.raises(InputError, match="num_threads"):
        build("LongformerModel", fields, state_of("LongformerModel", fields, seed=148), backend, num_threads=count)


def test_no_state_is_cached_between_calls():
    """A long text and then a short one: no buffer of the first shows in the second."""
    fields = fields_of(max_position_embeddings=400)
    model = build("LongformerModel", fields, state_of("LongformerModel", fields, seed=148))
    short = ragged_batch(fields, seed=149)
    before = model(**short, output_attentions=True).to_tuple()
    model(**batch_of(fields, ragged_marks((389, 2), ({0: 2}, {})), seed=150), output_attentions=True)
    assert_identical(model(**short, output_attentions=True).to_tuple(), before, "second call")
    assert np.isfinite(before[0]).all()
