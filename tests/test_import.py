"""What importing costs, and what must never be imported."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import lf_ref

PACKAGE = Path(lf_ref.__file__).parent


def modules_after(code: str) -> set[str]:
    """Top-level names of the modules that a fresh interpreter holds after `code`."""
    script = f"{code}\nimport sys\nprint(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_import_is_cheap():
    heavy = {
        "numba",
        "llvmlite",
        "huggingface_hub",
        "pytest",
        "hypothesis",
        "torch",
        "transformers",
        "tokenizers",
    }
    assert not modules_after("import lf_ref") & (heavy | {"numpy", "regex", "safetensors"})


def test_tokenizer_needs_no_numba():
    code = "from lf_ref import LongformerTokenizer; LongformerTokenizer.from_pretrained()('A <mask>.')"
    assert not modules_after(code) & {"numba", "llvmlite", "huggingface_hub"}


def test_reference_needs_no_numba():
    code = (
        "from lf_ref import LongformerForMaskedLM\n"
        "LongformerForMaskedLM.from_pretrained(backend='numpy')(input_ids=[[0, 4, 2]])"
    )
    assert not modules_after(code) & {"numba", "llvmlite", "huggingface_hub"}


def imports(path: Path, at_once: bool = False) -> set[str]:
    """Absolute module names that a file imports, anywhere or as soon as it is imported; relative ones resolved."""
    package = ("lf_ref", *path.relative_to(PACKAGE).parts[:-1])
    found = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body if at_once else ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            start = ".".join([*base, *((node.module,) if node.module else ())])
            found |= {start, *(f"{start}.{alias.name}" for alias in node.names)}
    return found


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_peer_is_ever_imported(path):
    """But by the benchmark, and by `capture_torch`, which is handed a torch model."""
    if path.parent.name != "bench":
        at_once = path.relative_to(PACKAGE).as_posix() == "testing/traces/torch_hooks.py"
        assert not {name.partition(".")[0] for name in imports(path, at_once)} & {
            "torch",
            "transformers",
            "tokenizers",
        }


def test_public_names_resolve():
    for name in lf_ref.__all__:
        assert getattr(lf_ref, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = lf_ref.no_such_name


def test_modules_are_there_as_attributes_and_loaded_on_first_use():
    code = "import lf_ref, sys; before = 'lf_ref.testing' in sys.modules; first = lf_ref.testing"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; from lf_ref import testing; print(before, first is testing)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["False", "True"]
    assert {"global_attention", "testing", "jobs", "batches"} <= set(dir(lf_ref))
    assert callable(lf_ref.jobs.run)
