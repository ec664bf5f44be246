"""What a job reads, writes and refuses; on workers in this process, since processes have tests of their own."""

from __future__ import annotations

import json
import mmap
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jobs.building import job, left
from pipelines.building import CLASSES, DEMO, assert_alike, inputs_for, save_checkpoint

import lf_ref.jobs
from lf_ref import InputError, JobError
from lf_ref.batches.task import Task
from lf_ref.checkpoint import quantize
from lf_ref.files import locate
from lf_ref.jobs import engines
from lf_ref.jobs.engines import local
from lf_ref.jobs.inputs import rows_of, scanned, stated
from lf_ref.jobs.output import Output
from lf_ref.jobs.parts import Counts, counts_of, numbers_of
from lf_ref.jobs.worker import Worker
from lf_ref.testing.generator import weights

FEW = settings(max_examples=30, deadline=None, derandomize=True, database=None)


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch):
    """Run shards in this process, in another order than that of their numbers."""

    def engine(todo, setting, *, workers, num_threads, address):
        worker = Worker(setting, num_threads)
        for number in reversed(todo):
            yield number, worker(number)

    monkeypatch.setattr(local, "engine", engine)


def run(task, folders, tmp_path, rows, **options):
    """The parts of a job on rows, as one table, and its summary."""
    with open(tmp_path / "in.jsonl", "w") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    summary = lf_ref.jobs.run(
        task, folders[task if task != "embed" else "feature-extraction"], inputs=tmp_path / "in.jsonl",
        output=tmp_path / "out", backend="numpy", num_threads=1, quiet=True, rows_per_part=2, **options,
    )  # fmt: skip
    parts = sorted((tmp_path / "out").glob("part-*.parquet"))
    return pa.concat_tables(map(pq.read_table, parts)), summary


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A small random checkpoint for each task."""
    return {task: str(save_checkpoint(task, tmp_path_factory.mktemp(task), seed=2)) for task in CLASSES}


LABELS = {"candidate_labels": ["sport", "the news of the day"]}
BEST = {
    "text-classification": ("label: string", "score: double"),
    "zero-shot-classification": ("label: string", "score: double"),
    "question-answering": ("answer: string", "score: double", "start: int64", "end: int64"),
    "multiple-choice": ("choice: int64", "score: double"),
}


@pytest.mark.parametrize("task", [task for task in CLASSES if task != "feature-extraction"])
def test_every_task_has_the_results_of_its_pipeline(task, folders, tmp_path):
    options = LABELS if task == "zero-shot-classification" else {}
    inputs = [one for one in inputs_for(task) if one and (isinstance(one, str) or one["question"])]
    rows = [{"id": index, **(one if isinstance(one, dict) else {"text": one})} for index, one in enumerate(inputs)]
    table, summary = run(task, folders, tmp_path, rows, keep=["id"], **options)
    pipe = lf_ref.pipeline(task, folders[task], backend="numpy", num_threads=1, quiet=True)
    expected = [pipe(one, **options) for one in inputs]
    expected = [one[0] if task == "text-classification" else one for one in expected]
    assert summary.answered == len(inputs) == summary.rows
    got = [json.loads(one) for one in table["result"].to_pylist()]
    assert_alike(got, json.loads(json.dumps(expected)), 1e-5)
    wanted = ["file: string", "row: int64", "id: int64", *BEST.get(task, ()), "result: string"]
    assert [f"{field.name}: {field.type}" for field in table.schema] == wanted
    for name in table.column_names[3:-1]:
        for value, whole in zip(table[name].to_pylist(), got, strict=True):
            best = whole[0] if isinstance(whole, list) else whole
            assert value == (best[name] if name in best else best[f"{name}s"][0])


def test_scores_of_all_labels_in_their_order_have_the_best_as_their_label(folders, tmp_path):
    table, _ = run(
        "text-classification", folders, tmp_path, [{"text": "Yes."}, {"text": "No."}], return_all_scores=True
    )
    for label, score, result in zip(*(table[name].to_pylist() for name in ("label", "score", "result")), strict=True):
        best = max(json.loads(result), key=lambda found: found["score"])
        assert (label, score) == (best["label"], best["score"])


def test_embed_is_the_encoder_and_pooling_none_has_a_vector_for_each_token(folders, tmp_path):
    with pytest.warns(UserWarning, match="mean pooling"):
        table, _ = run("embed", folders, tmp_path, [{"text": "Yes."}], normalize=True)
    with pytest.warns(UserWarning, match="mean pooling"):
        encoder = lf_ref.SentenceEncoder.from_pretrained(folders["feature-extraction"], backend="numpy", num_threads=1)
    assert table["result"].to_pylist() == [encoder.encode("Yes.", normalize=True).tolist()]
    shutil.rmtree(tmp_path / "out")
    table, _ = run("feature-extraction", folders, tmp_path, [{"text": "Yes."}], pooling="none")
    pipe = lf_ref.pipeline("feature-extraction", folders["feature-extraction"], backend="numpy", num_threads=1)
    assert table["result"].to_pylist() == pipe("Yes.")


@pytest.mark.filterwarnings("ignore:.*mean pooling")
def test_texts_without_fields_and_fields_that_are_not_kept(folders, tmp_path):
    table, summary = run("embed", folders, tmp_path, ["A text.", {"text": "B", "result": 1, "row": 2}], keep=[])
    assert table.column_names == ["file", "row", "result"]
    assert summary.answered == 2


@pytest.mark.filterwarnings("ignore:.*mean pooling")
def test_tokens_and_documents_are_counted(folders, tmp_path):
    _, summary = run("embed", folders, tmp_path, ["A text.", "Another one."])
    tokenizer = lf_ref.LongformerTokenizer.from_pretrained()
    tokens = sum(len(tokenizer(text)["input_ids"]) for text in ("A text.", "Another one."))
    assert summary.tokens_per_second * summary.seconds == pytest.approx(tokens)
    assert summary.documents_per_second * summary.seconds == pytest.approx(2)


# --- the plan -------------------------------------------------------------------------------------------------------


@pytest.fixture
def done(undisturbed, tmp_path):
    """A copy of a whole job."""
    shutil.copytree(undisturbed.output, tmp_path / "out")
    return tmp_path / "out"


def test_the_manifest_has_all_that_results_depend_on_and_nothing_else(undisturbed):
    manifest = json.loads(undisturbed.files["manifest.json"])
    assert set(manifest) == {"job", "id", "kept", "inputs"}
    described = {"options", "fields", "keep", "rows_per_part"}
    assert set(manifest["job"]) == {"lf_ref", "task", "model", "dtype", "backend", *described}
    assert manifest["job"]["lf_ref"] == lf_ref.__version__
    for one in manifest["inputs"]:
        found = os.stat(one["path"])
        assert (one["size"], one["mtime_ns"]) == (found.st_size, found.st_mtime_ns)
    assert [one["rows"] for one in manifest["inputs"]] == [11, 7, 0, 5]


@pytest.mark.parametrize(
    ("changes", "which"),
    [
        ({"rows_per_part": 5}, "rows_per_part"),
        ({"normalize": True}, "options"),
        ({"dtype": "float64"}, "model, dtype"),
        ({"keep": []}, "keep"),
        ({"text_field": "other", "keep": ["id"]}, "fields"),
    ],
)
def test_another_job_in_the_output_is_refused(undisturbed, done, changes, which):
    with pytest.raises(InputError, match=rf"holds another job \({which}: not the same\)"):
        lf_ref.jobs.run(
            "feature-extraction", undisturbed.model, inputs=f"{undisturbed.inputs}/*", output=done,
            **{"text_field": "body", "keep": ["id"], "backend": "numpy", "rows_per_part": 4, **changes},
        )  # fmt: skip


def test_the_model_is_known_by_its_content_wherever_it_is(undisturbed, done, tmp_path):
    moved = shutil.copytree(undisturbed.model, tmp_path / "elsewhere")
    (moved / "notes.txt").write_text("no part of the model")
    assert job(undisturbed.inputs, str(moved), done).missing == 0
    with open(moved / "model.safetensors", "r+b") as file:
        file.seek(-3, os.SEEK_END)
        file.write(b"\x01")
    with pytest.raises(InputError, match=r"another job \(model: not the same\)"):
        job(undisturbed.inputs, str(moved), done)


def test_inputs_that_changed_or_are_others_are_refused(undisturbed, tmp_path):
    inputs = shutil.copytree(undisturbed.inputs, tmp_path / "in")
    job(inputs, undisturbed.model, tmp_path / "out")
    os.utime(inputs / "z.parquet", ns=(1, 1))
    with pytest.raises(InputError, match=r"z\.parquet changed since the job in .*out began"):
        job(inputs, undisturbed.model, tmp_path / "out", resume=True)
    (inputs / "z.parquet").unlink()
    with pytest.raises(InputError, match=r"another job \(inputs: not the same\)"):
        job(inputs, undisturbed.model, tmp_path / "out", resume=True)


def test_an_input_that_changes_while_the_job_runs_fails_its_parts(undisturbed, tmp_path, monkeypatch):
    inputs = shutil.copytree(undisturbed.inputs, tmp_path / "in")
    plain = local.engine

    def engine(todo, *setting, **options):
        os.utime(inputs / "z.parquet", ns=(1, 1))
        yield from plain(todo, *setting, **options)

    monkeypatch.setattr(local, "engine", engine)
    summary = job(inputs, undisturbed.model, tmp_path / "out")
    assert sorted(summary.failed) == [5, 6]
    assert summary.missing == 5
    assert "z.parquet changed since the job began" in summary.failed[5]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"text_field": "title"}, r"a\.parquet has no field 'title'; it has body, id, other"),
        ({"text_field": {"context": "body"}}, r"text_field must be a name, or a dict with text as keys"),
        ({"keep": ["id", "nope"]}, r"a\.parquet has no field 'nope'; it has body, id, other"),
        ({"keep": "id"}, r"keep= must be a list"),
        ({"keep": None}, r"keep= must be a list"),
        ({"inputs": []}, r"inputs= must name a file at least, got \[\]"),
        ({"inputs": None}, "inputs= must name a file at least, got None"),
        ({"inputs": [3]}, "inputs= must be paths or patterns"),
        ({"keep": ["other"]}, r"b\.jsonl has no field 'other'; it has body, id"),
        ({"task": "translation"}, "unknown task 'translation'; the tasks are .*, embed"),
        ({"poling": "mean"}, "takes no argument 'poling': the nearest is 'pooling'"),
        ({"pooling": "mode"}, "pooling must be one of"),
        ({"on_error": "stop"}, "takes no on_error"),
        ({"global_attention": len}, "stored as JSON, which has no functions"),
        ({"max_length": 1000}, "max_length=1000 is too much: this model takes at most 71 tokens"),
        ({"stride": 70}, "stride=70 is too much"),
        ({"address": "auto"}, "address= is that of a Ray cluster"),
        ({"engine": "spark"}, "engine must be one of local"),
        ({"workers": 0}, "workers"),
        ({"rows_per_part": 0}, "rows_per_part"),
        ({"shard": (3, 3)}, r"shard must be \(i, n\)"),
        ({"shard": "1/3"}, r"shard must be \(i, n\)"),
        ({"inputs": "nowhere/*.parquet"}, "nowhere/.* is no file, no folder, and no pattern"),
        ({"inputs": __file__}, r"a job reads files that end in \.parquet, \.jsonl, \.ndjson"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(undisturbed, tmp_path, options, message):
    usual = {
        "inputs": f"{undisturbed.inputs}/*",
        "text_field": "body",
        "backend": "numpy",
        "task": "feature-extraction",
    }
    with pytest.raises(InputError, match=message):
        lf_ref.jobs.run(model=undisturbed.model, output=tmp_path / "out", **{**usual, **options})
    assert not (tmp_path / "out").exists()


def test_a_loaded_model_is_refused_with_the_way_out(undisturbed, tmp_path):
    model = lf_ref.LongformerModel.from_pretrained(undisturbed.model, backend="numpy")
    with pytest.raises(InputError, match=r"the name of a checkpoint, .* save it with save_pretrained"):
        job(undisturbed.inputs, model, tmp_path / "out")


def test_outputs_that_hold_something_else_are_refused(undisturbed, done, tmp_path):
    (done / "part-000001.parquet").write_bytes(b"PAR1 damaged")
    with pytest.raises(InputError, match=r"part-000001\.parquet in .* is not a part of this job"):
        job(undisturbed.inputs, undisturbed.model, done)
    (done / "manifest.json").write_text('{"job": 1}')
    with pytest.raises(InputError, match=r"out/manifest\.json is not the manifest of a job"):
        job(undisturbed.inputs, undisturbed.model, done)
    (done / "manifest.json").unlink()
    with pytest.raises(InputError, match="is not empty, and holds no job"):
        job(undisturbed.inputs, undisturbed.model, done)
    with pytest.raises(InputError, match="is a file: name a folder"):
        job(undisturbed.inputs, undisturbed.model, done / "_SUCCESS")
    with pytest.raises(InputError, match="cannot be opened"):
        job(undisturbed.inputs, undisturbed.model, "nosuch://bucket/folder")


def test_a_part_that_was_removed_is_made_again(undisturbed, done):
    (done / "part-000002.parquet").unlink()
    (done / "_SUCCESS").unlink()
    assert job(undisturbed.inputs, undisturbed.model, done, resume=True).missing == 0
    assert left(done) == undisturbed.files


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int8"])
def test_weights_are_views_of_their_file(dtype, tmp_path):
    """So that the pages of all workers are the same ones; the kernels use whole steps of rows as they are stored."""
    config = lf_ref.LongformerConfig(
        vocab_size=8192, hidden_size=64, num_hidden_layers=1, num_attention_heads=2, intermediate_size=128,
        attention_window=8, max_position_embeddings=73,
    )  # fmt: skip
    stored = lf_ref.LongformerModel(
        config, weights(config, "encoder", 1), dtype="float32" if dtype == "int8" else dtype
    )
    stored.save_pretrained(tmp_path / "model")
    if dtype == "int8":
        quantize(locate(tmp_path / "model"), tmp_path / "int8")
    folder = tmp_path / ("int8" if dtype == "int8" else "model")
    lf_ref.LongformerTokenizer.from_pretrained().save_pretrained(folder)
    loading = {"dtype": dtype, "backend": "numba"}
    pipe = Task("feature-extraction", str(folder), {}, loading).load(1).pipe
    own = sum(_bytes_of_its_own(weight) for weight in pipe.model.weights.values())
    assert own < 0.05 * (folder / "model.safetensors").stat().st_size
    for name, rows in (("intermediate.dense", 128), ("output.dense", 64)):
        weight = pipe.model.weights[f"encoder.layer.0.{name}.weight"]
        assert not _bytes_of_its_own(pipe.model._kernels._ready(weight, np.zeros(rows, np.float32))[0])


def _bytes_of_its_own(weight):
    """The bytes of an array that are not those of a mapped file."""
    array = owner = weight if isinstance(weight, np.ndarray) else weight.elements
    while isinstance(owner, np.ndarray | memoryview):
        owner = owner.base if isinstance(owner, np.ndarray) else owner.obj
    return 0 if isinstance(owner, mmap.mmap) else array.nbytes


def test_a_part_that_is_there_is_not_made_again(undisturbed, done, monkeypatch):
    """So that two runs on one output share the work."""
    before = {path.name: path.stat().st_mtime_ns for path in done.glob("part-*")}
    plain = local.engine
    monkeypatch.setattr(local, "engine", lambda todo, *setting, **options: plain(range(7), *setting, **options))
    (done / "part-000002.parquet").unlink()
    job(undisturbed.inputs, undisturbed.model, done, resume=True)
    after = {path.name: path.stat().st_mtime_ns for path in done.glob("part-*")}
    assert {name for name in before if after[name] != before[name]} == {"part-000002.parquet"}


def test_progress_has_the_rows_and_the_time_left(undisturbed, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("lf_ref.progress._BETWEEN_LINES", 0)
    job(undisturbed.inputs, undisturbed.model, tmp_path / "loud", quiet=False)
    lines = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"feature-extraction: \d+ of 23 rows done, \d\d:\d\d left", lines[-1])
    job(undisturbed.inputs, undisturbed.model, tmp_path / "quiet")
    assert capsys.readouterr().err == ""


# --- files ----------------------------------------------------------------------------------------------------------


@FEW
@given(rows=st.integers(0, 23), group=st.integers(1, 9), step=st.integers(1, 11), data=st.data())
def test_any_rows_of_any_file_are_those_that_were_written(tmp_path_factory, rows, group, step, data):
    folder = tmp_path_factory.mktemp("files")
    values = [{"text": f"row {row} ü", "id": row} for row in range(rows)]
    schema = pa.schema([("text", pa.string()), ("id", pa.int64())])
    pq.write_table(pa.Table.from_pylist(values, schema), folder / "a.parquet", row_group_size=group)
    ends = data.draw(st.lists(st.sampled_from(["\n", "\r\n"]), min_size=rows, max_size=rows))
    lines = (
        json.dumps(value, ensure_ascii=bool(value["id"] % 3)) + end for value, end in zip(values, ends, strict=True)
    )
    (folder / "a.jsonl").write_bytes("".join(lines).encode())
    for name in ("a.parquet", "a.jsonl"):
        file, types = scanned(stated(str(folder / name)), ["text"], ["id"] if rows else [], step)
        assert file.rows == rows
        assert {key: str(type_) for key, type_ in types.items()} == ({"id": "int64"} if rows else {})
        for part, first in enumerate(range(0, rows, step)):
            offset = file.offsets[part] if file.offsets else 0
            found = rows_of(file, "", first, min(first + step, rows), offset, ["text", "id"])
            assert list(found) == values[first : first + step]


@pytest.mark.filterwarnings("ignore:.*mean pooling")
def test_fields_of_json_are_kept_in_a_type_that_all_their_values_have(folders, tmp_path):
    values = {
        "whole": ([1, 2, None], "int64"), "real": ([1, 2.5, None], "double"), "yes": ([True, False, None], "bool"),
        "mixed": ([1, "two", {"three": [4]}], "string"), "text": (["A.", "B.", "C."], "string"),
    }  # fmt: skip
    rows = [{name: column[index] for name, (column, _) in values.items()} for index in range(3)]
    del rows[2]["yes"]
    table, summary = run("embed", folders, tmp_path, rows, keep=list(values))
    assert summary.answered == 3
    assert {name: str(table.schema.field(name).type) for name in values} == {
        name: kind for name, (_, kind) in values.items()
    }
    assert table["mixed"].to_pylist() == ["1", "two", '{"three": [4]}']
    assert [table[name].to_pylist() for name in ("whole", "real", "yes")] == [
        values[name][0] for name in ("whole", "real", "yes")
    ]


def test_fields_of_parquet_keep_their_types_and_their_values(undisturbed, tmp_path):
    """Times, which Python has not all values of, lists, and a field that a row is answered by, too."""
    whens = pa.array([1, 2], pa.timestamp("ns"))
    table = pa.table({"body": ["A.", "B."], "when": whens, "tags": [["a"], []], "my.name": pa.array([3, 4], pa.int8())})
    pq.write_table(table, tmp_path / "in.parquet")
    keep = ["my.name", "when", "tags", "body"]
    lf_ref.jobs.run(
        "feature-extraction", undisturbed.model, inputs=tmp_path / "in.parquet", output=tmp_path / "out",
        text_field="body", keep=keep, backend="numpy", num_threads=1,
    )  # fmt: skip
    found = pq.read_table(tmp_path / "out" / "part-000000.parquet")
    assert found.select(keep).equals(table.select(keep))


def test_fields_to_keep_have_one_type_in_all_files(undisturbed, tmp_path):
    for name, values in (("a.parquet", [1]), ("b.parquet", ["one"])):
        pq.write_table(pa.table({"body": ["x"], "id": values}), tmp_path / name)
    with pytest.raises(InputError, match=r"b\.parquet has 'id' as string, and files before it as int64"):
        job(tmp_path, undisturbed.model, tmp_path / "out")


def test_a_file_appears_whole_on_any_filesystem(tmp_path):
    for where in (str(tmp_path / "plain"), f"file://{tmp_path}/uri"):
        output = Output(where)
        assert output.names() == set()
        output.write("one", b"content")
        with pytest.raises(TypeError), output.writing("two") as path:
            path.write_bytes("no bytes")
        assert output.names() == {"one"}
        assert output.read("one") == b"content"
        assert not output.has("two")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["one", "one", "plain", "uri"]
    remote = Output("mock:///folder")
    with pytest.raises(TypeError), remote.writing("two") as path:
        path.write_bytes("no bytes")
    remote.write("one", b"content")
    assert (remote.names(), remote.read("one")) == ({"one"}, b"content")
    with pytest.raises(JobError, match="cannot be read"):
        remote.read("two")


def test_numbers_beyond_six_digits(tmp_path):
    for name in ("part-000007.parquet", "part-1234567.parquet", "part-7.parquet", "part-000008.parquet.tmp"):
        (tmp_path / name).touch()
    assert numbers_of(Output(str(tmp_path))) == [7, 1234567]
    assert counts_of(Output(str(tmp_path)), [], "") == {}
    assert Counts(1, 2, 3)._fields == ("answered", "bad", "tokens")


def test_every_engine_of_the_table_is_there():
    assert callable(engines.engine_of("local"))
    assert DEMO.exists()


def test_a_file_that_is_named_twice_is_read_once(undisturbed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a.jsonl").write_text('{"body": "The ship sailed."}\n')
    Path("link.jsonl").symlink_to("a.jsonl")
    inputs = ["a.jsonl", "./a.jsonl", f"{tmp_path}/a.jsonl", "link.jsonl"]
    usual = {"text_field": "body", "backend": "numpy", "quiet": True}
    summary = lf_ref.jobs.run("feature-extraction", undisturbed.model, inputs=inputs, output="out", **usual)
    assert (summary.rows, summary.answered) == (1, 1)


@pytest.mark.parametrize(
    ("values", "expected"),
    [([1, None, 2], "int64"), ([None, 0.5, 1], "double"), ([1, 0.5, None], "double"), ([None, None, None], "string")],
    ids=str,
)
def test_a_field_to_keep_may_be_null_or_whole_in_some_files(undisturbed, tmp_path, values, expected):
    for number, value in enumerate(values):
        (tmp_path / f"{number}.jsonl").write_text(json.dumps({"body": "The ship sailed.", "score": value}) + "\n")
    usual = {"text_field": "body", "keep": ["score"], "backend": "numpy", "quiet": True}
    inputs = f"{tmp_path}/*.jsonl"
    lf_ref.jobs.run("feature-extraction", undisturbed.model, inputs=inputs, output=tmp_path / "out", **usual)
    for number, value in enumerate(values):
        column = pq.read_table(tmp_path / "out" / f"part-{number:06d}.parquet")["score"]
        assert (str(column.type), column.to_pylist()) == (expected, [value])


def test_two_jobs_that_begin_at_once_are_noticed(undisturbed, tmp_path, monkeypatch):
    """The other one's manifest takes the place of this one's as soon as it is written."""
    output = tmp_path / "out"
    usual = {"inputs": f"{undisturbed.inputs}/*", "text_field": "body", "backend": "numpy", "quiet": True}
    lf_ref.jobs.run("feature-extraction", undisturbed.model, output=tmp_path / "other", **usual, max_length=50)
    write, manifest = Output.write, (tmp_path / "other" / "manifest.json").read_bytes()
    monkeypatch.setattr(Output, "write", lambda self, name, _: write(self, name, manifest))
    with pytest.raises(InputError, match=r"another job began in .* at the same time: give another output"):
        lf_ref.jobs.run("feature-extraction", undisturbed.model, output=output, **usual)
    assert [path.name for path in output.iterdir()] == ["manifest.json"]
