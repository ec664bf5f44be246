"""Creation of golden files: the expected tensors of cases, computed in float64 by the reference implementation."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np

from ...checkpoint import StoredTensors, open_tensors, read_config
from ...checkpoint.binding import fitting_heads
from ...checkpoint.names import HEADS
from ...config import CONFIG_NAME, LongformerConfig
from ...errors import CheckpointError, InputError
from ...files import Source, locate
from ...hf_names import accepts_names
from ...kernels.threads import limit_blas
from ...model import heads
from ...progress import progress
from ...tokenizer.arguments import as_sequence, as_strings, shown
from ...version import __version__
from .. import generator
from ..cases.case import Case, select_cases
from ..cases.standard_cases import cases_for_checkpoint, standard_cases
from ..comparison.calibration import calibrate, scaled
from ..comparison.precisions import PRECISIONS
from ..traces.recorder import name_filter
from ..traces.tensor_names import OUTPUTS, all_names, strip_prefix
from ..traces.trace import trace
from .format import CaseRecord, ExpectedTensor, write_golden
from .golden_file import Golden, load_golden
from .samples import sampled_indices, sampled_tokens, take_sample

# The tensors that a file stores by default: inputs and outputs of each layer and of its attention, and the outputs.
STORED = (
    "embeddings.LayerNorm",
    "encoder.layer.*.attention.self",
    "encoder.layer.*.output.LayerNorm",
    "pooler.activation",
    "lm_head.decoder",
    "classifier",
    "classifier.out_proj",
    *OUTPUTS,
)
# One case stores the projections too.
_PROJECTIONS = tuple(
    f"encoder.layer.*.attention.self.{name}{kind}" for name in ("query", "key", "value") for kind in ("", "_global")
)
STORED_OF = {"global-projections": (*STORED, *_PROJECTIONS)}
# Outputs, and the tensors that are equal to them, which take no more bytes.
_ALWAYS = ("pooler.activation", "lm_head.decoder", "classifier", "classifier.out_proj", *OUTPUTS)


@accepts_names()
def make_golden(
    path: str | os.PathLike[str],
    cases: str | Sequence[str] | Sequence[Case] = "standard",
    *,
    model: str | os.PathLike[str] | None = None,
    intermediates: str | Sequence[str] | None = None,
    command: str = "lf_ref.testing.make_golden",
    quiet: bool = True,
    **where: Any,
) -> Golden:
    """Compute the expected tensors of cases in float64 by the reference implementation, and write them to a file.

    The same call on the same machine writes the same bytes.

    Args:
        path: ends in .safetensors; an existing file is replaced.
        cases: "standard" for all, names of standard cases, or cases.
        model: a checkpoint, by folder or repository, whose weights and sizes to use: the standard cases that depend on
            inputs alone are adapted to it, and the manifest has the SHA-256 of its files.
        intermediates: the tensors to store beside the outputs: "all", or names or patterns, as for `trace`; by default
            the inputs and outputs of each layer and of its attention.
        command: the command that the manifest names.
        quiet: False for a progress bar on standard error, if that is a terminal.
        where: further arguments of `lf_ref.files.locate`, such as revision.

    Raises:
        InputError: a case is unknown, or no case; no tensor has a name of intermediates; the path has another ending,
            or cannot be written.
        CheckpointError: the checkpoint cannot be read. ConfigError: its config is invalid.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise InputError(f"the path of a golden file ends in .safetensors, got {path}")
    if not path.parent.is_dir():
        raise InputError(f"the folder {path.parent} does not exist; create it to write {path.name} there")
    source = None if model is None else locate(model, **where)
    tensors = None if source is None else open_tensors(source)
    facts = {"command": command, **_facts(source, tensors)}
    chosen = _chosen(cases, source, tensors)
    stored = None if intermediates is None else _patterns(intermediates, chosen)
    records = []
    with progress("golden file", len(chosen), "cases", quiet=quiet) as bar:
        for record in _records(chosen, tensors, stored):
            records.append(record)
            bar.update()
    try:
        write_golden(path, records, facts)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from error
    return load_golden(path)


def _patterns(intermediates: str | Sequence[str], cases: Iterable[Case]) -> tuple[str, ...]:
    """The names to record of the tensors to store."""
    given = [intermediates] if isinstance(intermediates, str) else as_strings("intermediates", intermediates)
    if given == ["all"]:
        return ("*",)
    known = all_names(max(case.config["num_hidden_layers"] for case in cases))
    wanted = tuple(map(strip_prefix, given))
    for pattern in wanted:
        if not any(map(name_filter(pattern), known)):
            nearest = get_close_matches(pattern, known, 1, 0.0)[0]
            raise InputError(
                f"intermediates are 'all', or names of tensors or patterns of them, got {pattern!r}; the nearest is "
                f"{nearest}"
            )
    return (*wanted, *_ALWAYS)


def _chosen(
    cases: str | Sequence[str] | Sequence[Case], source: Source | None, tensors: StoredTensors | None
) -> tuple[Case, ...]:
    """The cases of the argument `cases`."""
    given = [cases] if isinstance(cases, str) else as_sequence("cases", cases)
    if given is None:
        raise InputError(f"cases must be names of cases or cases, in a sequence, got {shown(cases)}")
    own = tuple(case for case in given if isinstance(case, Case))
    if own:
        if len(own) < len(given) or source is not None:
            raise InputError("pass either names of cases or cases; with model=, pass names")
        return own
    known = standard_cases()
    if source is not None and tensors is not None:
        config = read_config(source)
        known = cases_for_checkpoint(config, _class_of(config, tensors))
    return select_cases(known, given)


def _class_of(config: LongformerConfig, tensors: StoredTensors) -> str:
    """The class for a checkpoint: the one in its config, or the first with a head that its weights fit."""
    fitting = [HEADS[head] for head in fitting_heads(tensors, config)]
    named = [str(name) for name in config.architectures or () if name in fitting]
    if not fitting:
        raise CheckpointError(f"the weights in {tensors.origin} do not fit the config of the checkpoint")
    return (named or [name for name in fitting if name != "LongformerModel"] or fitting)[0]


def _records(
    cases: Iterable[Case], tensors: StoredTensors | None, stored: tuple[str, ...] | None
) -> Iterator[CaseRecord]:
    """The contents of the file for each case."""
    shared: dict[str, Any] = {}
    for case in cases:
        if tensors is None:
            model = case.model()
        elif not shared:
            config = LongformerConfig.from_dict(case.config)
            shared["model"] = getattr(heads, case.class_name)(config, tensors, dtype="float64", backend="numpy")
        with limit_blas(1):  # the result is then the same for any number of threads
            yield _compute(case, model if tensors is None else shared["model"], stored)


def _compute(case: Case, model: Any, stored: tuple[str, ...] | None) -> CaseRecord:
    """Run the reference implementation in float64, and again in each precision."""
    inputs: dict[str, Any] = dict(case.inputs)
    if stored is None:
        names = STORED_OF.get(case.name, STORED)
    else:
        names = (*stored, f"encoder.layer.{case.config['num_hidden_layers'] - 1}.output.LayerNorm")
    expected = trace(model, names=names, **inputs)
    canonical_names = dict.fromkeys(map(expected.canonical_name, expected.canonical_names))
    errors = {}
    for precision in PRECISIONS:
        found = scaled(calibrate(expected, precision), case.leeway)
        errors[precision] = {expected.canonical_name(name): error for name, error in found.items()}
    tokens = sampled_tokens(expected.run, f"tokens of {case.name}")
    tensors = {}
    for canonical in canonical_names:
        array = expected[canonical]
        indices = sampled_indices(canonical, array.shape, expected.run, tokens)
        tensors[canonical] = ExpectedTensor(take_sample(array, indices), array.shape, indices)
    outputs = {name: expected.canonical_name(name) for name in expected.run.outputs}
    return CaseRecord(case, expected.run, tensors, outputs, tokens, errors)


def _facts(source: Source | None, tensors: StoredTensors | None) -> dict[str, Any]:
    """The entries of the manifest beside the cases."""
    from threadpoolctl import threadpool_info

    blas = [
        " ".join(str(pool[key]) for key in ("internal_api", "version", "architecture") if pool.get(key))
        for pool in threadpool_info()
        if pool.get("user_api") == "blas"
    ]
    facts: dict[str, Any] = {
        "made_by": "lf_ref",
        "dtype": "float64",
        "versions": {
            "lf_ref": __version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
            "blas": ", ".join(sorted(set(blas))),
        },
        "generator": {"name": generator.NAME, "version": generator.VERSION},
    }
    if source is not None and tensors is not None:
        facts["checkpoint"] = {"name": source.name, "sha256": _hashes(source, tensors)}
    return facts


def _hashes(source: Source, tensors: StoredTensors) -> dict[str, str]:
    """The SHA-256 of the files of the checkpoint, by their names."""
    weights = Path(tensors.origin)
    files = [source.require(CONFIG_NAME), source.require(weights.name)]
    if weights.suffix == ".json":
        shards = json.loads(files[-1].read_text(encoding="utf-8"))["weight_map"].values()
        files += [source.require(shard) for shard in dict.fromkeys(shards)]
    found = {}
    for file in files:
        with open(file, "rb") as stream:
            digest = hashlib.sha256()
            while block := stream.read(1 << 20):
                digest.update(block)
        found[file.name] = digest.hexdigest()
    return found
