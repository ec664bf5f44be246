"""The one-way order of the package: no module imports from a floor above its own, and no two import each other."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import lf_ref

PACKAGE = Path(lf_ref.__file__).parent

# Rooms from the ground up, by the longest prefix of a module's name. Rooms on one line do not import each other.
FLOORS = [
    ["errors", "version", "progress", "compilation", "memory"],
    ["command_line"],
    ["files", "hf_names", "allenai"],
    ["other_models"],
    ["config_rules", "config_hf_methods"],
    ["config"],
    ["tokenizer.arguments"],
    ["tokenizer.added_token", "tokenizer.bpe"],
    ["tokenizer.files", "tokenizer.encoding"],
    ["kernels.jit", "kernels.cpu", "kernels.cpus"],
    ["kernels.layout", "kernels.threads"],
    ["kernels.rows"],
    ["kernels.matmul"],
    ["kernels.attention", "kernels.tokens"],
    ["kernels.layer"],
    ["tokenizer", "checkpoint", "reference", "kernels"],
    ["model", "embeddings"],
    ["pipelines", "conversion"],
    ["embeddings.encoder", "records"],
    ["sklearn", "serve", "batches"],
    ["jobs"],
    ["testing.generator", "testing.traces"],
    ["testing.cases", "testing.comparison"],
    ["testing.golden", "testing.mistakes"],
    ["testing.strategies", "testing.conformance"],
    ["testing.plugin", "testing.__main__", "testing"],
    ["bench"],
    ["attention_map"],
    ["explorer"],
    ["cli"],
    ["", "__main__"],
]
# Rooms that know less than all that is below them.
ONLY = {
    "kernels.jit": {"compilation", "memory"},
    "kernels.cpu": set(),
    "kernels.cpus": set(),
    "kernels.threads": {"errors", "kernels.cpus"},
    "kernels.layout": {"kernels.jit", "kernels.cpu"},
    "kernels.rows": {"kernels.jit", "kernels.layout"},
    "kernels.matmul": {"memory", "kernels.jit", "kernels.cpu", "kernels.layout", "kernels.rows"},
    "kernels.attention": {"memory", "kernels.jit", "kernels.layout", "kernels.matmul"},
    "kernels.layer": {"memory", "kernels.jit", "kernels.layout", "kernels.rows", "kernels.matmul", "kernels.attention"},
    "kernels.tokens": {"memory", "kernels.layout", "kernels.rows", "kernels.matmul", "kernels.threads"},
    "kernels": {"memory", "kernels.layout", "kernels.matmul", "kernels.attention", "kernels.layer", "kernels.tokens"}
    | {"kernels.threads"},
    "reference": {"errors", "config"},
    "tokenizer.bpe": {"errors"},
    "tokenizer.files": {"errors", "files", "tokenizer.arguments", "tokenizer.added_token", "tokenizer.bpe"},
    "tokenizer.encoding": {"errors", "hf_names", "tokenizer.arguments", "tokenizer.added_token", "tokenizer.bpe"},
    "testing.generator": {"errors", "hf_names", "config", "checkpoint", "tokenizer.arguments"},
}


def module_name(path: Path) -> str:
    """The name within the package, "" for the package itself."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix("__init__").rstrip(".")


PATHS = {module_name(path): path for path in PACKAGE.rglob("*.py")}


def imports(name: str) -> set[str]:
    """The modules of the package that a module imports, at once, later, or for type checkers alone."""
    path, found = PATHS[name], set()
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            assert not any(alias.name.partition(".")[0] == "lf_ref" for alias in node.names), (
                f"{name}: import relatively"
            )
        if isinstance(node, ast.ImportFrom) and node.level:
            parts = [*package[: len(package) - node.level + 1], *((node.module or "").split("."))]
            source = ".".join(filter(None, parts))
            for alias in node.names:
                inner = f"{source}.{alias.name}".lstrip(".")
                found.add(inner if inner in PATHS else source)
    return found - {name}


IMPORTS = {name: imports(name) for name in sorted(PATHS)}
ROOMS = [room for floor in FLOORS for room in floor]


def room_of(name: str) -> str:
    return max((room for room in ROOMS if room == "" or f"{name}.".startswith(f"{room}.")), key=len)


def floor_of(room: str) -> int:
    return next(number for number, floor in enumerate(FLOORS) if room in floor)


def test_no_circle():
    try:
        TopologicalSorter(IMPORTS).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1][::-1]))


@pytest.mark.parametrize("name", IMPORTS)
def test_imports_lead_down(name):
    own = room_of(name)
    rooms = {other: room_of(other) for other in IMPORTS[name]}
    up = {other for other, room in rooms.items() if room != own and floor_of(room) >= floor_of(own)}
    assert up == set()
    if own in ONLY:
        assert set(rooms.values()) <= ONLY[own] | {own}
