"""What `lf-ref bench` measures beside a peer, in which dtype, and what a peer that fails costs. No time is judged."""

from __future__ import annotations

import json
from typing import ClassVar

import numpy as np
import pytest
from bench.running import ATTENTION, RAGGED, ROUNDED, SAME, chosen, header, run

from lf_ref.bench import cells, engines, kinds, own, runs, works
from lf_ref.bench.kinds import Kind, Setup, SideError
from lf_ref.bench.sides import Ours
from lf_ref.bench.size import Size, first_token

SMALL = Size(layers=1, heads=1, window=8, tokens=64, vocabulary=61)


@pytest.mark.parametrize("dtype", ["bfloat16", "int8"])
def test_reduced_precision_beside_float32(dtype):
    facts = json.loads(run("--json", "--against", "float32", "--dtype", dtype, *chosen("encoder", "memory")))
    assert (facts["dtype"], facts["peer"], facts["peer_dtype"]) == (dtype, "float32", "float32")
    rows = {row["name"]: row for row in facts["works"]}
    assert list(rows) == ["encoder", "memory-process", "memory-model", "memory"]
    encoder = rows["encoder"]
    assert min(encoder["ratios"]) <= encoder["ratio"] <= max(encoder["ratios"])
    assert SAME < encoder["difference"] < ROUNDED, "it is the dtype that was asked for"
    for row in rows.values():
        assert {"lf_ref", "float32"} <= set(row)
    # The tiny model's weights are some kilobytes, pages of memory more: what is measured is seen in the next test.
    assert rows["memory-process"]["lf_ref"]["bytes"] > rows["memory"]["lf_ref"]["bytes"] > 0


def test_loaded_models_of_reduced_precision_take_less_memory(tmp_path):
    large = Size(layers=4, heads=8, window=16, tokens=64, vocabulary=997)
    loaded = {}
    for dtype in kinds.DTYPES:
        side = kinds.setup("lf_ref", tmp_path, 1, dtype)
        large.write_checkpoint(side.folder, dtype)
        loaded[dtype] = cells.cell(side, "memory", large.text(17).tolist())["loaded_bytes"]
    weights = 4 * 12 * 512 * 512 * 4  # bytes of the float32 weights of the layers, the rest being small beside them
    assert weights < loaded["float32"] < 2 * weights
    assert loaded["int8"] < loaded["bfloat16"] < loaded["float32"]
    assert loaded["bfloat16"] - loaded["int8"] > weights // 8


@pytest.fixture
def no_processes(monkeypatch):
    """What processes of their own measure is made up."""
    made_up = {"bytes": 1, "process_bytes": 2, "loaded_bytes": 3, "answer": [0.0]}
    monkeypatch.setattr(own, "cell", lambda setup, what, given: made_up)


def test_the_table_names_its_dtypes(no_processes):
    printed = run("--against", "float32", "--dtype", "int8", *chosen("encoder-short", "memory"))
    assert header(printed) == ["work", "lf_ref", "int8", "float32", "ratio", "at", "least", "difference"]
    assert "dtype      int8" in printed
    assert "of it, the model once it is loaded" in printed
    assert "left out" not in printed


def test_a_whole_run_in_reduced_precision_leaves_out_what_is_measured_in_float32(no_processes):
    facts = json.loads(run("--json", "--dtype", "bfloat16", *chosen("linear-rate", "growth")))
    assert [figure["wanted"] for figure in facts["figures"]] == [None] * 5
    assert list(kinds.left_out("bfloat16", None)) == ATTENTION
    message = run("--dtype", "bfloat16", *chosen("attention-half"), code=2)
    assert "attention-half cannot be measured in bfloat16: the band attention alone is measured in float32" in message


def test_workloads_that_are_left_out_are_listed(monkeypatch):
    monkeypatch.setattr(runs, "works", lambda size: [])
    monkeypatch.setattr(runs, "FIGURES", {})
    printed = run("--dtype", "int8")
    assert (
        "left out: attention, attention-half, attention-quarter: the band attention alone is measured in float32"
        in printed
    )
    assert json.loads(run("--dtype", "int8", "--json"))["left_out"].keys() == set(ATTENTION)


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["--against", "float32"], "lf_ref in float32 against itself has no meaning"),
        (["--dtype", "int8", "--roofline", "plot.png"], "the roofline is that of the float32 kernels"),
        (["--dtype", "float16"], "'float16' is not one of"),
        (["--against", "jax"], "'jax' is not one of"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments, wanted):
    assert wanted in run(*arguments, code=2)


def test_a_peer_runs_in_the_dtype_or_in_float32(tmp_path):
    dtypes = {
        (name, dtype): kinds.setup(name, tmp_path, 1, dtype).dtype for name in kinds.PEERS for dtype in kinds.DTYPES
    }
    assert {pair for pair, dtype in dtypes.items() if dtype == pair[1] != "float32"} == {
        ("transformers", "bfloat16"),
        ("openvino", "bfloat16"),
        ("torch-sdpa", "bfloat16"),
        ("openvino-sdpa", "bfloat16"),
        ("bfloat16", "bfloat16"),
    }
    assert {dtypes["bfloat16", dtype] for dtype in kinds.DTYPES} == {"bfloat16"}
    assert set(dtypes.values()) == {"float32", "bfloat16"}
    assert kinds.setup("transformers", tmp_path, 1, "int8").folder == tmp_path / "float32"
    assert kinds.setup("lf_ref", tmp_path, 1, "int8").folder == tmp_path / "int8"


class Shifted:
    """lf_ref's results with an error."""

    def __init__(self, side, error):
        self._side, self._error = side, error

    def encoder(self, ids, is_global, visible=None):
        return self._side.encoder(ids, is_global) + np.float32(self._error)

    def masked_lm(self, ids, is_global, position):
        return self._side.masked_lm(ids, is_global, position) + np.float32(self._error)


@pytest.mark.parametrize(
    ("name", "error", "fails"),
    [
        ("encoder", 0.05, False),
        ("encoder", 0.2, True),
        ("encoder", np.nan, True),
        ("masked-lm", 0.9, False),  # logits are some ten times as large
        ("masked-lm", 1.1, True),
    ],
)
def test_a_peer_with_other_results_has_failed(name, error, fails, tmp_path):
    SMALL.write_checkpoint(tmp_path)
    ours = Ours(tmp_path, 1, "float32")
    (work,) = (work for work in works.works(SMALL) if work.name == name)
    facts = works.compare(work, {"lf_ref": ours, "peer": Shifted(ours, error)}, 2, 0.1)
    assert ("failure" in facts, "ratio" in facts) == (fails, not fails)
    assert facts["peer"]["seconds"] > 0
    if fails:
        limit = "1" if name == "masked-lm" else "0.1"
        assert facts["failure"] == f"its result differs by {facts['difference']:.1e}, by more than {limit}"


@pytest.mark.parametrize("dtype", kinds.DTYPES)
def test_the_matmul_of_one_thread(dtype):
    (work,) = (work for work in works.works(SMALL) if work.name == "matmul")
    assert work.title == "matmul [64, 64] x [64, 256], 0.0021 GFLOP, one thread"
    found = work.select(work.prepare(Ours("none", 1, dtype))())
    whole = work.select(work.prepare(Ours("none", 1, "float32"))())
    assert (found.shape, found.dtype) == ((64, 256), np.float32)
    assert np.abs(found - whole).max() < ROUNDED / 5
    assert np.array_equal(found, whole) == (dtype == "float32")


def test_a_process_that_fails_reports_the_reason_in_one_line(tmp_path):
    with pytest.raises(SideError) as caught:
        cells.cell(Setup("lf_ref", tmp_path / "none", 1, "float32"), "answer", [[0, 5, 2]])
    assert str(caught.value) == f"there is no folder {tmp_path / 'none'}"
    with pytest.raises(SideError) as caught:
        cells.cell(Setup("nobody", tmp_path, 1, "float32"), "answer", [[0, 5, 2]])
    assert str(caught.value) == "KeyError: 'nobody'"


def test_a_killed_process_differs_from_one_that_fails():
    assert cells._reason(0, "") == "its process ended with exit code 0"
    assert cells._reason(-9, "") == "its process was ended by SIGKILL, probably because memory ran out"
    assert cells._reason(1, "no such op") == "no such op"


@pytest.mark.parametrize(
    ("limits", "wanted"), [((-1, -1), 3 << 20), ((1 << 20, -1), 1 << 20), ((2 << 20, 2 << 20), 2 << 20)]
)
def test_a_conversion_gets_the_available_memory(limits, wanted, tmp_path, monkeypatch):
    resource = pytest.importorskip("resource", reason="this system has no limits of processes")
    monkeypatch.setattr(cells, "_MEMORY", tmp_path / "meminfo")
    assert cells._hold_to_memory() is None
    cells._MEMORY.write_text("MemTotal: 9999 kB\nMemAvailable: 3072 kB\n", encoding="ascii")
    held = []
    monkeypatch.setattr(resource, "RLIM_INFINITY", -1)
    monkeypatch.setattr(resource, "getrlimit", lambda what: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda what, limits: held.append(limits))
    assert cells._hold_to_memory() == wanted
    assert held == [(wanted, limits[1])]


class Fake(engines.Engine):
    """An engine whose conversions keep the folder of the checkpoint, and whose runs are lf_ref's."""

    name, suffix = "json", ".fake"  # a package that is always there
    saved: ClassVar[list[tuple[int, int]]] = []
    save_fails = open_fails = False

    def _save(self, model, example, path):
        if self.save_fails:
            raise ValueError("no such operator:\n  as_strided")
        self.saved.append(example[0].shape)
        path.write_text(model, encoding="utf-8")

    def _open(self, path):
        if self.open_fails:
            raise MemoryError("bad allocation")
        ours = Ours(path.read_text(encoding="utf-8"), 1, "float32")
        return lambda inputs: ours.encoder(inputs[0], inputs[2], inputs[1])


@pytest.fixture
def fake(monkeypatch, tmp_path):
    """The fake engine for a small checkpoint, as a peer; its conversions are done in this process."""
    monkeypatch.setitem(kinds.KINDS, "json", Kind("engines", "Fake", ("float32",), ("json",), kinds._CONVERTED))
    monkeypatch.setattr(engines, "Fake", Fake, raising=False)
    monkeypatch.setattr(engines, "_exportable", lambda folder, head: str(folder))
    monkeypatch.setattr(Fake, "saved", [])

    def cell(setup, what, given):
        assert what == "convert"
        return setup.open().convert(**given)

    monkeypatch.setattr(engines, "cell", cell)
    setup = kinds.setup("json", tmp_path, 1, "float32")
    SMALL.write_checkpoint(setup.folder)
    return setup


def test_each_shape_is_converted_once(fake):
    ids = {length: SMALL.text(length) for length in (7, 11)}
    ours, side = Ours(fake.folder, 1, "float32"), fake.open()
    for length in (7, 11, 7):
        found = side.encoder(ids[length], first_token(ids[length]))
        assert np.array_equal(found, ours.encoder(ids[length], first_token(ids[length])))
    fake.open().encoder(ids[11], first_token(ids[11]))  # another process finds what was converted
    assert Fake.saved == [(1, 7), (1, 11)]
    side.encoder(ids[7], np.zeros_like(ids[7]))
    assert Fake.saved == [(1, 7), (1, 11), (1, 7)], "without global tokens it is another graph"
    records = engines.conversions(fake)
    assert [(one["head"], one["tokens"], one["some_global"]) for one in records] == [
        ("encoder", 11, True),
        ("encoder", 7, True),
        ("encoder", 7, False),
    ]
    assert all(one["bytes"] > 0 and one["conversion_seconds"] >= 0 for one in records)


@pytest.mark.parametrize(
    ("fails", "wanted"),
    [
        ("save_fails", "the conversion fails: ValueError: no such operator: as_strided"),
        ("open_fails", "it converts but does not run: MemoryError: bad allocation"),
    ],
)
def test_failures_are_in_the_table_and_not_tried_again(fails, wanted, fake, no_processes, monkeypatch, tmp_path):
    monkeypatch.setattr(Fake, fails, True)
    monkeypatch.setattr(runs, "setup", lambda name, folder, threads, dtype: kinds.setup(name, tmp_path, 1, dtype))
    facts = runs.run(SMALL, ["encoder"], "json", "float32", 1, 1, lambda what: None)
    (row,) = facts["works"]
    assert " ".join(row["failure"].split()) == wanted
    assert row["lf_ref"]["seconds"] > 0
    assert not {"json", "ratio", "difference"} & set(row)
    assert len(engines.conversions(fake)) == 1
    monkeypatch.setattr(Fake, fails, False)
    with pytest.raises(SideError):
        fake.open().encoder(SMALL.text(64), first_token(SMALL.text(64)))


def test_a_row_without_the_peer_is_printed_with_its_reason(capsys):
    from lf_ref.cli.bench import _show_notes, _show_works

    row = {"name": "encoder", "title": "encoder, 7 tokens", "lf_ref": {"seconds": 2.0}, "wanted": None}
    facts = {
        "dtype": "float32", "peer": "openvino", "peer_dtype": "float32", "works": [row | {"failure": "out of memory"}],
        "left_out": dict.fromkeys(RAGGED, "one shape"),
        "conversions": [{"head": "encoder", "tokens": 7, "conversion_seconds": 61.2, "bytes": 5_000_000}],
    }  # fmt: skip
    _show_works(facts)
    _show_notes(facts)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["encoder,", "7", "tokens", "2.00", "s", "-", "-"]
    assert lines[3:] == [
        "encoder, 7 tokens: openvino: out of memory",
        "left out: batch, one-by-one: one shape",
        "conversion ahead of the runs: encoder, 7 tokens: 61 s, 5 MB",
    ]
