"""How a pipeline is built, as users of HF write it: task, model, config and tokenizer."""

from __future__ import annotations

import json

import numpy as np
import pytest
from pipelines.building import CLASSES, demo_tokenizer, model_for, save_checkpoint

import lf_ref
from lf_ref import CheckpointError, InputError
from lf_ref.pipelines import TASKS


@pytest.mark.parametrize("task", [task for task in CLASSES if task != "zero-shot-classification"])
def test_the_task_follows_from_the_model(task, tmp_path):
    assert lf_ref.pipeline(model=model_for(task), tokenizer=demo_tokenizer()).task == task
    folder = save_checkpoint(task, tmp_path)
    assert lf_ref.pipeline(model=folder, backend="numpy").task == task
    if task != "feature-extraction":
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | {"architectures": ["Other"]}))
        with pytest.raises(InputError, match=r"no class with a task \(Other\): name the task"):
            lf_ref.pipeline(model=folder)


def test_the_task_follows_from_allenais_class(tmp_path):
    folder = save_checkpoint("fill-mask", tmp_path)
    config = json.loads((folder / "config.json").read_text())
    changes = {"model_type": "roberta", "architectures": ["RobertaLongForMaskedLM"]}
    (folder / "config.json").write_text(json.dumps(config | changes))
    assert lf_ref.pipeline(model=folder, backend="numpy").task == "fill-mask"


def test_neither_task_nor_model():
    with pytest.raises(InputError, match="name a task or a model"):
        lf_ref.pipeline()


def test_the_third_argument_is_the_config(tmp_path):
    folder = save_checkpoint("text-classification", tmp_path)
    config = lf_ref.LongformerConfig.from_pretrained(folder)
    named = config.replaced(id2label={0: "x", 1: "y", 2: "z"})
    named.save_pretrained(tmp_path / "named")
    for given in (named, tmp_path / "named", str(tmp_path / "named")):
        pipe = lf_ref.pipeline("text-classification", folder, given, demo_tokenizer(), backend="numpy")
        assert {answer["label"] for answer in pipe("A b.", top_k=None)} == {"x", "y", "z"}
    model = pipe.model
    assert lf_ref.pipeline("text-classification", model, model.config, demo_tokenizer()).model is model
    with pytest.raises(InputError, match="config: the model is loaded already"):
        lf_ref.pipeline("text-classification", model, config, demo_tokenizer())
    for wrong in (demo_tokenizer(), {}, 3):
        with pytest.raises(
            InputError, match=r"config must be a LongformerConfig .*; a tokenizer is given as tokenizer="
        ):
            lf_ref.pipeline("text-classification", folder, wrong)


def test_arguments_of_loading_in_model_kwargs(tmp_path):
    given = {"dtype": "float64", "backend": "numpy", "local_files_only": True, "low_cpu_mem_usage": True}
    before = dict(given)
    pipe = lf_ref.pipeline("fill-mask", "demo", model_kwargs=given)
    assert (pipe.model.dtype, pipe.model.backend) == (np.dtype("float64"), "numpy")
    assert given == before
    with pytest.raises(CheckpointError, match="not in the cache"):
        lf_ref.pipeline("fill-mask", "some/repository", model_kwargs={"local_files_only": True, "cache_dir": tmp_path})


def test_a_checkpoint_in_a_subfolder(tmp_path):
    model_for("fill-mask", dtype="float32").save_pretrained(tmp_path / "inner")
    found = lf_ref.pipeline(model=tmp_path, tokenizer=demo_tokenizer(), model_kwargs={"subfolder": "inner"})
    assert found.task == "fill-mask"


def test_models_and_tokenizers_of_another_library_say_what_is_wanted():
    kind = type("LongformerTokenizerFast", (), {"__module__": "transformers.models.longformer"})
    net = type("LongformerForMaskedLM", (), {"__module__": "transformers.models.longformer"})
    model, tokenizer = model_for("fill-mask"), demo_tokenizer()
    for build in (lf_ref.pipeline, lambda _, **given: TASKS["fill-mask"](**given)):
        with pytest.raises(InputError, match=r"Fast of transformers: LongformerTokenizer\.from_pretrained\(\.\.\.\)"):
            build("fill-mask", model=model, tokenizer=kind())
        with pytest.raises(InputError, match=r"LM of transformers: LongformerForMaskedLM\.from_pretrained\(\.\.\.\)"):
            build("fill-mask", model=net(), tokenizer=tokenizer)


def test_no_tokenizer_beside_the_weights(tmp_path):
    model_for("fill-mask", dtype="float32").save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="as tokenizer= to a pipeline"):
        lf_ref.pipeline("fill-mask", tmp_path)
    assert len(lf_ref.pipeline("fill-mask", tmp_path, tokenizer="demo", backend="numpy")("A <mask>.")) == 5
    for missing in (tmp_path / "missing", tmp_path / "empty"):
        (tmp_path / "empty").mkdir(exist_ok=True)
        with pytest.raises(CheckpointError) as error:
            lf_ref.pipeline("fill-mask", missing)
        assert "tokenizer=" not in str(error.value)


def test_another_kind_of_model_is_refused_as_such_before_its_tokenizer_is_missed(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "led", "is_encoder_decoder": true}')
    with pytest.raises(lf_ref.ConfigError, match=r"led: this is an encoder-decoder.*LEDForConditionalGeneration"):
        lf_ref.pipeline("fill-mask", tmp_path)


def test_constructors_take_what_hfs_take():
    for task, kind in TASKS.items():
        pipe = kind(
            model=model_for(next(name for name in CLASSES if TASKS[name] is kind)),
            tokenizer=demo_tokenizer(),
            feature_extractor=None,
            modelcard=None,
            framework=None,
            task=task,
            device=-1,
            binary_output=False,
            batch_size=3,
        )
        assert pipe.task == task
    with pytest.raises(InputError, match="does token-classification or ner, got task='fill-mask'"):
        TASKS["ner"](model_for("token-classification"), demo_tokenizer(), task="fill-mask")
