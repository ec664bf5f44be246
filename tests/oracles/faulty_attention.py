"""The port with one fault at a time in its attention."""

from __future__ import annotations

from typing import Any

import numpy as np

from oracles.fault_table import LAST, SELF, FaultTable
from oracles.port import Port

FAULTS = FaultTable()


def truncated(x: Any) -> Any:
    """The upper half of each float32: rounding towards zero, where bfloat16 rounds to nearest."""
    return (np.ascontiguousarray(x, np.float32).view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)


@FAULTS(f"{SELF}.query")
class QueryBiasMissing(Port):
    def bias(self, name):
        return super().bias(name) * (not name.endswith(".query"))


@FAULTS(f"{SELF}.key")
class KeyTransposed(Port):
    def weight(self, name):
        weight = super().weight(name)
        return np.ascontiguousarray(weight.T) if name.endswith(".key") else weight


@FAULTS(f"{LAST}.attention.self.value")
class ValueOfTheLayerBefore(Port):
    def weight(self, name):
        return super().weight(name.replace(f"{LAST}.attention.self.value", f"{SELF}.value"))


def swapped(name: str) -> str:
    """`key_global` for `value_global`, and the other way round."""
    for one, other in (("key_global", "value_global"), ("value_global", "key_global")):
        if name.endswith(one):
            return name.removesuffix(one) + other
    return name


@FAULTS(f"{SELF}.key_global")
class GlobalKeyAndValueSwapped(Port):
    def weight(self, name):
        return super().weight(swapped(name))

    def bias(self, name):
        return super().bias(swapped(name))


@FAULTS(f"{SELF}.query_global")
class GlobalQueryByTheLocalWeights(Port):
    def weight(self, name):
        return super().weight(name.replace("query_global", "query"))


@FAULTS(f"{SELF}.query", precisions=("bfloat16",))
class SumsInBfloat16(Port):
    def product(self, x, weight):
        total = np.zeros((*x.shape[:-1], len(weight)), np.float32)
        for column in range(x.shape[-1]):
            total = self.rounded(total + x[..., column, None] * weight[:, column])
        return total


@FAULTS(f"{SELF}.query", precisions=("bfloat16",))
class ResultsCutOff(Port):
    """Only what linear maps give, so that no table shows it."""

    def linear(self, x, name):
        exact = self.product(x, self.weight(name)) + self.bias(name)
        self.recorded[name] = truncated(exact)
        return self.recorded[name]


@FAULTS(f"{SELF}.scores")
class ScaleMissing(Port):
    def scale(self, query, name):
        return query if name == "query" else super().scale(query, name)


@FAULTS(f"{SELF}.scores_global")
class GlobalScaleMissing(Port):
    def scale(self, query, name):
        return query if name == "query_global" else super().scale(query, name)


@FAULTS(f"{SELF}.scores")
class WindowOneTooNarrow(Port):
    def local_keys(self, near):
        keys = super().local_keys(near)
        keys[..., [-1, self.in_use.shape[1]]] = False
        return keys


@FAULTS(f"{SELF}.scores")
class WindowOfOneSideOnly(Port):
    def local_keys(self, near):
        keys = super().local_keys(near)
        keys[..., self.in_use.shape[1] + near.shape[1] // 2 + 1 :] = False
        return keys


@FAULTS(f"{SELF}.scores")
class WindowShifted(Port):
    def reach(self, one_sided):
        return super().reach(one_sided) + 1


@FAULTS(f"{SELF}.scores")
class MaskedInTheMiddleIsSeen(Port):
    def attended(self, mask):
        last = mask.shape[1] - (mask[:, ::-1] == 1).argmax(1)  # as if a mask were a length
        return np.arange(mask.shape[1]) < last[:, None]


@FAULTS(f"{SELF}.scores")
class GlobalTokensCountTwice(Port):
    def banded(self):
        return self.visible


@FAULTS(f"{SELF}.scores")
class EveryRowHasAllSlots(Port):
    """Right only where all rows have equally many global tokens."""

    def used(self, counts, most):
        return np.ones((len(counts), most), bool)

    def replace(self, context, wide):
        for row, places in enumerate(self.places):
            for slot in range(self.is_global[row].sum()):
                context[row, :, places[slot]] = wide[row, :, slot]


@FAULTS(f"{SELF}.scores", batch="one window")
class LastWindowLost(Port):
    """A text of exactly one window has one block, whose upper triangle nobody copies."""

    def local_keys(self, near):
        keys = super().local_keys(near)
        if near.shape[0] == near.shape[1] - 1:
            keys[:, :, near.shape[0] // 2 :, self.in_use.shape[1] + near.shape[1] // 2 + 1 :] = False
        return keys


@FAULTS(f"{SELF}.scores", batch="two windows")
class MiddleOfTwoWindowsLost(Port):
    def local_keys(self, near):
        keys = super().local_keys(near)
        if near.shape[0] == 2 * (near.shape[1] - 1):
            keys[:, :, near.shape[1] - 1, : near.shape[1] // 2] = False
        return keys


@FAULTS(f"{SELF}.scores_global")
class GlobalQueriesSeeMasked(Port):
    def global_keys(self):
        return np.ones_like(self.visible)[:, None, None]


@FAULTS(f"{SELF}.probabilities")
class SoftmaxInFewBits(Port):
    """float16 where float32 is due, and the powers in bfloat16 before they are added up where bfloat16 is."""

    def softmax(self, scores):
        if self.precision == "float32":
            return super().softmax(scores.clip(-6e4, None).astype(np.float16)).astype(np.float32)
        powers = truncated(np.exp(truncated(scores - scores.max(-1, keepdims=True))))
        total = np.zeros_like(powers[..., 0])
        for column in range(powers.shape[-1]):
            total = truncated(total + powers[..., column])
        return truncated(powers / total[..., None])


@FAULTS(f"{SELF}.probabilities")
class TwoSoftmaxes(Port):
    """One over the global keys and one over the band."""

    def softmax(self, scores):
        columns = self.places.shape[1]
        if scores.shape[-1] == self.visible.shape[1]:
            return super().softmax(scores)
        parts = scores[..., :columns], scores[..., columns:]
        return np.concatenate([super(TwoSoftmaxes, self).softmax(part) for part in parts], axis=-1) / 2


@FAULTS(f"{SELF}.probabilities")
class MaskedQueriesAnswer(Port):
    def answering(self):
        return ~self.is_global[:, None, :, None]


@FAULTS(SELF)
class LocalRowStaysForGlobalQueries(Port):
    def answering(self):
        return self.visible[:, None, :, None]

    def replace(self, context, wide):
        pass


@FAULTS(SELF)
class HeadsInterleaved(Port):
    def merge(self, x):
        return x.transpose(0, 2, 3, 1).reshape(x.shape[0], x.shape[2], -1)


@FAULTS(SELF)
class NeighboursOfValuesOffByOne(Port):
    def gathered(self, shares, value, near):
        return super().gathered(shares, value, near + 1)
