"""`lf-ref tokenize`."""

from __future__ import annotations

from functools import partial
from typing import Any

import click

from ..command_line import command, input_option
from .inputs import PAIRS, InputOutput, input_options, run
from .options import checkpoint_options, quietly, tokenizer_option
from .output import echo, table, visible
from .texts import argument


@command("tokenize", short_help="Show the tokens of a text.")
@click.argument("text", required=False)
@input_option("--pair", metavar="TEXT", help="Second text, to tokenize a pair; the same for all inputs.")
@click.option("--no-special-tokens", is_flag=True, help="Omit the special tokens, <s> and </s>.")
@input_options(PAIRS)
@checkpoint_options
@tokenizer_option
def tokenize(
    text: str | None,
    io: InputOutput,
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
    from ..records.answers import one_by_one
    from ..tokenizer import LongformerTokenizer

    given = io.read(text, **({} if pair is None else {"text_pair": argument(pair)}))
    model, beside = source.pop("model"), source.pop("tokenizer")
    with quietly(quiet):
        tokenizer = LongformerTokenizer.from_pretrained(model if beside is None else beside, **source)

    def encode(name: str, item: dict[str, Any]) -> dict[str, Any]:
        one, *second = [check_text(f"the {key} of {name}", text) for key, text in item.items() if text is not None]
        encoded = tokenizer(
            one, second[0] if second else None, add_special_tokens=not no_special_tokens, return_offsets_mapping=True
        )
        ids = encoded["input_ids"]
        offsets = [[start, end] for start, end in encoded["offset_mapping"]]
        return {"ids": ids, "tokens": tokenizer.convert_ids_to_tokens(ids), "offsets": offsets}

    run(given, partial(encode, "the text"), one_by_one(encode), _show, "tokenize", quiet)


def _show(encoded: dict[str, Any]) -> None:
    rows = [["position", "id", "token", "start", "end"]]
    found = zip(encoded["ids"], encoded["tokens"], encoded["offsets"], strict=True)
    for position, (token_id, token, (start, end)) in enumerate(found):
        rows.append([str(position), str(token_id), visible(token), str(start), str(end)])
    table(rows, right=[0, 1, 3, 4])
    echo(f"{len(rows) - 1} tokens")
