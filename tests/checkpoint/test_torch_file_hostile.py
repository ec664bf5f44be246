"""What a hostile torch file may try: code, tensors outside their storage, bombs."""

from __future__ import annotations

import pickle
import struct
import time
import zipfile

import pytest
from checkpoint.torch_files import VALUES, floats, refuses, write

from oracles import torch_writer as w
from oracles.memory import peak_growth

# --- pickles that would do something ----------------------------------------------------------------------------------

HOSTILE_NAMES = [
    ("os", "system"),
    ("posix", "system"),
    ("builtins", "eval"),
    ("torch", "load"),
    ("torch", "FloatStorage.__class__"),
    ("torch._utils", "_rebuild_tensor"),
    ("torch.serialization", "load"),
    ("collections", "OrderedDict.update"),
    ("numpy", "fromfile"),
    ("lf_ref.files", "write_beside"),
    ("transformers.training_args", "TrainingArguments"),
]


@pytest.mark.parametrize("form", ["zip", "stream"])
@pytest.mark.parametrize(("module", "attribute"), HOSTILE_NAMES)
def test_a_name_that_tensors_do_not_need_is_refused_by_name_and_never_imported(tmp_path, form, module, attribute):
    marker = tmp_path / "ran"
    body = w.dictionary({"a": w.call(w.name(module, attribute), w.text(f"touch {marker}"))})
    write(tmp_path, form, lambda _: body, b"")
    refuses(tmp_path, f"{module}.{attribute}".replace(".", r"\.") + ".*not imported")
    assert not marker.exists()


def test_pickles_of_pythons_own_making_run_nothing(tmp_path):
    marker = tmp_path / "ran"

    class Bomb:
        def __reduce__(self):
            return (exec, (f"open({str(marker)!r}, 'w')",))

    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        content = pickle.dumps({"a": Bomb()}, protocol)
        with zipfile.ZipFile(tmp_path / "pytorch_model.bin", "w") as archive:
            archive.writestr("archive/data.pkl", content)
        refuses(tmp_path, r"exec|GLOBAL|uses|DICT")
        (tmp_path / "pytorch_model.bin").write_bytes(content)
        refuses(tmp_path, "exec|torch.save")
    assert not marker.exists()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"(" + w.text("touch ran") + b"ios\nsystem\n", "INST"),
        (b"(" + w.name("collections", "OrderedDict") + b"o", "OBJ"),
        (w.name("collections", "OrderedDict") + b")\x81", "NEWOBJ"),
        (w.name("collections", "OrderedDict") + b")}\x92", "NEWOBJ_EX"),
        (b"\x82\x01", "EXT1"),
        (b"P0\n", "PERSID"),
        (b"2", "DUP"),
        (b"\x8b" + struct.pack("<i", 4) + b"\0\0\0\0", "LONG4"),
        (w.text("os") + w.text("system") + b"\x93", r"os\.system"),
        (w.text("a") + b")R", "not a function"),
        (w.call(w.name("torch", "FloatStorage"), w.integer(1 << 40)), "FloatStorage with other arguments"),
        (w.call(w.name("collections", "OrderedDict"), w.list_of()), "OrderedDict with other arguments"),
        (w.call(w.name("torch._utils", "_rebuild_parameter"), w.integer(1), w.TRUE, w.NONE), "other arguments"),
        (w.name("collections", "OrderedDict") + w.dictionary({"x": w.NONE}) + b"b", "in place of dict"),
        (b"}" + w.tuple_of(w.text("a")) + w.NONE + b"s", "as a key"),
        (b"}(" + w.text("a") + b"u", "broken"),
        (b"h\x07", "broken"),
        (b"", "broken"),
        (b"0", "POP"),
        (b"(", "mark in place"),
        (b"\xff", "broken"),
    ],
)
def test_opcodes_and_calls_beyond_tensors_are_refused(tmp_path, body, message):
    write(tmp_path, "zip", lambda _: body, b"")
    refuses(tmp_path, message)
    write(tmp_path, "stream", lambda _: body, b"")
    refuses(tmp_path, message)


@pytest.mark.parametrize("form", ["zip", "stream"])
@pytest.mark.parametrize(
    ("offset", "shape", "strides"),
    [
        (0, (13,), (1,)),
        (1, (12,), (1,)),
        (12, (1,), (1,)),
        (0, (3, 4), (5, 1)),
        (0, (1 << 40, 1 << 40), (0, 0)),
        (0, (13,), (0,)),
        (-1, (2,), (1,)),
        (11, (12,), (-1,)),
        (0, (-2,), (1,)),
        (1 << 62, (1,), (1,)),
        (0, (2,), (1 << 61,)),
        (0, (2, 3), (1,)),
        (0, (1,) * 65, (1,) * 65),
    ],
)
def test_a_tensor_outside_its_storage_is_refused(tmp_path, form, offset, shape, strides):
    write(tmp_path, form, lambda place: w.dictionary({"a": w.tensor(place, offset, shape, strides)}), VALUES.tobytes())
    refuses(tmp_path, "outside its storage|no count|axes")


@pytest.mark.parametrize(
    ("place", "message"),
    [
        (w.tuple_of(w.text("module"), w.NONE, w.NONE, w.NONE, w.NONE) + b"Q", "no storage"),
        (w.text("storage") + b"Q", "no storage"),
        (
            w.tuple_of(w.text("storage"), w.text("FloatStorage"), w.text("0"), w.text("cpu"), w.integer(12)) + b"Q",
            "class",
        ),
        (w.storage("FloatStorage", "0", -1), "length"),
        (
            w.storage("FloatStorage", "0", 12, legacy=True, view=w.tuple_of(w.text("1"), w.integer(0), w.integer(3))),
            "0.4",
        ),
        (w.storage("FloatStorage", "../../etc/passwd", 12), "lacks the storage"),
        (w.storage("FloatStorage", "0", 11), "48 bytes"),
        (w.storage("DoubleStorage", "0", 12), "48 bytes"),
    ],
)
def test_missing_storages_are_refused(tmp_path, place, message):
    w.write_zip(
        tmp_path / "pytorch_model.bin", w.dictionary({"a": w.tensor(place, 0, (1,), (1,))}), {"0": VALUES.tobytes()}
    )
    refuses(tmp_path, message)


def test_one_storage_with_two_dtypes_is_refused(tmp_path):
    body = w.dictionary(
        {
            "a": w.tensor(floats(), 0, (12,), (1,)),
            "b": w.tensor(w.storage("IntStorage", "0", 12), 0, (12,), (1,)),
        }
    )
    w.write_zip(tmp_path / "pytorch_model.bin", body, {"0": VALUES.tobytes()})
    refuses(tmp_path, "two dtypes")


# --- bombs ------------------------------------------------------------------------------------------------------------


def nested_tuples(depth: int) -> bytes:
    """((x, x), (x, x)), doubled `depth` times through the memo: 2 ** depth leaves in a few bytes."""
    steps = [b")q\x00"]
    steps += [b"h" + bytes([level - 1]) + b"\x86q" + bytes([level]) for level in range(1, depth)]
    return b"".join(steps)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (w.dictionary({"a": nested_tuples(200)}), "holds tuple under 'a'"),
        (nested_tuples(200), "holds no state dict but tuple"),
        (b"}" + nested_tuples(200) + w.NONE + b"s", "as a key"),
        (w.call(w.name("collections", "OrderedDict"), nested_tuples(200)), "other arguments"),
        (w.storage("FloatStorage", "0", 12)[:-1] + nested_tuples(200) + b"Q", "no storage"),
        (w.dictionary({"a": w.tensor(nested_tuples(200), 0, (1,), (1,))}), "without storage"),
        (b"]" * 900_000, "holds no state dict but list"),
        (b"]" * 2_000_000, "too many parts"),
        (b"](" * 300_000 + b"e" * 300_000, "holds no state dict but list"),
        (w.text("x") + b"r\xff\xff\xff\xff", "holds no state dict but str"),
        (b"X\xff\xff\xff\x7f", "broken"),
        (b"\x8d" + b"\xff" * 8, "broken"),
        (b"]" * (17 << 20), "too many|bytes"),
    ],
    ids=range(13),
)
def test_bombs_end_quickly_and_small(tmp_path, body, message):
    for form in ("zip", "stream"):
        write(tmp_path, form, lambda _: body, b"")
        start = time.process_time()
        refuses(tmp_path, message)
        assert (
            time.process_time() - start < 20
        )  # seconds of the processor; the doubled ones would take longer than the universe has


def test_bombs_take_no_memory(tmp_path):
    """A memo entry of number 2 ** 32 - 1, and a text that says it is 8 GB long in a file that is."""
    write(tmp_path, "zip", lambda _: w.text("x") + b"r\xff\xff\xff\xff", b"")
    (tmp_path / "sparse").mkdir()
    write(tmp_path / "sparse", "stream", lambda _: b"\x8d" + struct.pack("<Q", 1 << 33), b"")
    with open(tmp_path / "sparse" / "pytorch_model.bin", "ab") as file:
        file.truncate(1 << 33)
    setup = """
from lf_ref.checkpoint import open_tensors
from lf_ref.errors import CheckpointError
from lf_ref.files import locate
"""
    measured = """
for folder in sys.argv[1:]:
    try:
        open_tensors(locate(folder))
    except CheckpointError:
        continue
    sys.exit(f"{folder} was read")
"""
    assert peak_growth(setup, measured, tmp_path, tmp_path / "sparse") < 100


def test_a_compressed_entry_is_refused(tmp_path):
    body = w.dictionary({"a": w.tensor(floats(), 0, (12,), (1,))})
    w.write_zip(tmp_path / "pytorch_model.bin", body, {"0": bytes(1 << 20)}, compression=zipfile.ZIP_DEFLATED)
    refuses(tmp_path, "compressed")
