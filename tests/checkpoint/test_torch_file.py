"""torch files without torch: both forms, every dtype and stride, and what a hostile file may try."""

from __future__ import annotations

import itertools
import pickle
import struct
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lf_ref.checkpoint import open_tensors
from lf_ref.errors import CheckpointError
from lf_ref.files import locate
from oracles import torch_writer as w
from oracles.memory import peak_growth

GOLDEN = Path(__file__).parent / "golden"
KINDS = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}
VALUES = np.arange(12, dtype="<f4")


def read(folder: Path) -> dict[str, np.ndarray]:
    return {name: tensor.array(np.float64) for name, tensor in open_tensors(locate(folder)).items()}


def floats(length: int = 12, key: str = "0", legacy: bool = False) -> bytes:
    return w.storage("FloatStorage", key, length, legacy=legacy)


def write(folder: Path, form: str, body_of_storage, raw: bytes, kind: str = "FloatStorage") -> Path:
    """A file of either form whose one storage holds `raw`; `body_of_storage` builds the value from the storage."""
    length = len(raw) // np.dtype(KINDS.get(kind, "<u2")).itemsize
    body = body_of_storage(w.storage(kind, "0", length, legacy=form == "stream"))
    path = folder / "pytorch_model.bin"
    if form == "zip":
        return w.write_zip(path, body, {"0": raw})
    return w.write_stream(path, body, {"0": (length, raw)} if raw else {})


def refuses(folder: Path, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        read(folder)


# --- what torch wrote itself ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["zip", "stream", "protocol4"])
def test_reads_the_files_that_torch_wrote(tmp_path, form):
    (tmp_path / "pytorch_model.bin").write_bytes((GOLDEN / f"{form}.bin").read_bytes())
    tensors = open_tensors(locate(tmp_path))
    grid = np.arange(15.0).reshape(3, 5)
    expected = {
        "float32": grid,
        "transposed": grid.T,
        "row": grid[1],
        "column": grid[:, 2],
        "parameter": grid + 0.5,
        "float64": grid / 3,
        "float16": grid / 8,
        "bfloat16": grid / 8,
        "int64": grid,
        "int32": -grid,
        "int16": grid,
        "int8": -grid,
        "uint8": grid,
        "bool": grid % 2,
        "scalar": np.array(7.0),
        "empty": np.zeros((0, 4)),
    }
    assert tensors.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(tensors[name].array(np.float64), values, err_msg=name)
        if name.rstrip("0123456789") in ("float", "bfloat", "int", "uint", "bool"):
            assert tensors[name].dtype == name


# --- both forms, against plain loops ----------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["zip", "stream"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_dtype_in_both_forms(tmp_path, form, kind):
    values = np.array([0, 1, 1, 0, 1, 0], KINDS[kind])
    write(tmp_path, form, lambda place: w.dictionary({"a": w.tensor(place, 0, (2, 3), (3, 1))}), values.tobytes(), kind)
    np.testing.assert_array_equal(read(tmp_path)["a"], [[0, 1, 1], [0, 1, 0]])


@given(data=st.data(), form=st.sampled_from(["zip", "stream"]))
def test_offsets_and_strides_select_the_same_elements_as_loops(data, form, tmp_path_factory):
    folder = tmp_path_factory.mktemp("strides")
    shape = data.draw(st.lists(st.integers(0, 4), max_size=3))
    strides = data.draw(st.lists(st.integers(0, 5), min_size=len(shape), max_size=len(shape)))
    offset = data.draw(st.integers(0, 7))
    write(
        folder,
        form,
        lambda place: w.ordered_dict({"a": w.parameter(w.tensor(place, offset, shape, strides))}),
        VALUES.tobytes(),
    )
    places = [
        offset + sum(index * stride for index, stride in zip(indices, strides, strict=True))
        for indices in itertools.product(*map(range, shape))
    ]
    if places and (max(places) >= len(VALUES) or len(places) > len(VALUES)):
        refuses(folder, "outside its storage")
    else:
        got = read(folder)["a"]
        assert got.shape == tuple(shape)
        np.testing.assert_array_equal(got.ravel(), VALUES[places])


@pytest.mark.parametrize("form", ["zip", "stream"])
def test_shared_storage_is_shared_and_zip_storages_are_not_copied(tmp_path, form):
    write(
        tmp_path,
        form,
        lambda place: w.dictionary(
            {
                "a": w.tensor(place, 0, (3, 4), (4, 1)),
                "b": w.tensor(place, 4, (2,), (4,)),
                "c": w.tensor(place, 0, (0,), (1,)),
            }
        ),
        VALUES.tobytes(),
    )
    tensors = open_tensors(locate(tmp_path))
    assert np.shares_memory(tensors["a"].data, tensors["b"].data)
    np.testing.assert_array_equal(tensors["b"].array("float32"), [4, 8])
    assert not tensors["a"].data.flags.writeable
    assert not tensors["b"].array("float32").flags.writeable


@pytest.mark.parametrize("key", ["state_dict", "model_state_dict", "model"])
def test_a_state_dict_one_level_down_is_found_beside_other_things(tmp_path, key):
    write(
        tmp_path,
        "zip",
        lambda place: w.dictionary({"epoch": w.integer(3), key: w.dictionary({"a": w.tensor(place, 0, (12,), (1,))})}),
        VALUES.tobytes(),
    )
    np.testing.assert_array_equal(read(tmp_path)["a"], VALUES)


def test_versions_of_modules_that_a_state_dict_carries_are_passed_over(tmp_path):
    write(
        tmp_path,
        "zip",
        lambda place: (
            w.ordered_dict({"a": w.tensor(place, 0, (12,), (1,))})
            + w.dictionary({"_metadata": w.ordered_dict({})})
            + b"b"
        ),
        VALUES.tobytes(),
    )
    assert read(tmp_path).keys() == {"a"}


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
        (w.text("a") + b")R", "no function"),
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
def test_storages_that_are_not_there_as_said_are_refused(tmp_path, place, message):
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
        start = time.perf_counter()
        refuses(tmp_path, message)
        assert time.perf_counter() - start < 20  # seconds; the doubled ones would take longer than the universe has


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


# --- damaged and foreign files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["zip", "stream"])
def test_a_file_cut_off_anywhere_is_refused(tmp_path, form):
    raw = np.arange(9001, dtype="<f4").tobytes()
    path = write(tmp_path, form, lambda place: w.dictionary({"a": w.tensor(place, 0, (9001,), (1,))}), raw)
    content = path.read_bytes()
    cuts = {*range(0, len(content), 1000), *range(400), *range(len(content) - 400, len(content))}
    for size in sorted(cut for cut in cuts if cut < len(content)):
        path.write_bytes(content[:size])
        with pytest.raises(CheckpointError):
            read(tmp_path)


@pytest.mark.parametrize("form", ["zip", "stream", "protocol4"])
def test_a_flipped_byte_never_ends_in_anything_but_a_checkpoint_error(tmp_path, form):
    content = (GOLDEN / f"{form}.bin").read_bytes()
    rng = np.random.default_rng(11)
    for _ in range(400):
        damaged = bytearray(content)
        for place in rng.integers(0, len(content), 2):
            damaged[place] = rng.integers(0, 256)
        (tmp_path / "pytorch_model.bin").write_bytes(damaged)
        try:
            read(tmp_path)
        except CheckpointError as error:
            assert str(tmp_path) in str(error)  # noqa: PT017


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"magic": 7}, "magic number"),
        ({"protocol": 1000}, "protocol"),
        ({"little_endian": w.FALSE}, "big-endian"),
        ({"keys": ["1"]}, "list of storages"),
        ({"keys": []}, "list of storages"),
    ],
)
def test_streams_of_another_making_are_refused(tmp_path, options, message):
    body = w.dictionary({"a": w.tensor(floats(legacy=True), 0, (12,), (1,))})
    w.write_stream(tmp_path / "pytorch_model.bin", body, {"0": (12, VALUES.tobytes())}, **options)
    refuses(tmp_path, message)


@pytest.mark.parametrize("length", [11, 13, -1, 1 << 60])
def test_a_stream_whose_lengths_disagree_is_refused(tmp_path, length):
    body = w.dictionary({"a": w.tensor(floats(legacy=True), 0, (12,), (1,))})
    w.write_stream(tmp_path / "pytorch_model.bin", body, {"0": (length, VALUES.tobytes())})
    refuses(tmp_path, "damaged at storage '0'")


def test_a_big_endian_zip_is_refused_and_one_without_byte_order_is_little_endian(tmp_path):
    body = w.dictionary({"a": w.tensor(floats(), 0, (12,), (1,))})
    path = tmp_path / "pytorch_model.bin"
    w.write_zip(path, body, {"0": VALUES.tobytes()}, byteorder=b"big")
    refuses(tmp_path, "big-endian")
    w.write_zip(path, body, {"0": VALUES.tobytes()}, byteorder=None, folder="model")
    np.testing.assert_array_equal(read(tmp_path)["a"], VALUES)


def test_other_zips_are_refused(tmp_path):
    path = tmp_path / "pytorch_model.bin"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("word/document.xml", b"")
    refuses(tmp_path, "not one of torch.save")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", w.pickled(b"}"))
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("archive/data.pkl", w.pickled(b"}"))
    refuses(tmp_path, "each name once")
    w.write_zip(path, w.dictionary({"a": w.tensor(floats(), 0, (12,), (1,))}), {})
    refuses(tmp_path, "lacks the storage '0'")


def directory_of(content: bytes, name: bytes) -> int:
    """Where the entry of a file stands in the directory at the end of a zip file."""
    return content.rindex(b"PK\x01\x02", 0, content.rindex(name))


def test_a_damaged_pickle_is_found_by_its_checksum(tmp_path):
    body = w.dictionary({"name": w.tensor(floats(), 0, (12,), (1,))})
    path = w.write_zip(tmp_path / "pytorch_model.bin", body, {"0": VALUES.tobytes()})
    path.write_bytes(path.read_bytes().replace(w.text("name"), w.text("nome")))
    refuses(tmp_path, "data.pkl' is damaged")


def test_an_entry_that_only_says_it_is_compressed_is_refused(tmp_path):
    body = w.dictionary({"a": w.tensor(floats(), 0, (12,), (1,))})
    path = w.write_zip(tmp_path / "pytorch_model.bin", body, {"0": VALUES.tobytes()})
    content = bytearray(path.read_bytes())
    content[directory_of(content, b"archive/data/0") + 10] = zipfile.ZIP_DEFLATED
    path.write_bytes(content)
    refuses(tmp_path, "data/0' is compressed")


def test_a_pickle_beyond_all_measure_is_not_read(tmp_path):
    w.write_zip(tmp_path / "pytorch_model.bin", w.text("x" * (17 << 20)), {})
    refuses(tmp_path, "too many for names and shapes")


def test_a_stream_cut_off_in_its_last_storage_says_so(tmp_path):
    body = w.dictionary({"a": w.tensor(floats(legacy=True), 0, (12,), (1,))})
    path = w.write_stream(tmp_path / "pytorch_model.bin", body, {"0": (12, VALUES.tobytes())})
    path.write_bytes(path.read_bytes()[:-4])
    refuses(tmp_path, "cut off in storage '0'")


def test_a_zip_entry_that_points_elsewhere_is_refused(tmp_path):
    body = w.dictionary({"a": w.tensor(floats(200), 0, (200,), (1,))})
    path = w.write_zip(tmp_path / "pytorch_model.bin", body, {"0": bytes(800)})
    content = path.read_bytes()
    zeros = content.index(bytes(800))  # a header of zeros would be one without name, right before other data
    for offset in (7, zeros, len(content) - 3, 0x7FFFFFFF):
        directory = directory_of(content, b"archive/data/0")
        damaged = bytearray(content)
        damaged[directory + 42 : directory + 46] = struct.pack("<I", offset)
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError):
            read(tmp_path)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (w.dictionary({}), "no state dict"),
        (w.list_of(w.integer(1)), "no state dict but list"),
        (w.dictionary({"a": w.integer(1)}), "holds int under 'a'"),
        (w.dictionary({"model": w.name("torch", "FloatStorage")}), "holds Name under 'model'"),
        (b"}" + w.integer(3) + w.tensor(floats(), 0, (12,), (1,)) + b"s", "under 3"),
    ],
)
def test_a_value_that_is_no_state_dict_is_refused(tmp_path, body, message):
    w.write_zip(tmp_path / "pytorch_model.bin", body, {"0": VALUES.tobytes()})
    refuses(tmp_path, message)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "git lfs pull"),
        (b"\n<!DOCTYPE html><html>401</html>", "web page"),
        (b"\x10\0\0\0\0\0\0\0{}              ", "rename it to model.safetensors"),
        (b"\x93NUMPY", "not a file of torch.save"),
        (b"\x80\x02}.", "torch.save|broken"),
    ],
)
def test_other_files_are_told_apart(tmp_path, content, message):
    (tmp_path / "pytorch_model.bin").write_bytes(content)
    refuses(tmp_path, message)
