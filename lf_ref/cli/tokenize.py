"""`lf-ref tokenize`."""

from __future__ import annotations

from typing import Any

import click

from ..command_line import command, input_option
from .options import PAIRS, checkpoint_options, input_options, quietly, tokenizer_option
from .output import echo, line_progress, print_json, print_line, table, visible
from .texts import Lines, argument, one_or_lines


@command("tokenize", short_help="Show the tokens of a text.")
@click.argument("text", required=False)
@input_option("--pair", metavar="TEXT", help="Second text, to tokenize a pair.")
@click.option("--no-special-tokens", is_flag=True, help="Omit the special tokens, <s> and </s>.")
@input_options(PAIRS)
@checkpoint_options
@tokenizer_option
def tokenize(
    text: str | None,
    file: str | None,
    lines: str | None,
    as_json: bool,
    pair: str | None,
    no_special_tokens: bool,
    quiet: bool,
    **source: Any,
) -> None:
    """Show the tokens of TEXT: position, id, token, and its characters in the text.

    \b
    Example:
      lf-ref tokenize "A short text, and its tokens."
    """
    from ..pipelines.texts import check_text
    from ..tokenizer import LongformerTokenizer

    given = one_or_lines(text, file, lines)
    model, beside = source.pop("model"), source.pop("tokenizer")
    with quietly(quiet):
        tokenizer = LongformerTokenizer.from_pretrained(model if beside is None else beside, **source)
    second = None if pair is None else argument(pair)

    def encode(one: str, second: str | None = None) -> dict[str, Any]:
        encoded = tokenizer(one, second, add_special_tokens=not no_special_tokens, return_offsets_mapping=True)
        ids = encoded["input_ids"]
        offsets = [[start, end] for start, end in encoded["offset_mapping"]]
        return {"ids": ids, "tokens": tokenizer.convert_ids_to_tokens(ids), "offsets": offsets}

    if isinstance(given, Lines):
        with line_progress("tokenize", given, quiet) as bar:
            for index, (item, rest) in enumerate(given.pairs(second)):
                line = given.name(index)
                texts = [check_text(f"the {key} of {line}", text) for key, text in item.items() if text is not None]
                print_line(encode(*texts), rest)
                bar.update()
    elif as_json:
        print_json(encode(given, second))
    else:
        _show(encode(given, second))


def _show(encoded: dict[str, Any]) -> None:
    rows = [["position", "id", "token", "start", "end"]]
    found = zip(encoded["ids"], encoded["tokens"], encoded["offsets"], strict=True)
    for position, (token_id, token, (start, end)) in enumerate(found):
        rows.append([str(position), str(token_id), visible(token), str(start), str(end)])
    table(rows, right=[0, 1, 3, 4])
    echo(f"{len(rows) - 1} tokens")
