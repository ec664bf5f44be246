"""The tables of names, and the package's own."""

from __future__ import annotations

import subprocess
import sys

import pytest

from lf_ref import testing
from lf_ref.testing.traces import tensor_names as names


def test_public_names_are_loaded_on_first_use():
    assert set(testing.__all__) <= set(dir(testing))
    for name in testing.__all__:
        assert getattr(testing, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = testing.nonsense


def test_the_oracle_needs_nothing_but_numpy():
    """The definition, its trace and a comparison: none of the heavy packages, no test tool, no framework."""
    code = (
        "import numpy as np\n"
        "from lf_ref import LongformerForMaskedLM, testing\n"
        "model = LongformerForMaskedLM.from_pretrained(dtype='float64', backend='numpy')\n"
        "trace = testing.trace(model, input_ids=[[0, 4, 2]])\n"
        "assert testing.compare(trace['logits'].astype(np.float32), trace).passed\n"
        "import sys; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"numba", "llvmlite", "torch", "transformers", "hypothesis", "pytest", "matplotlib", "huggingface_hub"}
    assert not set(done.stdout.split()) & heavy


@pytest.mark.parametrize("places", [names.EMBEDDINGS, names.LAYER, names.HEADS])
def test_every_name_is_found_and_in_order(places):
    prefix = "encoder.layer.11." if places is names.LAYER else ""
    found = [prefix + place.name for place in places]
    backwards = found[::-1]
    assert sorted(backwards, key=names.computation_order) == found
    for place, name in zip(places, found, strict=True):
        assert names.lookup(name) is place
        assert names.canonical_name(name) == ("classifier.out_proj" if name == "classifier" else name)
        for alias in names.aliases(name):
            assert names.canonical_name(alias) == name


def test_names_of_other_things():
    assert names.aliases("nonsense") == []
    assert names.lookup("nonsense") is None
    assert names.canonical_name("encoder.layer.3") == "encoder.layer.3.output.LayerNorm"
    assert names.canonical_name("encoder.layer.3.nonsense") == "encoder.layer.3.nonsense"
    assert names.split_layer("encoder.layer.12") == (12, "")
    assert names.strip_prefix("roberta.embeddings") == names.strip_prefix("longformer.embeddings") == "embeddings"
    outputs = [*names.OUTPUTS, "nonsense"]
    backwards = outputs[::-1]
    assert sorted(backwards, key=names.computation_order) == outputs
