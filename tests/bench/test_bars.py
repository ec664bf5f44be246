"""Which bars of `lf-ref bench` apply, and which are reached. No time is judged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bench.running import chosen, run

from lf_ref.bench import bars, machine, runs


def bar(long, middle, short):
    return {"encoder": long, "encoder-middle": middle, "encoder-short": short}


@pytest.mark.parametrize(
    ("peer", "dtype", "features", "wanted"),
    [
        ("transformers", "float32", ["avx512f"], {"encoder": 2.7, "encoder-middle": 1.8, "encoder-short": 5.5}),
        ("transformers", "float32", ["avx512f"], {"attention": 8.0, "memory": 4.0, "matmul": None}),
        ("transformers", "float32", ["avx2"], {"encoder": 2.0, "attention": None, "memory": 4.0}),
        ("transformers", "bfloat16", ["avx512f", "amx-bf16"], {"encoder": 5.0, "encoder-middle": 2.6, "memory": None}),
        ("transformers", "bfloat16", ["amx-bf16"], {"encoder-short": 6.0}),
        ("torch-sdpa", "float32", [], {**bar(1.3, 1.2, 1.4), "matmul": 1.0}),
        ("torch-sdpa", "bfloat16", ["amx-bf16"], {**bar(1.4, 1.3, 1.4), "matmul": 1.0}),
        ("torch-sdpa", "bfloat16", ["avx512bf16"], {**bar(1.3, 1.3, 1.3), "matmul": None}),
        ("openvino-sdpa", "float32", ["avx2"], {**bar(1.3, 1.2, 1.4), "matmul": None}),
        ("openvino-sdpa", "bfloat16", ["amx-bf16"], bar(1.4, 1.3, 1.4)),
        ("openvino-sdpa", "bfloat16", ["avx512bf16"], bar(None, None, None)),
        ("torch-sdpa", "int8", ["amx-bf16", "amx-int8"], bar(None, None, None)),
        ("bfloat16", "int8", ["amx-int8"], bar(1.25, None, None)),
        ("bfloat16", "int8", ["avx512vnni"], bar(1.25, None, None)),
        ("bfloat16", "int8", ["avx512bf16"], bar(None, None, None)),
        ("transformers", "bfloat16", ["avx512f", "avx512bf16"], {"encoder": None}),
        ("transformers", "int8", ["avx512vnni", "amx-int8"], {"encoder": None}),
        ("float32", "int8", ["avxvnni"], {"encoder": 1.0, "memory": None}),
        ("float32", "int8", ["neon"], {"encoder": None}),
        ("openvino", "float32", ["avx512f"], {"encoder": None}),
        (None, "float32", ["avx512f"], {"encoder": None}),
    ],
)
def test_bars_follow_peer_dtype_and_processor(peer, dtype, features, wanted):
    found = bars.bars(peer, dtype, features)
    assert {name: found.get(name) for name in wanted} == wanted
    assert set(found) <= set(runs.names())


def test_a_processor_that_is_only_named_counts_as_having_nothing(monkeypatch):
    monkeypatch.setattr(machine._numba_config, "CPU_NAME", None)
    host = machine.features_used()
    assert host == machine.machine_facts([])["features"]
    monkeypatch.setattr(machine._numba_config, "CPU_NAME", "haswell")
    assert machine.features_used() == []


def test_a_processor_that_the_system_has_no_name_for(monkeypatch):
    """The lines of Linux on ARM, which has numbers instead of names."""
    lines = "processor\t: 0\nFeatures\t: fp asimd crc32\nCPU implementer\t: 0x41\nCPU part\t: 0xd08\n"
    read = Path.read_text
    monkeypatch.setattr(Path, "read_text", lambda at, **how: lines if at == Path("/proc/cpuinfo") else read(at, **how))
    monkeypatch.setattr(machine.llvm, "get_host_cpu_name", lambda: "cortex-a72")
    assert machine.machine_facts([])["cpu"] == "cortex-a72"
    monkeypatch.setattr(machine.llvm, "get_host_cpu_name", lambda: "generic")
    assert machine.machine_facts([])["cpu"] not in ("", "generic")


def test_bars_are_shown_where_they_apply(monkeypatch):
    monkeypatch.setattr(runs, "features_used", lambda: ["avx512vnni"])
    arguments = ["--against", "float32", "--dtype", "int8", *chosen("encoder")]
    assert [row["wanted"] for row in json.loads(run("--json", *arguments))["works"]] == [1.0]
    assert "reached: encoder\n" in run(*arguments)  # "reached" and "not reached" both end so
    monkeypatch.setattr(runs, "features_used", list)
    assert [row["wanted"] for row in json.loads(run("--json", *arguments))["works"]] == [None]
    assert "reached" not in run(*arguments)


@pytest.mark.parametrize(
    ("row", "wanted"),
    [
        ({"wanted": None, "ratio": 9.0}, None),
        ({"wanted": 1.3, "ratio": 1.31}, True),
        ({"wanted": 1.3, "ratio": 1.29}, False),
        ({"wanted": 1.3, "failure": "its result differs"}, False),
        ({"wanted": None, "value": 1.0}, None),
        ({"wanted": ("at least", 0.75), "value": 0.75}, True),
        ({"wanted": ("at least", 0.75), "value": 0.7}, False),
        ({"wanted": ("at most", 20.0), "value": 20.1}, False),
        ({"wanted": ("at most", 20.0), "value": 19.9}, True),
    ],
)
def test_a_bar_holds_or_not(row, wanted):
    assert bars.holds(row) is wanted


def test_the_bars_that_hold_are_named(capsys):
    from lf_ref.cli.bench import _show_bars

    named = {"one": True, "two": False, "three": True, "four": None}
    facts = {"works": [{"name": name, "holds": holds} for name, holds in named.items()], "figures": []}
    _show_bars(facts)
    assert capsys.readouterr().out.splitlines() == ["", "reached: one, three", "not reached: two"]
    _show_bars({"works": [], "figures": []})
    assert not capsys.readouterr().out
