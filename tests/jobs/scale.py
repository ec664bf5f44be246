"""The figures of the guide on jobs: `python tests/jobs/scale.py` prints them. It writes 2 GB into a temporary folder.

No test runs this: a shared machine gives other times.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq

import lf_ref
from lf_ref.checkpoint import quantize
from lf_ref.files import locate
from lf_ref.jobs.inputs import scanned, stated
from lf_ref.jobs.output import Output
from lf_ref.jobs.parts import counts_of, part_name
from lf_ref.jobs.plan import planned
from lf_ref.records.columns import Answers, Vectors
from lf_ref.testing.generator import weights

ROWS, BYTES, FOOTERS = 20_000, 5_000, 1_000


def main() -> None:
    """Print each figure on a line."""
    with TemporaryDirectory() as folder:
        plan(Path(folder))
        footers(Path(folder))
        for name, model in checkpoints(Path(folder)).items():
            workers(Path(folder), name, model)


def plan(folder: Path) -> None:
    """The time and the size of the plan of JSON lines, and of Parquet."""
    texts = ["word " * (BYTES // 5)] * ROWS
    (folder / "a.jsonl").write_text(
        "".join(json.dumps({"id": row, "text": text}) + "\n" for row, text in enumerate(texts))
    )
    pq.write_table(pa.table({"id": range(ROWS), "text": texts}), folder / "a.parquet")
    for name in ("a.jsonl", "a.parquet"):
        file = stated(str(folder / name))
        start = time.process_time()  # of the CPU
        scanned(file, ["text"], ["id"], 10)
        seconds = time.process_time() - start
        content = planned({"keep": ["id"], "rows_per_part": 10}, [file], ["text"], Answers(Vectors(768))).to_json()
        gigabytes = ROWS * BYTES / 1e9
        print(
            f"plan of {name}: {seconds / gigabytes:.1f} s per GB of text, {len(content) * 10 / ROWS:.1f} bytes per part"
        )


def footers(folder: Path) -> None:
    """The time to read what parts say about themselves."""
    said = json.dumps({"job": "x", "part": 0, "answered": 1, "bad": 0, "tokens": 1})
    for number in range(FOOTERS):
        table = pa.table({"row": [1]}).replace_schema_metadata(
            {"lf_ref": said.replace('"part": 0', f'"part": {number}')}
        )
        pq.write_table(table, folder / part_name(number))
    start = time.perf_counter()
    counts_of(Output(str(folder)), range(FOOTERS), "x")
    print(f"parts looked at: {FOOTERS / (time.perf_counter() - start):.0f} per second on this disk")


def checkpoints(folder: Path) -> dict[str, Path]:
    """Checkpoints of base size in each precision, with random weights."""
    config = lf_ref.LongformerConfig(vocab_size=50265, max_position_embeddings=4098, type_vocab_size=1)
    tokenizer = lf_ref.LongformerTokenizer.from_pretrained()
    found = {name: folder / name for name in ("float32", "bfloat16", "int8")}
    for dtype in ("float32", "bfloat16"):
        lf_ref.LongformerModel(config, weights(config, "encoder", seed=1), dtype=dtype).save_pretrained(found[dtype])
    quantize(locate(found["float32"]), found["int8"])
    for path in found.values():
        tokenizer.save_pretrained(path)
    return found


def workers(folder: Path, name: str, model: Path) -> None:
    """How long a worker takes to get ready, and the memory of one and of two."""
    texts = ["word " * 1000] * 8
    pq.write_table(pa.table({"text": texts}), folder / "docs.parquet")
    held = []
    for count in (1, 2):
        output = folder / f"{name}-{count}"
        command = [
            sys.executable, "-m", "lf_ref", "map", "feature-extraction", "--model", model, "--dtype", name,
            "--input", folder / "docs.parquet", "--output", output, "--rows-per-part", "2",
            "--workers", str(count), "--num-threads", "1", "--quiet",
        ]  # fmt: skip
        peak = 0.0
        with subprocess.Popen([str(one) for one in command], stdout=subprocess.PIPE, text=True) as driver:
            while driver.poll() is None:
                peak = max(peak, proportional(driver.pid))
                time.sleep(0.3)
            rate = next(line for line in driver.stdout or () if line.startswith("tokens per second"))
        held.append(peak)
        print(f"{name}, {count} workers of one thread: {rate.split()[-1]} tokens per second")
    print(f"{name}: {held[0]:.0f} MB with one worker, {held[1] - held[0]:.0f} MB more with a second")


def proportional(driver: int) -> float:
    """MB of the children of a process, where memory that they share counts once in all."""
    try:
        children = Path(f"/proc/{driver}/task/{driver}/children").read_text().split()
        lines = [line for child in children for line in Path(f"/proc/{child}/smaps_rollup").read_text().splitlines()]
    except OSError:  # one has just ended
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


if __name__ == "__main__":
    main()
