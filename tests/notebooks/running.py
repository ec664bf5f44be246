"""Run notebooks and store what they show: `python tests/notebooks/running.py notebooks/01_tokenizer.ipynb ...`

A notebook runs with the Python that runs this, in an empty folder, without the network, without the user's settings of
IPython and Jupyter, and with an empty cache of downloads. Nothing is stored that tells of the machine or the user.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import nbformat
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

# All that a notebook says about how it was run.
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
_SECONDS = 300  # for one cell: far more than any needs, so that only one that hangs is stopped


class _ThisPython(KernelSpecManager):
    """Whatever kernels are installed, the one of the Python that runs this."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(argv=command, display_name=kernel_name, language="python")


def run(notebook: nbformat.NotebookNode) -> None:
    """Run all cells in order, and replace their outputs.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell raised an exception; the message has the cell and the traceback.
    """
    with tempfile.TemporaryDirectory() as around:
        folder = Path(around, "work")
        folder.mkdir()
        client = NotebookClient(
            notebook,
            km=AsyncKernelManager(kernel_spec_manager=_ThisPython()),
            timeout=_SECONDS,
            record_timing=False,
            coalesce_streams=True,
            resources={"metadata": {"path": str(folder)}},
        )
        client.execute(env=_environment(folder.parent), cleanup_kc=True)  # the kernel ends before this process does
    notebook.metadata = nbformat.from_dict(METADATA)
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({"tags": cell.metadata["tags"]} if "tags" in cell.metadata else {})
        for output in cell.get("outputs", []):
            if "metadata" in output:
                output.metadata = nbformat.from_dict({})


def _environment(folder: Path) -> dict[str, str]:
    """The variables of a kernel; whoever sets HF_HUB_OFFLINE decides about the network."""
    settings = folder / "settings"
    return {
        "HF_HUB_OFFLINE": "1",
        **os.environ,
        "HF_HOME": str(folder / "hub"),
        "IPYTHONDIR": str(settings),
        "JUPYTER_CONFIG_DIR": str(settings),
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    }


def main(paths: list[str]) -> None:
    """Run each notebook and write it back."""
    for path in paths:
        notebook = nbformat.read(path, as_version=4)
        run(notebook)
        nbformat.write(notebook, path)


if __name__ == "__main__":
    main(sys.argv[1:])
