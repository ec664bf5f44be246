"""The number of threads that is used when none is asked for."""

from __future__ import annotations

import os

import pytest

from lf_ref.kernels.cpus import usable_cpus
from lf_ref.kernels.threads import Threads

PERMITTED = 7


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    """A machine on which the process may run on seven CPUs."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(PERMITTED)), raising=False)
    monkeypatch.setattr(os, "process_cpu_count", lambda: PERMITTED, raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


def tree(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("3", 3),
        ("4,2", 4),
        (" 5 , 1 , 2 ", 5),
        ("+2", 2),
        ("02", 2),
        ("1", 1),
        ("64", PERMITTED),
        ("99999999999999999999999", PERMITTED),
        # What OpenMP does not understand it ignores.
        *[(value, PERMITTED) for value in ("", " ", "0", "0,3", "-2", "many", "2x", "2.5", "1_0", "2,", ",2", "2,x")],
        ("\N{ARABIC-INDIC DIGIT TWO}", PERMITTED),
        ("3;2", PERMITTED),
        ("0x3", PERMITTED),
    ],
)
def test_omp_num_threads(monkeypatch, tmp_path, value, expected):
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert usable_cpus(tmp_path) == expected


@pytest.mark.parametrize(
    ("quota", "expected"),
    [
        ("max 100000", PERMITTED),
        ("100000 100000", 1),
        ("100001 100000", 2),
        ("150000 100000", 2),
        ("1000 100000", 1),
        ("120000 50000", 3),
        ("900000 100000", PERMITTED),
        ("", PERMITTED),
        ("rubbish", PERMITTED),
        ("2 3 4", PERMITTED),
        ("100000 0", PERMITTED),
    ],
)
def test_the_quota_of_the_own_cgroup(tmp_path, quota, expected):
    files = {"proc/self/cgroup": "0::/app\n", "sys/fs/cgroup/app/cpu.max": f"{quota}\n"}
    assert usable_cpus(tree(tmp_path, files)) == expected


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"": 5, "/a": 4, "/a/b": 3}, 3),
        ({"": 2, "/a": 4, "/a/b": 3}, 2),
        ({"/a": 2}, 2),
        ({"/a/b": 3, "/a/c": 1, "/b": 1, "/a/b/below": 1}, 3),
        ({}, PERMITTED),
    ],
)
@pytest.mark.parametrize("version", [1, 2])
def test_cgroups_above_and_beside(tmp_path, limits, expected, version):
    files = {"proc/self/cgroup": "0::/a/b\n" if version == 2 else "4:memory:/x\n3:cpuacct,cpu:/a/b\n0::/unified\n"}
    for path, limit in limits.items():
        if version == 2:
            files[f"sys/fs/cgroup{path}/cpu.max"] = f"{limit * 100000} 100000\n"
        else:
            files[f"sys/fs/cgroup/cpu{path}/cpu.cfs_quota_us"] = f"{limit * 25000}\n"
            files[f"sys/fs/cgroup/cpu{path}/cpu.cfs_period_us"] = "25000\n"
    assert usable_cpus(tree(tmp_path, files)) == expected


def test_version_1_without_a_limit(tmp_path):
    folder = "sys/fs/cgroup/cpu/app"
    files = {f"{folder}/cpu.cfs_quota_us": "-1\n", f"{folder}/cpu.cfs_period_us": "100000\n"}
    assert usable_cpus(tree(tmp_path, files | {"proc/self/cgroup": "2:cpu:/app\n"})) == PERMITTED


@pytest.mark.parametrize("line", ["0::/docker/abc", "3:cpu,cpuacct:/docker/abc\n0::/docker/abc"])
def test_a_container_that_sees_the_path_of_the_host(tmp_path, line):
    files = {
        "proc/self/cgroup": f"{line}\n",
        "sys/fs/cgroup/cpu.max": "250000 100000\n",
        "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "250000\n",
        "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
    }
    assert usable_cpus(tree(tmp_path, files)) == 3


@pytest.mark.parametrize("lines", ["", "\n", "rubbish\n", "0::/a:b/../c\n", "1:name=systemd:/a\n"])
def test_odd_lists_of_cgroups_set_no_limit(tmp_path, lines):
    assert usable_cpus(tree(tmp_path, {"proc/self/cgroup": lines})) == PERMITTED


def test_the_smallest_holds(monkeypatch, tmp_path):
    files = {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "300000 100000\n"}
    monkeypatch.setenv("OMP_NUM_THREADS", "5,1")
    assert usable_cpus(tree(tmp_path, files)) == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert usable_cpus(tmp_path) == 2


def test_a_model_heeds_it_and_a_number_overrides_it(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert Threads().count == 1
    assert Threads(5).count == 5


def test_where_the_system_tells_no_affinity(monkeypatch, tmp_path):
    """As on macOS and Windows before Python 3.13."""
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.delattr(os, "process_cpu_count")
    for count, expected in (11, 11), (None, 1):
        monkeypatch.setattr(os, "cpu_count", lambda count=count: count)
        assert usable_cpus(tmp_path) == expected
