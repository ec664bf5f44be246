"""Jobs on Ray: every row once, and parts of the same bytes as those of one process, whoever is killed.

Drivers are processes of their own, so that they can be killed, and so that Ray's threads stay out of the tests.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pyarrow.fs
import pytest
from jobs.building import EVERY_ROW, PARTS, ROWS_PER_PART, job, left, rows_of

import lf_ref
from lf_ref import InputError
from lf_ref.compilation import MESSAGE
from lf_ref.kernels.cpus import usable_cpus
from oracles.documents import ROOT, blocks, engine_of, read

ray_only = pytest.mark.ray
TESTS = Path(__file__).parents[1]
TOKEN = "5" * 64  # of Ray, which would write one into the home otherwise
WHOLE = "rows=23, answered=20, bad=3, missing=0"
HOLDER = """
import sys, ray
ray.init(num_cpus=4, include_dashboard=False, object_store_memory=1 << 27, log_to_driver=False, logging_level=40)
print(ray.get_runtime_context().gcs_address, flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """Of all processes of these tests; HOME is empty, and must stay so."""
    home = tmp_path_factory.mktemp("home")
    paths = os.pathsep.join([str(TESTS), str(Path(lf_ref.__file__).parents[1])])
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "OMP_"))}
    return {**kept, "PYTHONPATH": paths, "HOME": str(home)}


@pytest.fixture(scope="module")
def cluster(environment):
    """The options of a job on a cluster that outlives it."""
    environment = {**environment, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN}
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        yield SimpleNamespace(address=holder.stdout.readline().strip(), environment=environment)
        holder.stdin.close()


@pytest.fixture
def drive(undisturbed, tmp_path):
    """A function that starts the job in a process of its own, which writes into the folder out."""
    (tmp_path / "marks").mkdir()
    started = []

    def start(environment, output=tmp_path / "out", **options):
        arguments = [str(undisturbed.inputs), undisturbed.model, str(output), repr(options)]
        process = subprocess.Popen(
            [sys.executable, "-m", "jobs.ray_faults", *arguments],
            env={**environment, "MARK": str(tmp_path)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def ended(process):
    """What a process printed, which must have ended well."""
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out


def appears(path, timeout=60):
    """Wait for a file; its content."""
    until = time.monotonic() + timeout
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < until, path
        time.sleep(0.05)
    return path.read_text()


def ends(mark, name, seconds):
    """Whether all processes of this name that the drivers of a test started, at any depth, end within some seconds."""
    until = time.monotonic() + seconds
    while living(mark, name):
        if time.monotonic() > until:
            return False
        time.sleep(0.2)
    return True


def living(mark, name):
    """The processes of this name that the drivers of a test started, at any depth."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended
            command = (path / "cmdline").read_bytes()
            if f"MARK={mark}".encode() in (path / "environ").read_bytes().split(b"\0") and name in command:
                found.append(command)
    return found


def assert_same(output, undisturbed):
    assert left(output) == undisturbed.files
    assert rows_of(output) == EVERY_ROW


@ray_only
def test_a_cluster_of_its_own_ends_with_the_job_and_leaves_nothing_in_the_home(
    drive, environment, undisturbed, tmp_path
):
    assert WHOLE in ended(drive(environment, f"file://{tmp_path}/out", workers=2))
    assert_same(tmp_path / "out", undisturbed)
    assert list(Path(environment["HOME"]).rglob("*")) == []
    assert ends(tmp_path, b"", 10)


@ray_only
def test_the_driver_of_a_cluster_of_its_own_is_killed(drive, environment, undisturbed, tmp_path):
    (tmp_path / "fault").write_text("wait 3")
    driver = drive(environment, workers=2)
    appears(tmp_path / "marks" / "happened")
    driver.kill()
    driver.wait()
    assert ends(tmp_path, b"Actor", 10)
    assert not (tmp_path / "out" / "_SUCCESS").exists()
    job(undisturbed.inputs, undisturbed.model, tmp_path / "out", resume=True)  # the engine may change
    assert_same(tmp_path / "out", undisturbed)


@ray_only
def test_an_actor_is_killed_in_the_middle_of_a_part(drive, cluster, undisturbed, tmp_path):
    (tmp_path / "fault").write_text("kill 1")
    out = ended(drive(cluster.environment, address=cluster.address, workers=2))
    assert (tmp_path / "marks" / "happened").exists()
    assert WHOLE in out
    assert "failed={}" in out
    assert_same(tmp_path / "out", undisturbed)


@ray_only
def test_a_part_that_kills_each_worker_fails_alone_and_resumes(drive, cluster, undisturbed, tmp_path):
    (tmp_path / "fault").write_text("kill-always 4")
    out = ended(drive(cluster.environment, address=cluster.address, workers=1))
    assert f"missing={7 - ROWS_PER_PART}" in out
    assert "b.jsonl: its worker died 3 times" in out
    assert len(list((tmp_path / "out").glob("part-*.parquet"))) == PARTS - 1
    job(undisturbed.inputs, undisturbed.model, tmp_path / "out", resume=True)
    assert_same(tmp_path / "out", undisturbed)


@ray_only
def test_the_driver_is_killed_and_the_cluster_lives(drive, cluster, undisturbed, tmp_path):
    (tmp_path / "fault").write_text("wait 3")
    driver = drive(cluster.environment, address=cluster.address, workers=2)
    pid = int(appears(tmp_path / "marks" / "happened"))
    driver.kill()
    driver.wait()
    until = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists() and time.monotonic() < until:  # Ray ends the actors of a driver that died
        time.sleep(0.1)
    assert not Path(f"/proc/{pid}").exists()
    assert 0 < len(list((tmp_path / "out").glob("part-*.parquet"))) < PARTS
    (tmp_path / "fault").unlink()
    assert WHOLE in ended(drive(cluster.environment, address=cluster.address, workers=2, resume=True))
    assert_same(tmp_path / "out", undisturbed)


@ray_only
def test_the_callers_connection_is_used_and_kept_and_its_grants_heeded(cluster, undisturbed, tmp_path):
    code = f"""
import ray, sys
from pathlib import Path
from jobs.building import job
from lf_ref import InputError
from lf_ref.batches.grants import granted_cpus
ray.init("{cluster.address}", logging_level=40, log_to_driver=False)
paths = Path({str(undisturbed.inputs)!r}), {undisturbed.model!r}, Path({str(tmp_path / "out")!r})
try:
    job(*paths, engine="ray", address="{cluster.address}")
except InputError as error:
    print(error)
print(job(*paths, engine="ray", workers=2, resume=True))
print([ray.get(ray.remote(granted_cpus).options(num_cpus=cpus).remote()) for cpus in (0.5, 1, 4)], granted_cpus())
"""
    out = ended(
        subprocess.Popen([sys.executable, "-c", code], env=cluster.environment, stdout=-1, stderr=-1, text=True)
    )
    assert "connected to Ray already: leave address out" in out
    assert WHOLE in out
    most = usable_cpus()
    assert f"[1, 1, {min(most, 4)}] {most}" in out  # of tasks, and of the driver
    assert_same(tmp_path / "out", undisturbed)


@ray_only
def test_the_output_is_a_bucket_and_the_cluster_has_room_for_one_of_the_workers(drive, cluster, undisturbed):
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", port=0)
    server.start()
    try:
        host, port = server.get_host_and_port()
        place = {"endpoint_override": f"{host}:{port}", "scheme": "http", "allow_bucket_creation": True}
        files = pyarrow.fs.S3FileSystem(access_key="key", secret_key="secret", region="us-east-1", **place)
        files.create_dir("bucket")
        # Delayed: with one request for a small file, as pyarrow refuses moto 5.2.1's answer to an upload of several.
        where = f"region=us-east-1&scheme=http&endpoint_override={host}:{port}&allow_delayed_open=true"
        uri = f"s3://key:secret@bucket/jobs/one?{where}"
        assert WHOLE in ended(drive(cluster.environment, uri, address=cluster.address, workers=3, num_threads=4))
        found = {}
        for one in files.get_file_info(pyarrow.fs.FileSelector("bucket/jobs/one")):
            with files.open_input_stream(one.path) as file:
                found[one.base_name] = file.read()
        assert found == undisturbed.files
    finally:
        server.stop()


@ray_only
def test_a_cluster_that_is_not_there_is_an_error_of_one_line(undisturbed, environment, tmp_path):
    command = [
        "map", "embed", "--engine", "ray", "--address", "127.0.0.1:1", "--input", str(undisturbed.inputs / "z.parquet"),
        "--text-field", "body", "--output", str(tmp_path / "out"), "--quiet",
    ]  # fmt: skip
    done = subprocess.run([sys.executable, "-m", "lf_ref", *command], env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    [error] = [line for line in done.stderr.splitlines() if line != MESSAGE]  # for whoever finds an empty cache
    assert error.startswith("Error: no cluster of Ray answers at 127.0.0.1:1: ")


@ray_only
@pytest.mark.parametrize("engine", ["ray", "dask"])
def test_the_block_of_the_guide_runs(engine, environment, tmp_path):
    guide = read(ROOT / "lf_ref" / "guides" / "jobs.md")
    [code] = [text for kind, text in blocks(guide) if kind == "python" and engine_of(text) == engine]
    environment = {**environment, "RAY_AUTH_TOKEN": TOKEN}
    done = subprocess.run([sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = done.stdout.splitlines()
    assert rows[0] == "7 256"
    assert rows[1].startswith("8 the text must be a text (str), got")


def test_without_ray_the_error_names_the_extra(undisturbed, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "lf_ref.jobs.engines.ray", raising=False)
    with pytest.raises(InputError, match=r"pip install 'lf-ref\[ray\]'"):
        job(undisturbed.inputs, undisturbed.model, tmp_path / "out", engine="ray")
    assert not (tmp_path / "out").exists()
