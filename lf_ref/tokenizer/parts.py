"""The parts of a tokenizer.json beside its model: what splits a text, what goes around it, and what joins it again.

The same is written in several ways: a part may stand in a Sequence, and special tokens may come from a template. What
means the same as a Longformer's own parts is read, all else is refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import CheckpointError
from .files import expect
from .inputs import shown

_MEMBERS = {"pre_tokenizer": "pretokenizers", "post_processor": "processors", "decoder": "decoders"}
_TEMPLATES = {"single": "<cls> $A <sep>", "pair": "<cls> $A <sep> <sep> $B <sep>"}


@dataclass(frozen=True)
class Parts:
    """What the parts say, None where they leave it to the tokenizer's arguments.

    Args:
        around: the tokens that begin and end a text.
        add_prefix_space: as in `LongformerTokenizer`; HF lets the file decide where the part stands in a Sequence.
        trim_offsets: the same; also where the special tokens come from a template.
        spares_space: see `TextEncoder`.
    """

    around: tuple[str, str] | None = None
    add_prefix_space: bool | None = None
    trim_offsets: bool | None = None
    spares_space: bool | None = None


def read_parts(content: Mapping[str, Any], ids: Mapping[str, int], where: str) -> Parts:
    """Read the parts of a tokenizer.json and refuse what would make other ids than a Longformer's tokenizer.

    Args:
        content: the file.
        ids: token to id.
        where: the file, for errors.
    """
    normalizer = content.get("normalizer")
    if normalizer is not None and normalizer != {"type": "Sequence", "normalizers": []}:
        raise CheckpointError(f"{where}: normalizer must be null, got {shown(normalizer)}")
    prefix = None
    for name in ("pre_tokenizer", "decoder"):
        members = _members(content, name, where)
        if members is not None and [_kind(member) for member in members] != ["ByteLevel"]:
            raise _unlike(content, name, "'ByteLevel'", where)
        if members and name == "pre_tokenizer" and members[0] is not content[name]:
            prefix = _flag(members[0], "add_prefix_space", f"{where}: {name}")
    members = _members(content, "post_processor", where)
    if members is None:
        return Parts(add_prefix_space=prefix)
    here = f"{where}: post_processor"
    main = [member for member in members if _kind(member) in ("RobertaProcessing", "TemplateProcessing")]
    trimming = [member for member in members if _kind(member) == "ByteLevel"]
    if len(main) != 1 or len(trimming) > 1 or len(main) + len(trimming) < len(members):
        raise _unlike(content, "post_processor", "'RobertaProcessing' or 'TemplateProcessing'", where)
    if _kind(main[0]) == "TemplateProcessing":
        around = _from_template(main[0], ids, here)
    else:
        around = (_token(main[0].get("cls"), ids, f"{here}.cls"), _token(main[0].get("sep"), ids, f"{here}.sep"))
        if main[0] is content["post_processor"]:
            # The tokenizer's arguments decide, and to HF add_prefix_space is False where only a Sequence has it.
            return Parts(around, prefix, None, None if prefix is None else False)
        trimming += main
    # (HF trims twice where two of them do, which cuts letters off.)
    trimming = [member for member in trimming if _flag(member, "trim_offsets", here)]
    spares = _flag(trimming[0], "add_prefix_space", here) if trimming else None
    return Parts(around, prefix, bool(trimming), spares)


def _members(content: Mapping[str, Any], name: str, where: str) -> list[dict[str, Any]] | None:
    """The members of a part that is a Sequence, else the part alone; None for null."""
    part = content.get(name)
    if part is None:
        return None
    if expect(part, dict, f"{where}: {name}").get("type") != "Sequence":
        return [part]
    here = f"{where}: {name}.{_MEMBERS[name]}"
    return [
        expect(entry, dict, f"{here}[{number}]")
        for number, entry in enumerate(expect(part.get(_MEMBERS[name]), list, here))
    ]


def _kind(member: Mapping[str, Any]) -> Any:
    """The type of a part; None for a ByteLevel without the standard pattern."""
    return member.get("type") if member.get("use_regex", True) is True else None


def _flag(member: Mapping[str, Any], name: str, where: str) -> bool:
    flag: bool = expect(member.get(name, True), bool, f"{where}.{name}")
    return flag


def _unlike(content: Mapping[str, Any], name: str, kinds: str, where: str) -> CheckpointError:
    return CheckpointError(
        f"{where}: {name} must be null or of type {kinds} with its standard pattern, as a Longformer's tokenizer has "
        f"it, got {shown(content[name])}"
    )


def _token(pair: Any, ids: Mapping[str, int], where: str) -> str:
    """The token of a pair with its id, which must be that of the vocabulary."""
    expect(pair, list, where)
    if len(pair) != 2 or not isinstance(pair[0], str) or ids.get(pair[0]) != pair[1]:
        raise CheckpointError(f"{where} must be a token and its id in the vocabulary, got {shown(pair)}")
    return pair[0]


def _from_template(part: Mapping[str, Any], ids: Mapping[str, int], where: str) -> tuple[str, str]:
    """The tokens that a template puts around texts, if it puts them where RobertaProcessing does."""
    tokens = {
        name: _special(entry, ids, f"{where}.special_tokens")
        for name, entry in expect(part.get("special_tokens"), dict, f"{where}.special_tokens").items()
    }
    found = {name: _pieces(part.get(name), tokens, f"{where}.{name}") for name in _TEMPLATES}
    single = found["single"]
    if len(single) == 3:
        begin, end = single[0], single[2]
        wanted = {"single": [begin, "$A", end], "pair": [begin, "$A", end, end, "$B", end]}
        if found == wanted and begin in ids and end in ids:
            return begin, end
    got = ", ".join(f"{name} {shown(' '.join(pieces))}" for name, pieces in found.items())
    raise CheckpointError(
        f"{where}: a Longformer's template is single {_TEMPLATES['single']!r}, pair {_TEMPLATES['pair']!r}, got {got}"
    )


def _special(entry: Any, ids: Mapping[str, int], where: str) -> str:
    """The token of an entry of a template; as RobertaProcessing has it, each is one token."""
    values = [expect(entry, dict, where).get(name) for name in ("tokens", "ids")]
    if any(not isinstance(value, list) or len(value) != 1 for value in values):
        raise CheckpointError(f"{where} must have one token and one id in each entry, got {shown(entry)}")
    return _token([value[0] for value in values], ids, where)


def _pieces(pieces: Any, tokens: Mapping[str, str], where: str) -> list[str]:
    """The tokens and texts of a template; all of token type 0, the only one that a Longformer has."""
    found = []
    for number, piece in enumerate(expect(pieces, list, where)):
        here = f"{where}[{number}]"
        kind, value = next(iter(expect(piece, dict, here).items()), (None, None))
        if len(piece) != 1 or kind not in ("SpecialToken", "Sequence") or not isinstance(value, dict):
            raise CheckpointError(f"{here} must be a SpecialToken or a Sequence, got {shown(piece)}")
        name = expect(value.get("id"), str, f"{here}.id")
        if value.get("type_id", 0) != 0:
            raise CheckpointError(
                f"{here} has the token type {shown(value['type_id'])}: a Longformer's tokenizer has type 0 only"
            )
        if kind == "SpecialToken" and name not in tokens:
            raise CheckpointError(f"{here} names {shown(name)}, which is not in special_tokens")
        found.append(tokens[name] if kind == "SpecialToken" else f"${name}")
    return found
