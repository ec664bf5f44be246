"""Make the golden files of the model: what HF transformers answers in float64. Run by hand:

    python tests/golden/model/make.py

Each file holds the weights (float32 numbers), the inputs, every output field (float64) and, as metadata, the config,
the class, the seed and the versions that made it. HF's Longformer forces its softmax to float32; that call is made to
keep float64 (`parity.peers.exact_softmax`), and the oddities of HF's `global_attentions` are removed (`as_documented`).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

FOLDER = Path(__file__).resolve().parent
if __name__ == "__main__":
    sys.path.insert(0, str(FOLDER.parents[1]))

from oracles.weights import fields_of, labelled_batch, state_of  # noqa: E402
from parity.peers import as_documented, build_peer, call_peer, peer_modules  # noqa: E402

# file name -> class, seed, what differs from the small config. Every activation and every kind of padding id occurs.
CASES: dict[str, tuple[str, int, dict[str, Any]]] = {
    "model": ("LongformerModel", 101, {"attention_window": [4, 8]}),
    "masked_lm": ("LongformerForMaskedLM", 102, {"attention_window": 6, "hidden_act": "gelu_new"}),
    "sequence_classification": (
        "LongformerForSequenceClassification",
        103,
        {"attention_window": [8, 4], "hidden_act": "relu", "num_labels": 5},
    ),
    "token_classification": (
        "LongformerForTokenClassification",
        104,
        {"attention_window": [4, 4], "hidden_act": "silu", "num_labels": 7, "pad_token_id": 0, "bos_token_id": 1},
    ),
    "multiple_choice": (
        "LongformerForMultipleChoice",
        105,
        {"attention_window": 6, "hidden_act": "tanh", "num_hidden_layers": 1, "sep_token_id": 3},
    ),
    "question_answering": (
        "LongformerForQuestionAnswering",
        106,
        {"attention_window": 4, "hidden_act": "gelu_fast"},
    ),
}


def contents(name: str) -> tuple[dict[str, np.ndarray[Any, Any]], dict[str, Any]]:
    """The tensors and the metadata of one golden file."""
    class_name, seed, changes = CASES[name]
    fields = fields_of(**changes)
    state = state_of(class_name, fields, seed)
    inputs = labelled_batch(class_name, fields, seed)
    output = call_peer(build_peer(class_name, fields, state), inputs, output_attentions=True, output_hidden_states=True)
    if "global_attention_mask" in inputs:
        visible, marked = (inputs[key] == 1 for key in ("attention_mask", "global_attention_mask"))
    else:
        visible, marked = chosen_by_head(class_name, fields, inputs)
    output = as_documented(output, marked, visible)
    tensors = {f"state.{key}": value for key, value in state.items()}
    tensors |= {f"input.{key}": value for key, value in inputs.items()}
    for key, value in output.items():
        if isinstance(value, tuple):
            tensors |= {f"output.{key}.{layer}": array for layer, array in enumerate(value)}
        elif value is not None:
            tensors[f"output.{key}"] = value
    torch, transformers = peer_modules()
    metadata = {
        "class": class_name,
        "config": fields,
        "seed": seed,
        "made_by": "tests/golden/model/make.py: HF transformers in float64, its softmax kept in float64",
        "transformers": transformers.__version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
    }
    return {key: np.array(value, order="C") for key, value in tensors.items()}, metadata


def chosen_by_head(class_name: str, fields: dict[str, Any], inputs: dict[str, Any]) -> tuple[Any, Any]:
    """The visible and the global tokens of inputs whose head chooses the global ones: bool (rows, seq) each."""
    from oracles.heads import default_global

    ids = inputs["input_ids"].reshape(-1, inputs["input_ids"].shape[-1])
    marked = default_global(class_name, ids, fields["sep_token_id"])
    assert marked is not None
    return inputs["attention_mask"].reshape(ids.shape) == 1, marked == 1


if __name__ == "__main__":
    for case in CASES:
        arrays, notes = contents(case)
        path = FOLDER / f"{case}.safetensors"
        # One entry only: with several their order in the file would change from run to run.
        save_file(arrays, path, {"golden": json.dumps(notes, sort_keys=True)})
        print(f"{path.name}: {path.stat().st_size} bytes")
