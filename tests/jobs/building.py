"""A job of few rows on a tiny model, and what it must leave behind."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

import lf_ref.jobs

ROWS_PER_PART = 4
PLAIN = {"backend": "numpy", "num_threads": 1, "quiet": True, "rows_per_part": ROWS_PER_PART}
ROWS = {"a.parquet": 11, "b.jsonl": 7, "empty.parquet": 0, "z.parquet": 5}
PARTS = 3 + 2 + 2
BAD = {("a.parquet", 2): "a missing value", ("a.parquet", 9): "has 404 tokens", ("b.jsonl", 3): "is not JSON"}


def write_inputs(folder: Path) -> None:
    """Three files with rows, of which three do not fit: a null, one that is too long, and one that is no JSON."""
    folder.mkdir(parents=True)
    for name, count in ROWS.items():
        texts = [f"The ship {name} sailed {row} times." + " Twice!" * (row % 5) for row in range(count)]
        ids = list(range(100, 100 + count))
        if name == "a.parquet":
            texts[2], texts[9] = None, "word " * 400
        if name == "b.jsonl":
            lines = [json.dumps({"body": text, "id": one}) for text, one in zip(texts, ids, strict=True)]
            lines[3] = lines[3][:-5]
            (folder / name).write_text("\n".join(lines) + "\n")
        else:
            table = pa.table({"body": pa.array(texts, pa.string()), "id": ids, "other": [None] * count})
            pq.write_table(table, folder / name, row_group_size=3)


def job(folder: Path, model: str, output: Path, **options):
    """Run the job, by default on one worker."""
    return lf_ref.jobs.run(
        "feature-extraction", model, inputs=f"{folder}/*", output=str(output), text_field="body", keep=["id"],
        **{**PLAIN, **options},
    )  # fmt: skip


def left(output: Path) -> dict[str, bytes]:
    """Names and contents of all files that count."""
    return {path.name: path.read_bytes() for path in output.iterdir() if not path.name.startswith(".")}


def rows_of(output: Path) -> list[tuple[str, int]]:
    """File and row of each answer and each error, in order."""
    found = []
    for path in output.glob("part-*.parquet"):
        table = pq.read_table(path)
        found += zip(table["file"].to_pylist(), table["row"].to_pylist(), strict=True)
    for path in output.glob("errors-*.jsonl"):
        found += [(line["file"], line["row"]) for line in map(json.loads, path.read_text().splitlines())]
    return sorted((Path(file).name, row) for file, row in found)


EVERY_ROW = sorted((name, row) for name, count in ROWS.items() for row in range(count))
