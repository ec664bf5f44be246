"""`run`: from arguments to the summary of a job.

That a part is a pure function of its input, written aside and renamed, is MapReduce's (https://research.google/pubs/pub62/).
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from inspect import signature
from typing import Any

from ..batches.task import Task, fields_of, model_name, options_of
from ..errors import InputError, JobError
from ..hf_names import accepts_names
from ..progress import progress
from ..records import strict_json
from ..records.sources import display, find
from ..tokenizer.arguments import check_count, shown
from ..version import __version__
from .engines import engine_of
from .fingerprint import fingerprint
from .inputs import stated
from .output import Output
from .parts import SUCCESS, Counts, counts_of, numbers_of
from .plan import MANIFEST, Plan, check_same, planned
from .worker import Setting


@dataclass(frozen=True)
class Summary:
    """How a job stands.

    rows: of all inputs, answered + bad + missing. answered: those with a result. bad: those with an error. missing:
    those of parts that are not there. parts: how many there are to be. failed: why a part could not be made in this
    run, by its number. seconds, documents_per_second, tokens_per_second: of this run; the model ran the tokens.
    """

    rows: int
    answered: int
    bad: int
    missing: int
    parts: int
    failed: Mapping[int, str]
    seconds: float
    documents_per_second: float
    tokens_per_second: float

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON has them."""
        return {**asdict(self), "failed": {str(number): why for number, why in self.failed.items()}}


@accepts_names()
def run(
    task: str,
    model: str | os.PathLike[str] | None = None,
    *,
    inputs: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    output: str | os.PathLike[str],
    text_field: str | Mapping[str, str] | None = None,
    keep: Sequence[str] = (),
    rows_per_part: int = 1000,
    resume: bool = False,
    shard: tuple[int, int] | None = None,
    engine: str = "local",
    address: str | None = None,
    workers: int = 1,
    num_threads: int | None = None,
    quiet: bool = False,
    tokenizer: str | os.PathLike[str] | None = None,
    dtype: str | None = None,
    backend: str = "numba",
    batch_tokens: int = 2048,
    revision: str | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    token: str | bool | None = None,
    local_files_only: bool = False,
    **options: Any,
) -> Summary:
    """Run a task on all rows of files, in parts that are written one by one, so that the job can go on after any end.

    Args:
        task: of a pipeline, or "embed" for `SentenceEncoder`.
        model: a folder, a Hub repository id, or None for the bundled demo model. Each worker loads it by this name.
        inputs: Parquet files and files of JSON lines: paths, folders, or patterns.
        output: the folder of the parts, or its URI on a filesystem that pyarrow knows, such as "s3://bucket/folder".
        text_field: the name of the field of the text, if it is another than the task's; or a dict of such names.
        keep: fields that come out again beside the result.
        rows_per_part: how many rows of a file make a part at most.
        resume: go on with the job that is in the output, if there is one.
        shard: (i, n) for one of n runs of the same job on one output, i from 0; each does every n-th part.
        engine: "local" for processes of this machine, or "ray" for those of a cluster.
        address: of the cluster.
        workers: the number of processes, each of which loads the model.
        num_threads: threads of each worker; None for its share of the CPUs.
        quiet: show no progress.
        tokenizer: the name of the checkpoint that has it; by default that of the model.
        batch_tokens: tokens of a batch, as for `pipeline`; half as many by default, since each worker has a batch.
        dtype, backend, revision, cache_dir, token, local_files_only: as for `pipeline`.
        options: of the task. Without pooling and without modules embeddings are pooled by mean.

    Returns:
        The summary. A job is complete when nothing is missing; the output then has a file _SUCCESS.

    Raises:
        InputError: an argument does not fit; an input has changed, or lacks a field; the output holds another job.
        CheckpointError, ConfigError: the checkpoint cannot be loaded.
        JobError: workers die before they are ready, or the output cannot be written; the job can be resumed.
    """
    start = time.perf_counter()
    loading = {
        "tokenizer": model_name(tokenizer),
        "dtype": dtype,
        "backend": backend,
        "batch_tokens": batch_tokens,
        "revision": revision,
        "cache_dir": None if cache_dir is None else os.path.abspath(cache_dir),
        "token": token,
        "local_files_only": local_files_only,
    }
    run_engine = engine_of(engine)
    if engine == "local" and address is not None:
        raise InputError("address= is that of a Ray cluster: give engine='ray' with it")
    check_count("workers", workers)
    check_count("rows_per_part", rows_per_part)
    chosen = _as_json(options_of(task, "run()", options, signature(run).parameters))
    fields = fields_of(task, "text_field", text_field)
    described = {"options": chosen, "fields": fields.names, "keep": _names(keep), "rows_per_part": rows_per_part}
    work = Task(task, model_name(model), chosen, loading)
    paths = _paths(inputs)
    target = Output(os.fspath(output))
    index, step = (0, 1) if shard is None else _check_shard(shard)
    required = [fields.names[name] for name in fields.required]
    plan, before = _begin(work, num_threads, described, paths, required, target, resume or shard is not None)
    todo = [number for number in range(index, len(plan.shards), step) if number not in before]
    counts = dict(before)
    failed: dict[int, str] = {}
    if todo:
        setting = Setting(plan, work, fields, target.location, os.getcwd())
        running = run_engine(todo, setting, workers=workers, num_threads=num_threads, address=address)
        rows = sum(_rows(plan, number) for number in todo)
        try:
            with closing(running), progress(task, rows, "rows", quiet=quiet) as bar:
                for number, reason in running:
                    if reason is not None:
                        failed[number] = f"{_place(plan, number)}: {reason}"
                    bar.update(_rows(plan, number))
        except JobError as error:
            raise JobError(f"{error}; what is done stays, and resume=True goes on with the job") from error
        counts |= counts_of(target, set(numbers_of(target)) - counts.keys(), plan.id)
    return _end(target, plan, before, counts, failed, time.perf_counter() - start)


def _begin(
    work: Task,
    num_threads: int | None,
    described: Mapping[str, Any],
    paths: Sequence[str],
    required: Sequence[str],
    target: Output,
    goes_on: bool,
) -> tuple[Plan, dict[int, Counts]]:
    """The plan of the job that is in the output, or of a new one, and the counts of the parts that are there.

    Whatever could keep all workers from working is tried before anything is written.
    """
    names = target.names()
    if names and MANIFEST not in names:
        raise InputError(f"the output {target.where} is not empty, and holds no job: give another one")
    answering = work.load(num_threads)
    pipe = answering.pipe
    job = {
        "lf_ref": __version__,
        "task": work.name,
        "model": fingerprint(pipe),
        "dtype": pipe.model.weight_dtype,
        "backend": pipe.model.backend,
        **described,
    }
    if MANIFEST not in names:
        plan = planned(job, [stated(path) for path in paths], required, answering.answers)
        answering.try_out()
        target.write(MANIFEST, plan.to_json())
        if Plan.from_json(target.read(MANIFEST), f"{target.where}/{MANIFEST}").id != plan.id:
            raise InputError(f"another job began in {target.where} at the same time: give another output")
        return plan, {}
    plan = Plan.from_json(target.read(MANIFEST), f"{target.where}/{MANIFEST}")
    check_same(plan, job, paths, target.where)
    counts = counts_of(target, numbers_of(target), plan.id)
    if len(counts) < len(plan.shards):
        if not goes_on:
            raise InputError(
                f"the output {target.where} holds this job, with {len(counts)} of {len(plan.shards)} parts: "
                "resume=True goes on with it"
            )
        answering.try_out()
    return plan, counts


def _end(
    target: Output,
    plan: Plan,
    before: Mapping[int, Counts],
    counts: Mapping[int, Counts],
    failed: Mapping[int, str],
    seconds: float,
) -> Summary:
    """The summary; a job that is complete is marked as such."""
    answered, bad, _ = map(sum, zip(*counts.values(), strict=True)) if counts else (0, 0, 0)
    missing = plan.rows - answered - bad
    if not missing and not target.has(SUCCESS):
        content = {"job": plan.id, "rows": plan.rows, "answered": answered, "bad": bad}
        target.write(SUCCESS, f"{strict_json.dumps(content)}\n".encode())
    new = [found for number, found in counts.items() if number not in before]
    documents, tokens = sum(found.answered + found.bad for found in new), sum(found.tokens for found in new)
    return Summary(
        rows=plan.rows,
        answered=answered,
        bad=bad,
        missing=missing,
        parts=len(plan.shards),
        failed=failed,
        seconds=seconds,
        documents_per_second=documents / seconds,
        tokens_per_second=tokens / seconds,
    )


def _rows(plan: Plan, number: int) -> int:
    shard = plan.shards[number]
    return shard.last - shard.first


def _place(plan: Plan, number: int) -> str:
    shard = plan.shards[number]
    return f"rows {shard.first} to {shard.last - 1} of {display(shard.file.path)}"


def _paths(inputs: Any) -> list[str]:
    """The paths of the files, each file once, however it is spelt."""
    patterns = [inputs] if isinstance(inputs, str | os.PathLike) else inputs
    if not isinstance(patterns, Iterable) or not (patterns := [*patterns]):
        raise InputError(f"inputs= must name a file at least, got {inputs!r:.80}")
    if not all(isinstance(pattern, str | os.PathLike) for pattern in patterns):
        raise InputError(f"inputs= must be paths or patterns, got {shown(patterns)}")
    found = sorted(find(os.fspath(pattern) for pattern in patterns), reverse=True)
    return sorted({os.path.realpath(path): path for path in found}.values())


def _names(keep: Any) -> list[str]:
    """The fields to keep, each once."""
    if isinstance(keep, str) or not isinstance(keep, Iterable) or not all(isinstance(name, str) for name in keep):
        raise InputError(f"keep= must be a list of the names of fields, got {keep!r}")
    return list(dict.fromkeys(keep))


def _as_json(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a job as its manifest stores them."""
    if any(callable(value) for value in options.values()):
        raise InputError(f"the options of a job are stored as JSON, which has no functions, got {shown(options)}")
    try:
        plain: dict[str, Any] = strict_json.loads(strict_json.dumps(options))
    except (TypeError, ValueError) as error:
        raise InputError(f"the options of a job are stored as JSON, got {shown(options)}: {error}") from error
    return plain


def _check_shard(shard: Any) -> tuple[int, int]:
    try:
        index, count = shard
        check_count("shard", index, least=0)
        if index < count:
            return index, count
    except (TypeError, ValueError):
        pass
    raise InputError(f"shard must be (i, n), the i-th of n runs, i from 0 to n - 1, got {shard!r}")
