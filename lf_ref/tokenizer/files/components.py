"""Read the components of a tokenizer.json beside its model: normalizer, pre_tokenizer, post_processor and decoder.

Files write the same tokenizer in several ways: a component may be in a Sequence, and special tokens may come from a
template. Components with the effect of a Longformer's own are read; others raise an error that names them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...errors import CheckpointError
from ..arguments import shown
from .json_values import expect

_MEMBERS = {"pre_tokenizer": "pretokenizers", "post_processor": "processors", "decoder": "decoders"}
_TEMPLATES = {"single": "<cls> $A <sep>", "pair": "<cls> $A <sep> <sep> $B <sep>"}


@dataclass(frozen=True)
class Components:
    """The settings that the components determine; None if they leave it to the tokenizer's arguments.

    Args:
        template: the tokens that begin and end a text.
        add_prefix_space: as in `LongformerTokenizer`; the file decides if the component is in a Sequence, as in HF.
        trim_offsets: the same, and also if the special tokens come from a template.
        spares_space: see `TextEncoder`.
    """

    template: tuple[str, str] | None = None
    add_prefix_space: bool | None = None
    trim_offsets: bool | None = None
    spares_space: bool | None = None


def read_components(content: Mapping[str, Any], ids: Mapping[str, int], where: str) -> Components:
    """Read the components of a tokenizer.json, and refuse those that give other ids than a Longformer's tokenizer.

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
        return Components(add_prefix_space=prefix)
    processor = f"{where}: post_processor"
    main = [member for member in members if _kind(member) in ("RobertaProcessing", "TemplateProcessing")]
    trimming = [member for member in members if _kind(member) == "ByteLevel"]
    if len(main) != 1 or len(trimming) > 1 or len(main) + len(trimming) < len(members):
        raise _unlike(content, "post_processor", "'RobertaProcessing' or 'TemplateProcessing'", where)
    if _kind(main[0]) == "TemplateProcessing":
        template = _from_template(main[0], ids, processor)
    else:
        cls, sep = (_token(main[0].get(name), ids, f"{processor}.{name}") for name in ("cls", "sep"))
        template = cls, sep
        if main[0] is content["post_processor"]:
            # The tokenizer's arguments decide, and in HF add_prefix_space is False where only a Sequence has it.
            return Components(template, prefix, None, None if prefix is None else False)
        trimming += main
    # HF trims twice where two components trim, which cuts letters off.
    trimming = [member for member in trimming if _flag(member, "trim_offsets", processor)]
    spares = _flag(trimming[0], "add_prefix_space", processor) if trimming else None
    return Components(template, prefix, bool(trimming), spares)


def _members(content: Mapping[str, Any], name: str, where: str) -> list[dict[str, Any]] | None:
    """Return the members of a component that is a Sequence, else the component alone; None for null."""
    component = content.get(name)
    if component is None:
        return None
    if expect(component, dict, f"{where}: {name}").get("type") != "Sequence":
        return [component]
    members = f"{where}: {name}.{_MEMBERS[name]}"
    return [
        expect(entry, dict, f"{members}[{number}]")
        for number, entry in enumerate(expect(component.get(_MEMBERS[name]), list, members))
    ]


def _kind(member: Mapping[str, Any]) -> Any:
    """Return the type of a component; None for a ByteLevel without the standard pattern."""
    return member.get("type") if member.get("use_regex", True) is True else None


def _flag(member: Mapping[str, Any], name: str, where: str) -> bool:
    flag: bool = expect(member.get(name, True), bool, f"{where}.{name}")
    return flag


def _unlike(content: Mapping[str, Any], name: str, kinds: str, where: str) -> CheckpointError:
    return CheckpointError(
        f"{where}: {name} must be null or of type {kinds} with the standard pattern, as in a Longformer's tokenizer, "
        f"got {shown(content[name])}"
    )


def _token(pair: Any, ids: Mapping[str, int], where: str) -> str:
    """Return the token of a [token, id] pair; the id must be that of the vocabulary."""
    expect(pair, list, where)
    if len(pair) != 2 or not isinstance(pair[0], str) or ids.get(pair[0]) != pair[1]:
        raise CheckpointError(f"{where} must be a token and its id in the vocabulary, got {shown(pair)}")
    return pair[0]


def _from_template(component: Mapping[str, Any], ids: Mapping[str, int], where: str) -> tuple[str, str]:
    """Return the tokens that a template puts around texts, if it puts them where RobertaProcessing does."""
    tokens = {
        name: _special(entry, ids, f"{where}.special_tokens")
        for name, entry in expect(component.get("special_tokens"), dict, f"{where}.special_tokens").items()
    }
    found = {name: _pieces(component.get(name), tokens, f"{where}.{name}") for name in _TEMPLATES}
    single = found["single"]
    if len(single) == 3:
        begin, end = single[0], single[2]
        wanted = {"single": [begin, "$A", end], "pair": [begin, "$A", end, end, "$B", end]}
        if found == wanted and begin in ids and end in ids:
            return begin, end
    got = ", ".join(f"{name} {shown(' '.join(pieces))}" for name, pieces in found.items())
    raise CheckpointError(
        f"{where} must be a Longformer's template, single {_TEMPLATES['single']!r} and pair {_TEMPLATES['pair']!r}, "
        f"got {got}"
    )


def _special(entry: Any, ids: Mapping[str, int], where: str) -> str:
    """Return the token of an entry of a template; it must be one token, as in RobertaProcessing."""
    values = [expect(entry, dict, where).get(name) for name in ("tokens", "ids")]
    if any(not isinstance(value, list) or len(value) != 1 for value in values):
        raise CheckpointError(f"{where} must have one token and one id in each entry, got {shown(entry)}")
    return _token([value[0] for value in values], ids, where)


def _pieces(pieces: Any, tokens: Mapping[str, str], where: str) -> list[str]:
    """Return the tokens and texts of a template; all must have token type 0, the only one of a Longformer."""
    found = []
    for number, piece in enumerate(expect(pieces, list, where)):
        entry = f"{where}[{number}]"
        kind, value = next(iter(expect(piece, dict, entry).items()), (None, None))
        if len(piece) != 1 or kind not in ("SpecialToken", "Sequence") or not isinstance(value, dict):
            raise CheckpointError(f"{entry} must be a SpecialToken or a Sequence, got {shown(piece)}")
        name = expect(value.get("id"), str, f"{entry}.id")
        if value.get("type_id", 0) != 0:
            raise CheckpointError(
                f"{entry} must have the token type 0, the only one of a Longformer, got {shown(value['type_id'])}"
            )
        if kind == "SpecialToken" and name not in tokens:
            raise CheckpointError(f"{entry} names {shown(name)}, which is not in special_tokens")
        found.append(tokens[name] if kind == "SpecialToken" else f"${name}")
    return found
