"""Mistakes within the attention: in the scores and in the softmax."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import product

import numpy as np

from ...reference.ops import Array, softmax
from ..comparison.precisions import PRECISIONS, Rounder
from .variant import Edit, Forward, Place, Variant, Variants

_CONSTANTS = (-1e4, -1e8)
# From the dot products of a head, its scores, and the place: other scores.
Scores = Callable[[Forward, Place, Array, Array], Array]


def scores(case: Variant) -> Variants:
    """Keys that are wrongly seen or missed."""
    for title, change in (
        ("a window of one token less on each side", partial(_narrowed, lambda offset, w: np.abs(offset) < w)),
        ("a window of the tokens before alone", partial(_narrowed, lambda offset, w: offset <= 0)),
        ("a window of the tokens after alone", partial(_narrowed, lambda offset, w: offset >= 0)),
        ("a window of one token more to the right, and less to the left", _shifted),
        ("global keys that count twice when they are near", _twice),
        ("gaps that are seen, in rows with fewer global tokens", _gaps),
        ("global keys that local queries do not see", _without_global),
        ("masked queries that attend too", _masked_queries),
    ):
        yield title, case.with_edit(_local_scores(change))
    yield "the local attention for global queries too", case.with_edit(_global_as_local)
    yield "scores that are not scaled", case.with_edit(_scaled("scores", "scores_global"))
    yield "local scores that are not scaled", case.with_edit(_scaled("scores"))
    yield "global scores that are not scaled", case.with_edit(_scaled("scores_global"))
    yield "global queries that see padding", case.with_edit(_seen_padding)


def mask_constants(case: Variant) -> Variants:
    """Masked scores that are a number, not minus infinity, in place of scores or added to them.

    Everywhere; in the window; or in the window and for its global tokens too, which have a column of their own.
    """
    for constant, where, added in product(_CONSTANTS, (_everywhere, _in_window, _in_band), (True, False)):
        title = f"masked scores of {constant:g}"
        yield title, case.with_edit(partial(_filled, constant, where, added, False))
        answering = partial(_filled, constant, where, added, True)
        yield f"{title}, and masked queries that attend", case.with_edit(answering)


def softmaxes(case: Variant) -> Variants:
    """Softmax in lower precision, or one for the global keys and one for the others."""
    for precision in ("float16", "bfloat16", "float32"):
        for parts in (("scores",), ("probabilities",), ("scores", "probabilities")):
            edit = partial(_rounded, PRECISIONS[precision].round, parts)
            yield f"a softmax in {precision}", case.with_edit(edit, approximate=True)
        for total_too in (True, False):
            edit = partial(_softmax_in, PRECISIONS[precision].round, total_too)
            yield f"a softmax in {precision}", case.with_edit(edit, approximate=True)
    yield "one softmax over global keys and one over neighbours", case.with_edit(partial(_two_softmaxes, 0.5))
    yield "one softmax over global keys and one over neighbours", case.with_edit(partial(_two_softmaxes, 1.0))


def _local_scores(change: Scores) -> Edit:
    def edit(forward: Forward, place: Place, within: str, array: Array) -> Array:
        if within != "attention.self.scores":
            return array
        return change(forward, place, forward.products(place), array)

    return edit


def _offsets(length: int) -> Array:
    """The position of each key, less that of the query.  # -> int64 [S, S]"""
    return np.arange(length) - np.arange(length)[:, None]


def _one_sided(forward: Forward, place: Place) -> int:
    return forward.config.windows[place.layer or 0] // 2


def _near(forward: Forward, place: Place, length: int) -> Array:
    return np.abs(_offsets(length)) <= _one_sided(forward, place)


def _narrowed(
    keep: Callable[[Array, int], Array], forward: Forward, place: Place, products: Array, array: Array
) -> Array:
    _, is_global = forward.masks(place)
    kept = keep(_offsets(len(array)), _one_sided(forward, place))
    return np.where(is_global | kept, array, -np.inf)


def _shifted(forward: Forward, place: Place, products: Array, array: Array) -> Array:
    visible, is_global = forward.masks(place)
    offset, one_sided = _offsets(len(array)), _one_sided(forward, place)
    local = visible & ~is_global
    keys = is_global | ((offset > -one_sided) & (offset <= one_sided + 1) & local)
    return np.where(keys & local[:, None], products, -np.inf)


def _twice(forward: Forward, place: Place, products: Array, array: Array) -> Array:
    _, is_global = forward.masks(place)
    return array + np.log(2.0) * (is_global & _near(forward, place, len(array)))


def _gaps(forward: Forward, place: Place, products: Array, array: Array) -> Array:
    """Slots without a global token hold token 0."""
    visible, is_global = forward.masks(place)
    missing = int(forward.inputs.is_global.sum(axis=1).max()) - int(is_global.sum())
    if not missing:
        return array
    changed = array.copy()
    count = missing + np.isfinite(array[:, 0])
    changed[:, 0] = np.where(visible & ~is_global, products[:, 0] + np.log(count), -np.inf)
    return changed


def _without_global(forward: Forward, place: Place, products: Array, array: Array) -> Array:
    return np.where(forward.masks(place)[1], -np.inf, array)


def _masked_queries(forward: Forward, place: Place, products: Array, array: Array) -> Array:
    visible, is_global = forward.masks(place)
    keys = is_global | (_near(forward, place, len(array)) & visible)
    return np.where(keys & ~visible[:, None], products, array)


def _global_as_local(forward: Forward, place: Place, within: str, array: Array) -> Array:
    if within == "attention.self.scores_global":
        return np.full_like(array, -np.inf)
    if within != "attention.self.scores":
        return array
    visible, is_global = forward.masks(place)
    keys = is_global | (_near(forward, place, len(array)) & visible)
    return np.where(keys & is_global[:, None], forward.products(place), array)


def _scaled(*parts: str) -> Edit:
    def edit(forward: Forward, place: Place, within: str, array: Array) -> Array:
        size = forward.config.hidden_size // forward.config.num_attention_heads
        return array * np.sqrt(size) if within.removeprefix("attention.self.") in parts else array

    return edit


def _seen_padding(forward: Forward, place: Place, within: str, array: Array) -> Array:
    if within != "attention.self.scores_global":
        return array
    return np.where(forward.masks(place)[1][:, None], forward.products(place, "_global"), array)


def _everywhere(near: Array, is_global: Array) -> Array:
    return np.ones_like(near)


def _in_window(near: Array, is_global: Array) -> Array:
    return near & ~is_global


def _in_band(near: Array, is_global: Array) -> Array:
    return near


def _filled(
    constant: float,
    where: Callable[[Array, Array], Array],
    added: bool,
    answering: bool,
    forward: Forward,
    place: Place,
    within: str,
    array: Array,
) -> Array:
    """The constant for keys that must not be seen; answering: masked queries attend as local ones do."""
    if within not in ("attention.self.scores", "attention.self.scores_global"):
        return array
    kind = within.removeprefix("attention.self.scores")
    (visible, is_global), products = forward.masks(place), forward.products(place, kind)
    answering &= not kind
    if answering:
        array = _masked_queries(forward, place, products, array)
    asking = (np.isfinite(array).any(axis=1) | (answering & ~visible))[:, None]
    filled = constant + added * products
    if kind:
        return np.where(np.isinf(array) & asking, filled, array)
    near = _near(forward, place, len(array))
    twice = asking & near & is_global & (where is _in_band)
    array = np.where(twice, np.logaddexp(array, filled), array)
    return np.where(np.isinf(array) & asking & where(near, is_global), filled, array)


def _rounded(
    rounded: Rounder, parts: tuple[str, ...], forward: Forward, place: Place, within: str, array: Array
) -> Array:
    own = within.removeprefix("attention.self.").removesuffix("_global")
    return rounded(array.astype(np.float32)).astype(np.float64) if own in parts else array


def _softmax_in(rounded: Rounder, total_too: bool, forward: Forward, place: Place, within: str, array: Array) -> Array:
    """Each of its operations is rounded; total_too: the sum as well."""
    if within not in ("attention.self.probabilities", "attention.self.probabilities_global"):
        return array
    own = rounded(forward.before(place, within.replace("probabilities", "scores")).astype(np.float32))
    top = own.max(axis=1, keepdims=True)
    powers = rounded(np.exp(rounded(own - np.where(np.isfinite(top), top, 0))))
    total = powers.sum(axis=1, keepdims=True)
    if total_too:
        total = rounded(total)
    return rounded(powers / np.where(total > 0, total, 1)).astype(np.float64)


def _two_softmaxes(share: float, forward: Forward, place: Place, within: str, array: Array) -> Array:
    """Each has this share of the attention."""
    if within != "attention.self.probabilities":
        return array
    _, is_global = forward.masks(place)
    own = forward.before(place, "attention.self.scores")
    over_global, over_local = (softmax(np.where(keys, own, -np.inf)) for keys in (is_global, ~is_global))
    return share * (over_global + over_local)
