"""The golden file format: a safetensors file of expected tensors, with a manifest in its metadata.

`lf_ref/testing/README.md` describes how to read it from any language. Tensors are named

    input/CASE/NAME      an input: int64, or float32 for embeddings
    weight/CASE/NAME     float32, a weight that replaces the one of the generator or the checkpoint
    mask/CASE/visible    uint8 (rows, seq), 1 for tokens that are not masked; choices count as rows
    mask/CASE/is_global  uint8 (rows, seq), 1 for global tokens, the default of the head included
    expected/CASE/NAME   float64, an output or an intermediate

and the metadata has one entry, `lf_ref.golden`, with the manifest as JSON. Files of format 2 lack the parameters, the
number of labels and the leeway of each case, which this module can do without.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...checkpoint.names import expected_shapes, stored_name, untied_shapes
from ...checkpoint.safetensors_file import write_safetensors
from ...checkpoint.stored import StoredTensor
from ...config import LongformerConfig
from ...errors import CheckpointError, LfRefError
from ...files import replacing
from ...reference.ops import Array
from ..cases.case import HEAD_OF, Case
from ..comparison.calibration import ExpectedError
from ..traces.metadata import Run
from ..traces.tensor_file import read_tensors
from ..traces.tensor_names import OUTPUTS
from ..traces.trace import Trace
from ..traces.valid_elements import valid_elements
from .samples import Indices, lacks_positions

ENTRY, FORMAT, READABLE = "lf_ref.golden", 3, (2, 3)
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_MOST_WEIGHTS = 1 << 30  # elements that a manifest may request from the generator

# The arguments of a call, with the dtype that they are stored in.
_INPUTS = {
    **dict.fromkeys(
        ("input_ids", "attention_mask", "global_attention_mask", "token_type_ids", "position_ids"), "int64"
    ),
    **dict.fromkeys(("labels", "start_positions", "end_positions"), "int64"),
    "inputs_embeds": "float32",
}

Errors = dict[str, dict[str, ExpectedError]]  # by precision, then by canonical name


@dataclass(frozen=True)
class ExpectedTensor:
    """A tensor of a case: its values at the stored indices, float64; shape: of the full tensor."""

    values: Array
    shape: tuple[int, ...]
    indices: Indices


@dataclass(frozen=True)
class CaseRecord:
    """The contents of a file for one case.

    tensors: by canonical name. outputs: the canonical name of each output of the model, by its name. tokens: the stored
    tokens of the sequences, None for all. errors: the expected errors, by precision and canonical name.
    """

    case: Case
    run: Run
    tensors: dict[str, ExpectedTensor]
    outputs: dict[str, str]
    tokens: list[int] | None
    errors: Errors

    def trace(self) -> Trace:
        """The expected tensors, at the stored indices, as a trace."""
        run = self.run
        if self.tokens is not None:
            run = replace(run, visible=run.visible[:, self.tokens], is_global=run.is_global[:, self.tokens])
        tensors = {canonical: tensor.values for canonical, tensor in self.tensors.items()}
        sampled = [name for name, tensor in self.tensors.items() if lacks_positions(name, run, tensor.indices)]
        return Trace(tensors, run, sampled=sampled)

    def shapes(self) -> Trace:
        """Tensors of zeros in the full shapes, without memory for each element."""
        zero = np.zeros(())
        return Trace({canonical: np.broadcast_to(zero, t.shape) for canonical, t in self.tensors.items()}, self.run)

    @property
    def parameters(self) -> dict[str, list[int]]:
        """The shapes of the model's weights, by the names that HF stores them under."""
        config = LongformerConfig.from_dict(self.case.config)
        head = self.case.head if self.case.head != "model" or "pooler_output" in self.outputs else "encoder"
        return {stored_name(name, head): list(shape) for name, shape in untied_shapes(config, head).items()}


def write_golden(path: Path, records: list[CaseRecord], facts: Mapping[str, Any]) -> None:
    """Write a file. facts: the entries of the manifest beside the cases, as JSON values.

    Raises:
        OSError: the file cannot be written.
    """
    tensors: dict[str, StoredTensor] = {}

    def put(kind: str, case: str, name: str, array: Array) -> None:
        tensors[f"{kind}/{case}/{name}"] = StoredTensor(array.dtype.name, array)

    for record in records:
        case, run = record.case, record.run
        for name, array in case.inputs.items():
            put("input", case.name, name, array)
        for name, array in case.changes.items():
            put("weight", case.name, name, array)
        put("mask", case.name, "visible", run.visible.astype(np.uint8))
        put("mask", case.name, "is_global", run.is_global.astype(np.uint8))
        names = _file_names(record)
        for canonical, tensor in record.tensors.items():
            put("expected", case.name, names[canonical], tensor.values)
    manifest = {"format": FORMAT, **facts, "cases": [_entry(record) for record in records]}
    with replacing(path) as temporary:
        write_safetensors(temporary, tensors, {ENTRY: json.dumps(manifest, separators=(",", ":"))})


def _file_names(record: CaseRecord) -> dict[str, str]:
    """The name of each tensor in the file: that of the output, if it is one, else its canonical name."""
    outputs = {canonical: name for name, canonical in record.outputs.items()}
    return {canonical: outputs.get(canonical, canonical) for canonical in record.tensors}


def _entry(record: CaseRecord) -> dict[str, Any]:
    """The entry of a case in the manifest."""
    case, names = record.case, _file_names(record)
    expected = []
    for canonical, tensor in record.tensors.items():
        facts: dict[str, Any] = {"name": names[canonical], "canonical_name": canonical, "shape": list(tensor.shape)}
        if any(axis is not None for axis in tensor.indices):
            facts["indices"] = tensor.indices
        facts["error"] = {precision: asdict(errors[canonical]) for precision, errors in record.errors.items()}
        expected.append(facts)
    return {
        "name": case.name,
        "about": case.about,
        "class": case.class_name,
        "config": dict(case.config),
        "num_labels": record.run.config.num_labels,
        "parameters": record.parameters,
        "seed": case.seed,
        "leeway": float(case.leeway),
        "outputs": list(record.outputs),
        "tokens": record.tokens,
        "expected": expected,
    }


def read_golden(path: Path) -> tuple[dict[str, Any], list[CaseRecord]]:
    """Read the manifest and the cases of a file, and check them.

    Raises:
        CheckpointError: the file is damaged, hostile, or not a golden file.
    """
    if path.suffix != ".safetensors":
        raise CheckpointError(f"{path}: a golden file ends in .safetensors; pass outputs as the candidate")
    tensors, metadata = read_tensors(path)
    if ENTRY not in metadata:
        raise CheckpointError(f"{path} is not a golden file, as `lf-ref oracle make` writes it: it has no {ENTRY}")
    try:
        manifest = json.loads(metadata[ENTRY])
        json.dumps(manifest, ensure_ascii=False).encode()  # refuses lone surrogates, which JSON allows
        version = _field(manifest, "format", int)
        if version not in READABLE:
            readable = " and ".join(map(str, READABLE))
            raise CheckpointError(f"its format is {version}, but this lf_ref reads {readable}; make the file again")
        entries = _field(manifest, "cases", list)
        records = [_record(entry, tensors) for entry in entries]
        if version == FORMAT:
            _check_parameters(entries, records)
        _check_names(records, tensors)
    except (LfRefError, ValueError, TypeError, LookupError, RecursionError, OverflowError) as error:
        raise CheckpointError(f"{path} is invalid: {type(error).__name__}: {error}") from error
    return manifest, records


def _record(entry: Any, tensors: Mapping[str, Array]) -> CaseRecord:
    """One case."""
    name = _field(entry, "name", str)
    if not _PLAIN.fullmatch(name):
        raise CheckpointError(f"the name of a case consists of letters, digits, ., _ and -, got {name[:100]!r}")
    case, config = _case(name, entry, tensors)
    visible, is_global = (_mask(f"mask/{name}/{which}", tensors) for which in ("visible", "is_global"))
    if visible.shape != is_global.shape or visible.ndim != 2 or visible.size == 0:
        raise CheckpointError(f"case {name}: its masks are of shapes {visible.shape} and {is_global.shape}")
    tokens = entry.get("tokens")
    if tokens is not None:
        _check_indices(tokens, visible.shape[1], f"case {name}: tokens")
    expected: dict[str, ExpectedTensor] = {}
    errors: Errors = {}
    canonical_names: dict[str, str] = {}  # by name in the file
    for facts in _field(entry, "expected", list):
        canonical, called = _field(facts, "canonical_name", str), _field(facts, "name", str)
        if canonical in expected or called in canonical_names:
            raise CheckpointError(f"case {name}: {called} is listed twice")
        canonical_names[called] = canonical
        expected[canonical] = _expected(facts, tensors[f"expected/{name}/{called}"], f"case {name}: {called}")
        for precision, fields_ in _field(facts, "error", dict).items():
            errors.setdefault(precision, {})[canonical] = _error(fields_, f"case {name}: {called}")
    outputs = _field(entry, "outputs", list)
    if not set(outputs) <= set(OUTPUTS) & set(canonical_names):
        raise CheckpointError(f"case {name}: its outputs are not among the expected tensors")
    run = Run(case.class_name, config, "float64", "numpy", dict(case.inputs), visible, is_global, tuple(outputs))
    record = CaseRecord(case, run, expected, {output: canonical_names[output] for output in outputs}, tokens, errors)
    _check_fit(record)
    return record


def _check_fit(record: CaseRecord) -> None:
    """Check that the expected tensors fit the config, masks and tokens."""
    case, trace = record.case.name, record.trace()
    for output, canonical in record.outputs.items():
        found = trace.canonical_name(output)
        if found != canonical:
            raise CheckpointError(f"case {case}: {output} is listed as {canonical}, but equals {found}")
    for canonical, tensor in record.tensors.items():
        shape = tensor.values.shape
        try:
            np.broadcast_to(valid_elements(canonical, len(shape), trace.run, ignore_padding=False), shape)
        except ValueError as error:
            tokens = trace.run.visible.shape[1]
            raise CheckpointError(
                f"case {case}: {canonical} is float64 {shape}, which does not fit masks of {tokens} tokens"
            ) from error


def _case(name: str, entry: Any, tensors: Mapping[str, Array]) -> tuple[Case, LongformerConfig]:
    """The case, and its config."""
    class_name, config_fields, seed = _field(entry, "class", str), _field(entry, "config", dict), entry.get("seed")
    if class_name not in HEAD_OF:
        raise CheckpointError(f"case {name}: class must be one of {', '.join(HEAD_OF)}, got {class_name[:100]!r}")
    config = LongformerConfig.from_dict(config_fields)
    if seed is not None:
        if type(seed) is not int or not 0 <= seed < 2**64:
            raise CheckpointError(f"case {name}: seed must be an integer from 0 to 2^64 - 1, got {seed!r}")
        count = sum(math.prod(shape) for shape in expected_shapes(config, HEAD_OF[class_name]).values())
        if count > _MOST_WEIGHTS:
            raise CheckpointError(f"case {name}: its config needs {count} weights, more than {_MOST_WEIGHTS}")
    found: dict[str, dict[str, Array]] = {"input": {}, "weight": {}}
    for full, array in tensors.items():
        kind, _, rest = full.partition("/")
        owner, _, own = rest.partition("/")
        if kind in found and owner == name:
            found[kind][own] = array
    for own, array in found["input"].items():
        if array.dtype.name != _INPUTS.get(own):
            raise CheckpointError(f"case {name}: no class takes {own} as {array.dtype}")
    if not {"input_ids", "inputs_embeds"} & found["input"].keys():
        raise CheckpointError(f"case {name} has neither input_ids nor inputs_embeds")
    about, leeway = _field(entry, "about", str), entry.get("leeway", 1.0)
    if type(leeway) is not float or not 0 < leeway < math.inf:
        raise CheckpointError(f"case {name}: leeway must be a float above 0, got {leeway!r}")
    return Case(name, about, class_name, config_fields, found["input"], seed, found["weight"], leeway), config


def _expected(facts: Any, values: Array, where: str) -> ExpectedTensor:
    """An expected tensor, whose shape agrees with the manifest."""
    shape = _field(facts, "shape", list)
    if not all(type(length) is int for length in shape):
        raise CheckpointError(f"{where}: shape must be a list of integers, got {shape!r}")
    stored: Indices = facts.get("indices") or [None] * len(shape)
    for length, indices in zip(shape, stored, strict=True):
        if indices is not None:
            _check_indices(indices, length, f"{where}: indices")
    wanted = tuple(length if indices is None else len(indices) for length, indices in zip(shape, stored, strict=True))
    if values.dtype != np.float64 or values.shape != wanted:
        raise CheckpointError(f"{where} is {values.dtype} {values.shape}, the manifest lists float64 {wanted}")
    return ExpectedTensor(values, tuple(shape), stored)


def _check_names(records: list[CaseRecord], tensors: Mapping[str, Array]) -> None:
    """Check that every tensor belongs to a case, and that names of cases are unique."""
    known = [record.case.name for record in records]
    if len(set(known)) < len(known) or not known:
        raise CheckpointError(f"it must have cases with unique names, got {', '.join(known) or 'none'}")
    wanted = set()
    for record in records:
        name = record.case.name
        wanted |= {f"mask/{name}/visible", f"mask/{name}/is_global"}
        wanted |= {f"input/{name}/{own}" for own in record.case.inputs}
        wanted |= {f"weight/{name}/{own}" for own in record.case.changes}
        wanted |= {f"expected/{name}/{own}" for own in _file_names(record).values()}
    left = sorted(set(tensors) - wanted)
    if left:
        raise CheckpointError(f"{left[0]} belongs to no case")


def _check_parameters(entries: list[dict[str, Any]], records: list[CaseRecord]) -> None:
    """Check that the listed parameters and numbers of labels are those of the classes and configs."""
    for entry, record in zip(entries, records, strict=True):
        if _field(entry, "num_labels", int) != record.run.config.num_labels:
            raise CheckpointError(f"case {record.case.name}: num_labels is not that of its config")
        if _field(entry, "parameters", dict) != record.parameters:
            raise CheckpointError(f"case {record.case.name}: its parameters are not those of its class and config")


def _mask(name: str, tensors: Mapping[str, Array]) -> Array:
    array = tensors[name]
    if array.dtype != np.uint8 or not np.isin(array, (0, 1)).all():
        raise CheckpointError(f"{name} must hold 0 and 1 as uint8")
    return array.astype(bool)


def _check_indices(indices: Any, length: int, where: str) -> None:
    if not isinstance(indices, list) or not all(type(index) is int and 0 <= index < length for index in indices):
        raise CheckpointError(f"{where}: expected a list of indices from 0 to {length - 1}, got {str(indices)[:100]}")


def _error(entry: Any, where: str) -> ExpectedError:
    wanted = [field.name for field in fields(ExpectedError)]
    if not isinstance(entry, dict) or sorted(entry) != sorted(wanted):
        raise CheckpointError(f"{where}: an expected error has the fields {', '.join(wanted)}, got {entry!r}")
    sound = all(type(value) is float and math.isfinite(value) for value in entry.values())
    if not sound or min({**entry, "proportional": 0.0}.values()) < 0 or entry["effective_count"] == 0:
        raise CheckpointError(
            f"{where}: the fields of an expected error must be finite and not negative, "
            f"effective_count positive, got {entry!r}"
        )
    return ExpectedError(**entry)


def _field(entry: Any, name: str, kind: type[Any]) -> Any:
    """A field of a JSON object, checked for its type."""
    if not isinstance(entry, dict) or type(entry.get(name)) is not kind:
        raise CheckpointError(f"{name!r} is missing, or not of type {kind.__name__}")
    return entry[name]
