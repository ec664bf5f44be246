"""torch files without torch: both forms, every dtype and stride."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from checkpoint.torch_files import GOLDEN, KINDS, VALUES, read, refuses, write
from hypothesis import given
from hypothesis import strategies as st

from lf_ref.checkpoint import open_tensors
from lf_ref.files import locate
from oracles import torch_writer as w

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
def test_tensors_of_one_storage_use_one_mapping_and_zip_storages_are_not_copied(tmp_path, form):
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
