"""The file that expected outputs are kept in: safetensors, with everything about them in its metadata.

The README says how to read it from any language. Tensors are called

    input/CASE/NAME      what goes in: int64, or float32 for vectors
    weight/CASE/NAME     float32, a weight that is not the generator's, or not that of the checkpoint
    mask/CASE/visible    uint8 (rows, seq), 1 for tokens that are not masked; choices count as rows
    mask/CASE/is_global  uint8 (rows, seq), 1 for global tokens, the head's own choice included
    expected/CASE/NAME   float64, an output or an intermediate

and the metadata has one entry, `lf_ref.golden`, with the manifest as JSON.
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

from ...checkpoint.names import expected_shapes
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
from ..traces.valid_elements import counted
from .samples import Places

ENTRY, FORMAT = "lf_ref.golden", 1
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_MOST_WEIGHTS = 1 << 30  # numbers that a manifest may ask the generator for

# What a call takes, with the dtype it is kept in.
_INPUTS = {
    **dict.fromkeys(
        ("input_ids", "attention_mask", "global_attention_mask", "token_type_ids", "position_ids"), "int64"
    ),
    **dict.fromkeys(("labels", "start_positions", "end_positions"), "int64"),
    "inputs_embeds": "float32",
}

Errors = dict[str, dict[str, ExpectedError]]  # by precision, then by place


@dataclass(frozen=True)
class Expected:
    """A tensor of a case: its values at the kept places, float64; shape is that of the full one."""

    values: Array
    shape: tuple[int, ...]
    kept: Places


@dataclass(frozen=True)
class Record:
    """What a file holds of one case.

    tensors: by their first names, as in a trace. outputs: the model's outputs, by name, and the first name of each.
    tokens: those of the sequences that are kept, None for all. errors: to be expected of each precision.
    """

    case: Case
    run: Run
    tensors: dict[str, Expected]
    outputs: dict[str, str]
    tokens: list[int] | None
    errors: Errors

    def trace(self) -> Trace:
        """The expected tensors, at the kept places, as `compare` takes them."""
        run = self.run
        if self.tokens is not None:
            run = replace(run, visible=run.visible[:, self.tokens], is_global=run.is_global[:, self.tokens])
        return Trace({place: tensor.values for place, tensor in self.tensors.items()}, run)


def write_golden(path: Path, records: list[Record], facts: Mapping[str, Any]) -> None:
    """Write a file; facts: what the manifest says beside the cases, as JSON values.

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
        for place, tensor in record.tensors.items():
            put("expected", case.name, names[place], tensor.values)
    manifest = {"format": FORMAT, **facts, "cases": [_entry(record) for record in records]}
    with replacing(path) as temporary:
        write_safetensors(temporary, tensors, {ENTRY: json.dumps(manifest, separators=(",", ":"))})


def _file_names(record: Record) -> dict[str, str]:
    """What each tensor is called in the file: by the output's name, where it is one, else by its first name."""
    outputs = {place: name for name, place in record.outputs.items()}
    return {place: outputs.get(place, place) for place in record.tensors}


def _entry(record: Record) -> dict[str, Any]:
    """A case in the manifest."""
    case, names = record.case, _file_names(record)
    expected = []
    for place, tensor in record.tensors.items():
        facts: dict[str, Any] = {"name": names[place], "place": place, "shape": list(tensor.shape)}
        if any(axis is not None for axis in tensor.kept):
            facts["kept"] = tensor.kept
        facts["error"] = {precision: asdict(errors[place]) for precision, errors in record.errors.items()}
        expected.append(facts)
    return {
        "name": case.name,
        "about": case.about,
        "class": case.class_name,
        "config": dict(case.config),
        "seed": case.seed,
        "outputs": list(record.outputs),
        "tokens": record.tokens,
        "expected": expected,
    }


def read_golden(path: Path) -> tuple[dict[str, Any], list[Record]]:
    """The manifest of a file, and its cases; everything about them is checked.

    Raises:
        CheckpointError: it is damaged, hostile, or no golden file.
    """
    if path.suffix != ".safetensors":
        raise CheckpointError(f"{path}: a golden file ends in .safetensors; outputs of a candidate are given as such")
    tensors, metadata = read_tensors(path)
    if ENTRY not in metadata:
        raise CheckpointError(f"{path} is not a golden file, as `lf-ref oracle make` writes it: it has no {ENTRY}")
    try:
        manifest = json.loads(metadata[ENTRY])
        json.dumps(manifest, ensure_ascii=False).encode()  # half a character, as JSON may have it, is refused
        version = _field(manifest, "format", int)
        if version != FORMAT:
            raise CheckpointError(f"its format is {version}, and this version of lf_ref reads {FORMAT}; make it again")
        records = [_record(entry, tensors) for entry in _field(manifest, "cases", list)]
        _check_names(records, tensors)
    except (LfRefError, ValueError, TypeError, LookupError, RecursionError, OverflowError) as error:
        raise CheckpointError(f"{path} is not right: {type(error).__name__}: {error}") from error
    return manifest, records


def _record(entry: Any, tensors: Mapping[str, Array]) -> Record:
    """One case."""
    name = _field(entry, "name", str)
    if not _PLAIN.fullmatch(name):
        raise CheckpointError(f"a case has a plain name, got {name[:100]!r}")
    case, config = _case(name, entry, tensors)
    visible, is_global = (_mask(f"mask/{name}/{which}", tensors) for which in ("visible", "is_global"))
    if visible.shape != is_global.shape or visible.ndim != 2 or visible.size == 0:
        raise CheckpointError(f"case {name}: its masks are of shapes {visible.shape} and {is_global.shape}")
    tokens = entry.get("tokens")
    if tokens is not None:
        _check_places(tokens, visible.shape[1], f"case {name}: tokens")
    expected: dict[str, Expected] = {}
    errors: Errors = {}
    places: dict[str, str] = {}  # by name in the file
    for facts in _field(entry, "expected", list):
        place, called = _field(facts, "place", str), _field(facts, "name", str)
        if place in expected or called in places:
            raise CheckpointError(f"case {name}: {called} is there twice")
        places[called] = place
        expected[place] = _expected(facts, tensors[f"expected/{name}/{called}"], f"case {name}: {called}")
        for precision, numbers in _field(facts, "error", dict).items():
            errors.setdefault(precision, {})[place] = _error(numbers, f"case {name}: {called}")
    outputs = _field(entry, "outputs", list)
    if not set(outputs) <= set(OUTPUTS) & set(places):
        raise CheckpointError(f"case {name}: its outputs are not among the expected tensors")
    run = Run(case.class_name, config, "float64", "numpy", dict(case.inputs), visible, is_global, tuple(outputs))
    record = Record(case, run, expected, {output: places[output] for output in outputs}, tokens, errors)
    _check_fit(record)
    return record


def _check_fit(record: Record) -> None:
    """What is expected fits what `compare` will make of config, masks and tokens."""
    case, trace = record.case.name, record.trace()
    for output, place in record.outputs.items():
        if trace.place(output) != place:
            raise CheckpointError(f"case {case}: {output} is said to be {place}, which is not where it comes from")
    for place, tensor in record.tensors.items():
        shape = tensor.values.shape
        try:
            np.broadcast_to(counted(place, len(shape), trace.run, ignore_padding=False), shape)
        except ValueError as error:
            tokens = trace.run.visible.shape[1]
            raise CheckpointError(
                f"case {case}: {place} is float64 {shape}, which does not fit masks of {tokens} tokens"
            ) from error


def _case(name: str, entry: Any, tensors: Mapping[str, Array]) -> tuple[Case, LongformerConfig]:
    """The case itself: model and inputs."""
    class_name, said, seed = _field(entry, "class", str), _field(entry, "config", dict), entry.get("seed")
    if class_name not in HEAD_OF:
        raise CheckpointError(f"case {name}: class must be one of {', '.join(HEAD_OF)}, got {class_name[:100]!r}")
    config = LongformerConfig.from_dict(said)
    if seed is not None:
        if type(seed) is not int or not 0 <= seed < 2**64:
            raise CheckpointError(f"case {name}: a seed is an integer from 0 to 2^64 - 1, got {seed!r}")
        count = sum(math.prod(shape) for shape in expected_shapes(config, HEAD_OF[class_name]).values())
        if count > _MOST_WEIGHTS:
            raise CheckpointError(f"case {name}: its config asks for {count} weights, at most {_MOST_WEIGHTS} are made")
    found: dict[str, dict[str, Array]] = {"input": {}, "weight": {}}
    for full, array in tensors.items():
        kind, _, rest = full.partition("/")
        owner, _, own = rest.partition("/")
        if kind in found and owner == name:
            found[kind][own] = array
    for own, array in found["input"].items():
        if array.dtype.name != _INPUTS.get(own):
            raise CheckpointError(f"case {name}: no class takes {own} of {array.dtype}")
    if not {"input_ids", "inputs_embeds"} & found["input"].keys():
        raise CheckpointError(f"case {name} has neither input_ids nor inputs_embeds")
    about = _field(entry, "about", str)
    return Case(name, about, class_name, said, found["input"], seed, found["weight"]), config


def _expected(facts: Any, values: Array, where: str) -> Expected:
    """An expected tensor, which is as large as the manifest says."""
    shape = _field(facts, "shape", list)
    if not all(type(length) is int for length in shape):
        raise CheckpointError(f"{where}: a shape is of integers, got {shape!r}")
    kept: Places = facts.get("kept") or [None] * len(shape)
    for length, places in zip(shape, kept, strict=True):
        if places is not None:
            _check_places(places, length, f"{where}: kept")
    wanted = tuple(length if places is None else len(places) for length, places in zip(shape, kept, strict=True))
    if values.dtype != np.float64 or values.shape != wanted:
        raise CheckpointError(f"{where} is {values.dtype} {values.shape}, said to be float64 {wanted}")
    return Expected(values, tuple(shape), kept)


def _check_names(records: list[Record], tensors: Mapping[str, Array]) -> None:
    """Every tensor belongs to a case, and no two cases have one name."""
    known = [record.case.name for record in records]
    if len(set(known)) < len(known) or not known:
        raise CheckpointError(f"it needs cases, each with a name of its own, got {', '.join(known) or 'none'}")
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


def _mask(name: str, tensors: Mapping[str, Array]) -> Array:
    array = tensors[name]
    if array.dtype != np.uint8 or not np.isin(array, (0, 1)).all():
        raise CheckpointError(f"{name} must hold uint8 0 and 1")
    return array.astype(bool)


def _check_places(places: Any, length: int, where: str) -> None:
    if not isinstance(places, list) or not all(type(place) is int and 0 <= place < length for place in places):
        raise CheckpointError(f"{where}: a list of places from 0 to {length - 1} is wanted, got {str(places)[:100]}")


def _error(numbers: Any, where: str) -> ExpectedError:
    wanted = [field.name for field in fields(ExpectedError)]
    if not isinstance(numbers, dict) or sorted(numbers) != sorted(wanted):
        raise CheckpointError(f"{where}: an error to expect has the fields {', '.join(wanted)}, got {numbers!r}")
    sound = all(type(number) is float and math.isfinite(number) for number in numbers.values())
    if not sound or min({**numbers, "gained": 0.0}.values()) < 0 or numbers["numbers"] == 0:
        raise CheckpointError(
            f"{where}: an error to expect is of finite numbers from 0 on, numbers above 0, got {numbers!r}"
        )
    return ExpectedError(**numbers)


def _field(entry: Any, name: str, kind: type[Any]) -> Any:
    """A field of a JSON object, of a certain type."""
    if not isinstance(entry, dict) or type(entry.get(name)) is not kind:
        raise CheckpointError(f"{name!r} is missing, or is not of type {kind.__name__}")
    return entry[name]
