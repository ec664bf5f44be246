"""`lf-ref precision`."""

from __future__ import annotations

from typing import Any

from ..command_line import command, complete_file, input_option
from .options import checkpoint_options, json_option, quietly, threads_option, tokenizer_option
from .output import echo, print_json, table
from .texts import document


@command("precision", short_help="Compare the accuracy of dtypes.")
@input_option(
    "--file",
    metavar="PATH|-",
    shell_complete=complete_file,
    help="Measure on a UTF-8 text file (default: a page that comes with the package).",
)
@json_option
@threads_option
@checkpoint_options
@tokenizer_option
def precision(file: str | None, num_threads: int | None, as_json: bool, **source: Any) -> None:
    """Compare the accuracy of float32, bfloat16 and int8 with float64: hidden states, masked-LM loss, top-1 accuracy.

    Every seventh token of a text is masked, in seven rounds, so that each token is masked once; the first token is
    global. Nothing is random. The agreement is the fraction of masks for which a dtype predicts the same word as
    float64. The checkpoint needs a masked-LM head.

    \b
    Example:
      lf-ref precision
    """
    from ..files import DEMO, locate
    from .errors_of_dtypes import compare

    passage = locate(DEMO).require("passage.txt")
    text = passage.read_text(encoding="utf-8") if file is None else document(None, file)
    with quietly(source.pop("quiet")):
        facts = compare(source.pop("model"), text, source.pop("tokenizer"), num_threads, **source)
    if as_json:
        print_json(facts, indent=2)
    else:
        _show(facts)


def _show(facts: dict[str, Any]) -> None:
    echo(f"{facts['name']}: {facts['masked']} of {facts['tokens']} tokens masked, {facts['rounds']} rounds\n")
    rows = [["dtype", "weights", "loss", "top-1", "agreement", "hidden states: largest error", "RMS, relative"]]
    rows += [
        [
            dtype,
            f"{found['weight_bytes'] / 1e6:.1f} MB",
            f"{found['loss']:.5f}",
            f"{found['top_1']:.4f}",
            f"{found['agreement']:.4f}",
            f"{found['largest_error'][-1]:.2g}",
            f"{found['relative_error'][-1]:.2g}",
        ]
        for dtype, found in facts["dtypes"].items()
    ]
    table(rows, right=range(1, 7))
    echo("\nRMS of the error over RMS of the hidden states, after the embeddings and after each layer")
    layers = len(facts["dtypes"]["float64"]["relative_error"])
    rows = [["dtype", *map(str, range(layers))]]
    rows += [
        [dtype, *(f"{error:.1e}" for error in found["relative_error"])] for dtype, found in facts["dtypes"].items()
    ]
    table(rows, right=range(1, layers + 1))
