"""Golden files: their contents, read in plain Python by their page alone; and the results of candidates."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from functools import cache

import numpy as np
import pytest
from testing.building import answer as own
from testing.building import array, changed

import lf_ref
from lf_ref import InputError, testing
from lf_ref.testing import generator
from lf_ref.testing.conformance import case_runs
from lf_ref.testing.golden import creation
from oracles import golden_page
from oracles.compare import assert_close
from oracles.heads import run
from oracles.tolerances import FLOAT64

# Of a golden file, from one machine to another: BLAS libraries sum in different orders. As their page says.
STATED = 1e-11


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """All standard cases."""
    path = tmp_path_factory.mktemp("golden") / "golden.safetensors"
    testing.make_golden(path)
    return path


@pytest.fixture(scope="module")
def page(path):
    """The same file in the eyes of somebody who knows their page only."""
    return golden_page.read(path)


# --- what is in it ----------------------------------------------------------------------------------------------------


def test_the_page_is_enough_to_know_everything(path, page):
    """Weights by the generator, inputs from the file, outputs by scalar loops: they are those of the file."""
    for entry in page.manifest["cases"]:
        name, config = entry["name"], entry["config"]
        state = weights_of(entry, page)
        inputs = {key.split("/")[2]: array(page, key) for key in page.tensors if key.startswith(f"input/{name}/")}
        for key in set(inputs) - {"inputs_embeds"}:
            inputs[key] = inputs[key].astype(int)
        answer = run(entry["class"], config, state, inputs, pooled="pooler_output" in entry["outputs"])
        assert entry["outputs"], name
        for output in entry["outputs"]:
            expected = array(page, f"expected/{name}/{output}")
            assert_close(expected, stored_of(entry, output, np.asarray(answer[output])), FLOAT64, f"{name}: {output}")


def stored_of(entry, output, full):
    """The elements that the file stores, by the manifest."""
    [facts] = [facts for facts in entry["expected"] if facts["name"] == output]
    for axis, indices in enumerate(facts.get("indices", ())):
        full = full if indices is None else full.take(indices, axis)
    return full


def weights_of(entry, page):
    """All weights of a case as a programmer of another language would make them."""
    state = {}
    for stored, shape in entry["parameters"].items():
        changed = f"weight/{entry['name']}/{stored}"
        own = page.tensors[changed][2] if changed in page.tensors else None
        numbers = by_generator(entry["seed"], stored.removeprefix("longformer."), tuple(shape)) if own is None else own
        state[stored] = np.array(numbers).reshape(shape)
    return state


by_generator = cache(golden_page.weight)  # most cases have the same weights


def test_both_readers_read_the_same(path, page):
    golden = testing.load_golden(path)
    assert golden.manifest == page.manifest
    assert [case.name for case in golden.cases] == [entry["name"] for entry in page.manifest["cases"]]
    for case, original in zip(golden.cases, testing.standard_cases(), strict=True):
        assert (case.name, case.about, case.class_name, case.seed) == (
            original.name, original.about, original.class_name, original.seed,
        )  # fmt: skip
        assert dict(case.config) == dict(original.config)
        for mine, theirs in ((case.inputs, original.inputs), (case.weights(), original.weights())):
            assert mine.keys() == theirs.keys()
            for name, value in mine.items():
                assert value.dtype == theirs[name].dtype
                np.testing.assert_array_equal(value, theirs[name])
        for name in golden.expected(case.name).run.outputs:
            expected = golden.expected(case.name)[name]
            np.testing.assert_array_equal(expected, array(page, f"expected/{case.name}/{name}"))


def test_masks_say_what_the_encoder_saw(page):
    np.testing.assert_array_equal(array(page, "mask/question-answering/is_global").sum(axis=1), [4, 9, 2, 3])
    assert array(page, "mask/multiple-choice/visible").shape == (4, 23)
    np.testing.assert_array_equal(
        array(page, "mask/global-but-masked/is_global"),
        array(page, "input/global-but-masked/global_attention_mask")
        * array(page, "input/global-but-masked/attention_mask"),
    )


def test_intermediates_are_those_of_a_trace(path):
    golden = testing.load_golden(path)
    for case in (case for case in golden.cases if case.name in ("ragged-globals", "global-projections", "masked-lm")):
        full, kept = testing.trace(case.model(), **case.inputs), golden.expected(case.name)
        assert set(kept.canonical_names) <= set(full.canonical_names)
        for name in kept:
            assert_close(kept[name], full[name], FLOAT64, name)
    assert "encoder.layer.1.attention.self.key_global" in golden.expected("global-projections")
    assert "encoder.layer.1.attention.self.scores" not in golden.expected("global-projections")
    for case in golden.cases:
        count = case.config["num_hidden_layers"]
        layers = [
            f"encoder.layer.{layer}.{module}" for layer in range(count) for module in ("attention.self", "output")
        ]
        assert {"embeddings", *layers} <= set(golden.expected(case.name)), case.name


def test_the_manifest_has_author_and_command(tmp_path):
    golden = testing.make_golden(tmp_path / "g.safetensors", ["one-window"], command="a command")
    manifest = golden.manifest
    assert manifest["command"] == "a command"
    assert manifest["dtype"] == "float64"
    assert manifest["versions"]["lf_ref"] == lf_ref.__version__
    assert manifest["versions"]["numpy"] == np.__version__
    assert manifest["versions"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert manifest["generator"] == {"name": generator.NAME, "version": 1}
    assert "checkpoint" not in manifest
    assert "g.safetensors: 1 cases" in repr(golden)


def test_twice_the_same_bytes_of_a_reasonable_size(path, tmp_path):
    again = [tmp_path / "one.safetensors", tmp_path / "two.safetensors"]
    for other in again:
        testing.make_golden(other, [*SOME, "more-than-512-tokens"])
    assert again[0].read_bytes() == again[1].read_bytes()
    assert 1e6 < path.stat().st_size < 5e6


def test_the_bits_do_not_depend_on_the_number_of_threads(tmp_path, monkeypatch):
    """BLAS has one thread while it is made, whatever it had before."""
    from threadpoolctl import threadpool_info, threadpool_limits

    def look(*arguments, **options):
        seen.extend(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")
        return original(*arguments, **options)

    seen, original = [], creation.trace
    monkeypatch.setattr(creation, "trace", look)
    with threadpool_limits(2, "blas"):
        testing.make_golden(tmp_path / "golden.safetensors", ["one-token"])
    assert seen
    assert set(seen) == {1}


MAKE = "import sys\nfrom lf_ref import testing\ntesting.make_golden(sys.argv[1], sys.argv[2:])"
SOME = ["many-windows", "scores-below-minus-10000", "large-scores", "question-answering"]


@pytest.mark.parametrize("processor", ["Haswell", "Prescott"])
def test_other_processors_agree_within_the_stated_bound(processor, path, page, tmp_path):
    """OpenBLAS uses the code of another processor; other BLAS libraries ignore the setting, and pass."""
    other = tmp_path / "other.safetensors"
    environment = {**os.environ, "OPENBLAS_CORETYPE": processor}
    subprocess.run([sys.executable, "-c", MAKE, str(other), *SOME], check=True, env=environment)
    read = golden_page.read(other)
    wanted = {name: tensor for name, tensor in page.tensors.items() if name.split("/")[1] in SOME}
    assert read.tensors.keys() == wanted.keys()
    for name, (dtype, shape, numbers) in wanted.items():
        assert read.tensors[name][:2] == (dtype, shape)
        if name.startswith("expected/"):
            assert_close(np.array(read.tensors[name][2]), np.array(numbers), STATED, name)
        else:
            assert read.tensors[name][2] == numbers, name


# --- judging ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def outputs(path):
    """What float32 gives, by CASE/NAME."""
    found = {}
    for case in testing.load_golden(path).cases:
        answer = own(dict(case.config), case.weights(), case.arguments())
        found |= {f"{case.name}/{name}": value for name, value in answer.items()}
    return found


def nested(outputs):
    found = {}
    for full, value in outputs.items():
        case, _, name = full.partition("/")
        found.setdefault(case, {})[name] = value
    return found


@pytest.mark.parametrize("cases", [3, None, [3], {"one-token": 1}, {"one-token"}])
def test_cases_of_a_wrong_type(cases, path, outputs):
    with pytest.raises(InputError, match="cases must be"):
        testing.check_golden(path, outputs, cases=cases)


@pytest.mark.parametrize("form", ["npz", "safetensors", "mapping", "by case", "callable"])
def test_a_sound_candidate_passes_in_every_form(form, path, outputs, tmp_path):
    candidate = {
        "npz": tmp_path / "outputs.npz",
        "safetensors": tmp_path / "outputs.safetensors",
        "mapping": outputs,
        "by case": nested(outputs),
        "callable": own,
    }[form]
    np.savez(tmp_path / "outputs.npz", **outputs)
    from safetensors.numpy import save_file

    save_file({name: np.array(value, order="C") for name, value in outputs.items()}, tmp_path / "outputs.safetensors")
    results = testing.check_golden(path, candidate)
    assert results.passed
    assert len(results.results) == len(testing.standard_cases())
    assert all(result.report.precision == "float32" for result in results.results)
    assert "53 passed" in str(results)


def test_a_small_fault_is_found_in_its_case_and_tensor(path, outputs):
    def change(value):
        value[1, 3, 5] += 1e-4

    results = testing.check_golden(path, changed(outputs, "two-windows/last_hidden_state", change))
    assert not results.passed
    [failure] = results.failures
    assert (failure.case, failure.first_divergence) == ("two-windows", "last_hidden_state")
    assert "worst at [1, 3, 5]" in failure.problem
    facts = json.loads(results.to_json())
    assert facts["passed"] is False
    [case] = [case for case in facts["cases"] if case["state"] == "failed"]
    assert (case["case"], case["first_divergence"]) == ("two-windows", "last_hidden_state")
    assert case["report"]["first_divergence"] == "last_hidden_state"
    assert "FAILED  two-windows: last_hidden_state: its error is too large" in str(results)
    assert "first and last chunk meet" in str(results)


def test_the_precision_decides(path, outputs):
    rng = np.random.default_rng(1)  # both ways: of many tokens, too large on average is an error of its own
    noisy = {
        name: value * (1 + np.float32(2e-3) * rng.choice([-1, 1], np.shape(value))) for name, value in outputs.items()
    }
    assert not testing.check_golden(path, noisy, explain=False).passed
    assert testing.check_golden(path, noisy, precision="bfloat16").passed
    assert not testing.check_golden(path, outputs, precision="float64", explain=False).passed
    assert testing.check_golden(path, noisy, tolerance=0.01).passed
    assert not testing.check_golden(path, noisy, tolerance=0.001, explain=False).passed
    assert testing.check_golden(path, outputs, tolerance="fixed", cases=["one-window"]).passed
    assert testing.check_golden(path, outputs, tolerance="calibrated", cases=["one-window"]).passed


def test_padding_is_left_out_on_request(path, outputs):
    def change(value):
        value[1, -1] += 1  # a masked token

    wrong = changed(outputs, "two-windows/last_hidden_state", change)
    assert not testing.check_golden(path, wrong).passed
    assert testing.check_golden(path, wrong, ignore_padding=True).passed


def test_an_intermediate_that_is_wrong_is_named(path):
    golden = testing.load_golden(path)
    case = next(case for case in golden.cases if case.name == "global-projections")
    kept = {name: np.array(value, np.float32) for name, value in golden.expected(case.name).items()}
    name = "encoder.layer.1.attention.self.value_global"
    kept[f"longformer.{name}"] = kept.pop(name) * np.float32(1.01)
    results = testing.check_golden(golden, {case.name: kept}, cases=[case.name])
    assert [failure.first_divergence for failure in results.failures] == [name]


def test_what_is_missing_fails(path, outputs):
    left = {name: value for name, value in outputs.items() if not name.startswith("one-window/")}
    [failure] = testing.check_golden(path, left).failures
    assert (failure.case, failure.report) == ("one-window", None)
    assert failure.problem == "the candidate has no tensor of this case"
    half = {name: value for name, value in outputs.items() if name != "question-answering/end_logits"}
    [failure] = testing.check_golden(path, half).failures
    assert (failure.case, failure.problem) == ("question-answering", "returned no end_logits")
    assert testing.check_golden(path, {k: v for k, v in outputs.items() if not k.endswith("loss")}).passed
    assert testing.check_golden(path, {k: v for k, v in outputs.items() if not k.endswith("pooler_output")}).passed


def test_unknown_names_of_cases_are_errors(path):
    for candidate, message in (
        (
            {"last_hidden_state": np.zeros(3)},
            "its names are last_hidden_state; name them CASE/NAME, as one-token/last",
        ),
        ({}, "its names are none"),
        (np.zeros(3), "got ndarray"),
        ("outputs.txt", "ends in .npz or .safetensors"),
    ):
        with pytest.raises(InputError, match=message):
            testing.check_golden(path, candidate)
    with pytest.raises(InputError, match="no case 'one-windows' among the 53; names of cases: one-window, "):
        testing.check_golden(path, {"one-window/x": 1}, cases=["one-windows"])
    with pytest.raises(InputError, match="precision must be one of"):
        testing.check_golden(path, {"one-window/x": 1}, precision="int8")
    with pytest.raises(InputError, match="has no case 'x'; it has one-token, "):
        testing.load_golden(path).expected("x")


def test_expected_errors_are_measured_ones(path):
    golden = testing.load_golden(path)
    case = golden.cases[4]
    trace = testing.trace(case.model(), **case.inputs)
    for precision in ("float64", "float32", "bfloat16", "float16"):
        measured, kept = testing.calibrate(trace, precision), golden.calibration(case.name, precision)
        assert set(kept) >= {"embeddings.LayerNorm", "encoder.layer.0.attention.self"}
        for name, error in kept.items():
            assert error.rms == pytest.approx(measured[name].rms, rel=0.3), (precision, name)  # BLAS with more threads
    with pytest.raises(InputError, match="precision must be one of"):
        golden.calibration(case.name, "int8")


def test_cases_of_ones_own_with_more_leeway(tmp_path):
    cases = [dataclasses.replace(case, leeway=3) for case in testing.drawn_cases(1, 2)]  # an integer, as one may write
    golden = testing.make_golden(tmp_path / "own.safetensors", cases)
    assert [case.name for case in golden.cases] == ["drawn-1-0", "drawn-1-1"]
    assert testing.check_golden(golden, own).passed
    case = cases[0]
    measured = testing.calibrate(testing.trace(case.model(), **case.inputs), "bfloat16")
    kept = golden.calibration(case.name, "bfloat16")
    assert kept["embeddings.LayerNorm"].rms == pytest.approx(3 * measured["embeddings.LayerNorm"].rms, rel=1e-6)


def test_arguments_of_make(tmp_path):
    case = testing.standard_cases()[0]
    for arguments, options, message in (
        (("g.npz",), {}, "a golden file ends in .safetensors, got "),
        (("g.safetensors", ["nothing"]), {}, "there is no case 'nothing'"),
        (("g.safetensors", [case, "one-window"]), {}, "pass either names of cases or cases"),
        (("g.safetensors", [case]), {"model": "demo"}, "with model=, pass names"),
        (("no/g.safetensors",), {}, "the folder .*no does not exist; create it to write g.safetensors"),
    ):
        with pytest.raises(InputError, match=message):
            testing.make_golden(tmp_path / arguments[0], *arguments[1:], **options)
    (tmp_path / "folder.safetensors").mkdir()
    with pytest.raises(InputError, match="cannot be written"):
        testing.make_golden(tmp_path / "folder.safetensors", ["one-token"])
    assert [entry.name for entry in tmp_path.iterdir()] == ["folder.safetensors"]


# --- intermediates, and what the file lacks ---------------------------------------------------------------------------


def test_all_intermediates_on_request(tmp_path):
    golden = testing.make_golden(
        tmp_path / "g.safetensors", ["ragged-globals", "more-than-256-tokens"], intermediates="all"
    )
    page = golden_page.read(golden.path)
    for case in golden.cases:
        full, kept = testing.trace(case.model(), **case.inputs), golden.expected(case.name)
        assert set(kept) == set(full)
        candidate = {name: full[name].astype(np.float32) for name in full}
        results = testing.check_golden(golden, {case.name: candidate}, cases=[case.name])
        assert results.passed, results
        assert set(results.results[0].report.tensors) == set(full)
    scores = array(page, "expected/ragged-globals/encoder.layer.0.attention.self.scores")
    assert scores.shape == (4, 3, 21, 4 + 8 + 1)
    assert np.isneginf(scores).any()
    [entry] = [entry for entry in page.manifest["cases"] if entry["name"] == "more-than-256-tokens"]
    by_name = {facts["canonical_name"]: facts for facts in entry["expected"]}
    for map in ("probabilities", "probabilities_global"):
        assert by_name[f"encoder.layer.0.attention.self.{map}"]["indices"][2] == entry["tokens"]


def test_some_intermediates_by_name_alias_or_pattern(tmp_path):
    wanted = ["longformer.encoder.layer.0.output", "encoder.layer.*.attention.self.context"]
    golden = testing.make_golden(tmp_path / "g.safetensors", ["one-window"], intermediates=wanted)
    expected = golden.expected("one-window")
    assert set(expected.canonical_names) == {
        "encoder.layer.0.attention.self.context", "encoder.layer.0.output.LayerNorm",
        "encoder.layer.1.attention.self.context", "encoder.layer.1.output.LayerNorm",
        "pooler.activation", "last_hidden_state", "pooler_output",
    }  # fmt: skip
    trace = testing.trace(golden.cases[0].model(), **golden.cases[0].inputs)
    for alias in ("encoder.layer.0", "longformer.encoder.layer.0.output", "encoder.layer.1", "pooler"):
        given = {"last_hidden_state": trace["last_hidden_state"], alias: trace[alias.removeprefix("longformer.")]}
        assert testing.check_golden(golden, {"one-window": given}, precision="float64").passed
        wrong = {**given, alias: given[alias] + 1}
        [failure] = testing.check_golden(golden, {"one-window": wrong}, explain=False).failures
        assert failure.first_divergence == alias.removeprefix("longformer.")
    for wrong in ("encoder.layers.0", "encoder.layer.2.output", ""):
        with pytest.raises(InputError, match=r"names of tensors or patterns of them, got .*; the nearest is "):
            testing.make_golden(tmp_path / "h.safetensors", ["one-window"], intermediates=[wrong])
    with pytest.raises(InputError, match="intermediates must be strings in a sequence"):
        testing.make_golden(tmp_path / "h.safetensors", ["one-window"], intermediates=3)
    assert not (tmp_path / "h.safetensors").exists()


def test_stacked_hidden_states_are_compared_layer_by_layer(path):
    """As numpy.savez writes a tuple; of a case of which the file stores some tokens only."""
    golden = testing.load_golden(path)
    case = next(case for case in golden.cases if case.name == "more-than-256-tokens")
    states = case.model("float32")(**case.inputs, output_hidden_states=True)
    given = {"last_hidden_state": states.last_hidden_state, "hidden_states": np.array(states.hidden_states)}
    assert testing.check_golden(golden, {case.name: given}, cases=[case.name]).passed
    given["hidden_states"][0, 0, 0] += 1
    [failure] = testing.check_golden(golden, {case.name: given}, cases=[case.name], explain=False).failures
    assert failure.first_divergence == "embeddings.LayerNorm"


def test_what_the_file_lacks_is_said_to_be_the_files_lack(tmp_path):
    golden = testing.make_golden(tmp_path / "g.safetensors", ["one-window"])
    [case] = golden.cases
    trace = testing.trace(case.model("float32"), **case.inputs)
    query = "encoder.layer.0.attention.self.query"
    given = {"last_hidden_state": trace["last_hidden_state"], f"longformer.{query}": trace[query], "nonsense": 1.0}
    results = testing.check_golden(golden, {"one-window": given})
    assert results.passed
    assert results.headline() == "1 passed"
    assert (results.not_in_file, results.unknown) == ((query,), ("nonsense",))
    assert str(results).splitlines()[1:] == [
        "not compared, since no case expects such a tensor: nonsense",
        f"not compared, since the golden file does not hold it: {query}; lf-ref oracle make --intermediates stores it",
    ]
    assert json.loads(results.to_json())["not_in_file"] == [query]
    [failure] = testing.check_golden(golden, {"one-window": {query: trace[query]}}, explain=False).failures
    assert failure.problem == f"the golden file holds none of its tensors: {query}"
    [failure] = testing.check_golden(golden, {"one-window": {query: trace[query]}}).failures
    assert failure.problem == "returned no last_hidden_state"


def test_the_reference_implementation_explains_a_failure(tmp_path):
    golden = testing.make_golden(tmp_path / "g.safetensors", ["layer-norm-eps", "one-window"])
    outputs = {}
    for case in golden.cases:
        model = getattr(lf_ref, case.class_name)(
            lf_ref.LongformerConfig.from_dict({**case.config, "layer_norm_eps": 1e-5}), case.weights(), backend="numpy"
        )
        outputs[case.name] = dict(testing.trace(model, **case.inputs))
    seen = []
    results = testing.check_golden(golden, outputs, on_result=seen.append)
    assert [result.state for result in seen] == ["FAILED", "passed"]
    [failure] = results.failures
    assert failure.first_divergence == "embeddings.LayerNorm"
    assert "embeddings.sum" in failure.report.tensors  # which the file does not hold
    assert failure.causes == ("a layer_norm_eps of 1e-05",)
    assert "mistake: a layer_norm_eps of 1e-05" in str(results)
    assert "embeddings.sum" not in results.not_in_file
    [failure] = testing.check_golden(golden, outputs, explain=False).failures
    assert failure.causes == ()


def test_a_file_that_the_reference_implementation_contradicts_is_old(tmp_path, monkeypatch):
    """Expected values of another model: the candidate is right."""
    golden = testing.make_golden(tmp_path / "g.safetensors", ["one-window"])
    record = golden._records["one-window"]
    for tensor in record.tensors.values():
        tensor.values.flags.writeable or object.__setattr__(tensor, "values", tensor.values.copy())
        tensor.values[...] += 1
    [failure] = testing.check_golden(golden, own).failures
    assert failure.problem.endswith("; the reference implementation agrees: make the file again")
    monkeypatch.setattr(case_runs, "_MOST_TOKENS", 7)  # as for a case that is too large to run
    [failure] = testing.check_golden(golden, own).failures
    assert "the reference implementation" not in failure.problem
    monkeypatch.undo()
    broken = dataclasses.replace(record.case, changes={"pooler.dense.bias": np.zeros(3, np.float32)})
    golden.cases = (broken,)
    outputs = {"one-window": own(dict(record.case.config), record.case.weights(), record.case.arguments())}
    [failure] = testing.check_golden(golden, outputs).failures
    assert "the reference implementation" not in failure.problem


def test_sampled_tensors_get_no_hints_on_positions_and_any_layout(tmp_path):
    golden = testing.make_golden(tmp_path / "g.safetensors", ["more-than-256-tokens"], intermediates="all")
    [case] = golden.cases
    trace = testing.trace(case.model("float32"), **case.inputs)
    assert trace["embeddings"].shape == (2, 263, 16)

    def hints(name, change):
        wrong = np.array(trace[name])
        change(wrong)
        given = {"last_hidden_state": trace["last_hidden_state"], name: wrong}
        [failure] = testing.check_golden(golden, {case.name: given}, explain=False).failures
        assert failure.first_divergence == name
        return " ".join(failure.report.tensors[name].hints)

    def spread(value):
        value[:, :, :, 3] += 0.5

    assert "right up to" not in hints("embeddings", from_token_20)
    assert "attends" not in hints("encoder.layer.0.attention.self.probabilities", spread)
    wrong = np.array(trace["embeddings"])
    from_token_20(wrong)
    [failure] = testing.check_golden(golden, {case.name: {"embeddings": wrong}}).failures
    assert "right up to token 19, wrong from 20 on" in failure.report.tensors["embeddings"].hints
    padded = {"last_hidden_state": trace["last_hidden_state"]}
    padded["embeddings"] = np.pad(trace["embeddings"], [(0, 0), (0, 5), (0, 0)])
    assert testing.check_golden(golden, {case.name: padded}, explain=False).passed
    padded["embeddings"] = trace["embeddings"][:, :7]
    [failure] = testing.check_golden(golden, {case.name: padded}, explain=False).failures
    assert failure.problem == "embeddings has shape (2, 7, 16), expected (2, 263, 16)"


def from_token_20(values):
    values[:, 20:] += 1


def test_the_manifest_lists_parameters_and_labels(page):
    by_name = {entry["name"]: entry for entry in page.manifest["cases"]}
    labelled = by_name["token-classification"]
    assert labelled["num_labels"] == 5
    assert labelled["parameters"]["classifier.weight"] == [5, 24]
    assert labelled["parameters"]["longformer.embeddings.word_embeddings.weight"] == [61, 24]
    assert "lm_head.decoder.weight" not in by_name["masked-lm"]["parameters"]
    assert by_name["masked-lm-untied"]["parameters"]["lm_head.decoder.weight"] == [61, 24]
    assert by_name["one-token"]["parameters"]["pooler.dense.weight"] == [24, 24]
    for case in testing.standard_cases():
        shapes = {name: list(array.shape) for name, array in case.weights().items()}
        assert by_name[case.name]["parameters"] == shapes
        assert by_name[case.name]["leeway"] == case.leeway
