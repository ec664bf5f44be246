"""An encoder is saved, converted and quantized with its modules, and comes back the same."""

import numpy as np
import pytest
from embeddings.folders import NORMALIZE, PROMPTS, TEXTS, build, dense_of, layer_norm_of, module, pooling_of
from pipelines.building import save_checkpoint

import lf_ref
from lf_ref import SentenceEncoder

SAVED = {
    "modes": (pooling_of("lasttoken", "mean", "cls", include_prompt=False), NORMALIZE),
    "dense": (None, dense_of(21, 13, 1, activation_function="torch.nn.Identity"), layer_norm_of(13), NORMALIZE),
    "residual": (None, dense_of(21, 21, 2, use_residual=True), dense_of(21, 7, 3, use_residual=True, bias=False)),
}
SETTINGS = {"prompts": PROMPTS, "default_prompt_name": "long", "similarity_fn_name": "dot", "truncate_dim": 11}


@pytest.mark.parametrize("case", SAVED)
def test_a_saved_encoder_comes_back_the_same(case, tmp_path):
    built = build(
        tmp_path / "in", *SAVED[case], inner="0_Transformer", settings=SETTINGS, transformer={"max_seq_length": 29}
    )
    found = SentenceEncoder.from_pretrained(built)
    found.save_pretrained(tmp_path / "encoder")
    lf_ref.pipeline("embeddings", built).save_pretrained(tmp_path / "pipeline")
    for name in ("encoder", "pipeline"):
        again = SentenceEncoder.from_pretrained(tmp_path / name)
        assert (again.max_tokens, again.prompts, str(again.modules)) == (29, PROMPTS, str(found.modules))
        assert again.modules.similarity == "dot"
        np.testing.assert_array_equal(again.encode(TEXTS), found.encode(TEXTS))
        np.testing.assert_array_equal(again.encode_query(TEXTS), found.encode_query(TEXTS))


def test_mean_pooling_of_a_checkpoint_without_modules_is_saved_as_modules(tmp_path):
    bundled = SentenceEncoder.from_pretrained()
    bundled.save_pretrained(tmp_path)
    again = SentenceEncoder.from_pretrained(tmp_path)  # without a warning
    np.testing.assert_array_equal(again.encode(TEXTS[:3]), bundled.encode(TEXTS[:3]))


def test_a_pipeline_without_modules_saves_none(tmp_path):
    save_checkpoint("feature-extraction", tmp_path / "in")
    lf_ref.pipeline("embeddings", tmp_path / "in").save_pretrained(tmp_path / "out")
    assert not (tmp_path / "out" / "modules.json").exists()


def test_saving_over_the_folder_that_was_loaded(tmp_path):
    built = build(tmp_path, None, dense_of(21, 13, 1), settings={"prompts": PROMPTS})
    found = SentenceEncoder.from_pretrained(built)
    expected = found.encode_query(TEXTS)
    found.save_pretrained(built)
    np.testing.assert_array_equal(found.encode_query(TEXTS), expected)
    np.testing.assert_array_equal(SentenceEncoder.from_pretrained(built).encode_query(TEXTS), expected)


@pytest.mark.parametrize("inner", ["", "0_Transformer"])
@pytest.mark.parametrize("options", [(), ("--only-format",), ("--max-tokens", "142", "--window", "4")])
def test_convert_keeps_the_modules(inner, options, tmp_path):
    from cli.running import run

    lengths = {"max_seq_length": 71, "processor_kwargs": {"model_max_length": 64}}
    modules = (None, dense_of(21, 13, 1), NORMALIZE)
    built = build(tmp_path / "in", *modules, inner=inner, settings={"prompts": PROMPTS}, transformer=lengths)
    before = {path: path.read_bytes() for path in built.rglob("*") if path.is_file()}
    run("convert", built, tmp_path / "out", *options)
    assert before == {path: path.read_bytes() for path in built.rglob("*") if path.is_file()}
    expected, got = SentenceEncoder.from_pretrained(built), SentenceEncoder.from_pretrained(tmp_path / "out")
    assert got.max_tokens == {0: 4096, 1: 64, 4: 142}[len(options)]
    assert (got.prompts, str(got.modules)) == (expected.prompts, str(expected.modules))
    short = TEXTS[1:3] + TEXTS[4:5]
    np.testing.assert_allclose(got.encode_query(short), expected.encode_query(short), rtol=0, atol=1e-6)


@pytest.mark.parametrize("inner", ["", "0_Transformer"])
def test_quantize_keeps_the_modules(inner, tmp_path):
    from cli.running import run

    built = build(tmp_path / "in", None, dense_of(21, 13, 1), NORMALIZE, inner=inner, settings={"prompts": PROMPTS})
    run("quantize", built, tmp_path / "out")
    got = SentenceEncoder.from_pretrained(tmp_path / "out")
    expected = SentenceEncoder.from_pretrained(built, dtype="int8")
    assert got.model.weight_dtype == "int8"
    np.testing.assert_array_equal(got.encode_query(TEXTS), expected.encode_query(TEXTS))


@pytest.mark.parametrize("command", ["quantize", "convert"])
def test_nothing_is_written_outside(command, tmp_path):
    from cli.running import run

    built = build(tmp_path / "in", None, dense_of(21, 13, 1))
    module(built, 2, path="../outside")
    run(command, built, tmp_path / "out", code=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in"]
