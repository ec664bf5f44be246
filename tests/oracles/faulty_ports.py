"""The port with one fault at a time: what goes wrong when people port Longformer, and where it first shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from oracles.port import Port

BOTH = ("float32", "bfloat16")
LAYER, LAST = "encoder.layer.0", "encoder.layer.1"
SELF = f"{LAYER}.attention.self"


@dataclass(frozen=True)
class Fault:
    """A wrong port: `make` takes what `Port` takes. place: where its fault first shows.

    precisions: those in which it can be seen; in the others it is smaller than their rounding. batch: which inputs
    show it, a key of `batches` in the tests.
    """

    make: Callable[..., Port]
    place: str
    class_name: str = "LongformerForMaskedLM"
    precisions: tuple[str, ...] = BOTH
    batch: str = "ragged"


FAULTS: dict[str, Fault] = {}


def fault(place: str, **facts: Any) -> Callable[[type[Port]], type[Port]]:
    """Put a subclass of the port into the table, under its name."""

    def enter(kind: type[Port]) -> type[Port]:
        FAULTS[kind.__name__] = Fault(kind, place, **facts)
        return kind

    return enter


def truncated(x: Any) -> Any:
    """The upper half of each float32: rounding towards zero, where bfloat16 rounds to nearest."""
    return (np.ascontiguousarray(x, np.float32).view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)


# --- embeddings -----------------------------------------------------------------------------------------------------


@fault("embeddings.position_embeddings")
class PositionsFromZero(Port):
    def positions(self, ids):
        return np.maximum(super().positions(ids) - self.fields["pad_token_id"] - 1, 0)


@fault("embeddings.position_embeddings")
class PositionsOffByOne(Port):
    def positions(self, ids):
        return super().positions(ids) - 1


@fault("embeddings.position_embeddings", batch="padded left")
class PositionsCountPadding(Port):
    def positions(self, ids):
        return np.broadcast_to(np.arange(ids.shape[1]) + self.fields["pad_token_id"] + 1, ids.shape)


@fault("embeddings.token_type_embeddings")
class TypesIgnored(Port):
    def types(self, given):
        return np.zeros_like(given)


@fault("embeddings.LayerNorm")
class EpsilonNotOfTheConfig(Port):
    def eps(self, name):
        return 1e-12


@fault("embeddings.word_embeddings", precisions=("bfloat16",))
class WeightsCutOff(Port):
    def stored(self, values):
        return truncated(values)


@fault("embeddings.word_embeddings", precisions=("float32",))
class WeightsInFloat16(Port):
    def stored(self, values):
        return values.astype(np.float16).astype(np.float32)


# --- projections ----------------------------------------------------------------------------------------------------


@fault(f"{SELF}.query")
class QueryBiasMissing(Port):
    def bias(self, name):
        return super().bias(name) * (not name.endswith(".query"))


@fault(f"{SELF}.key")
class KeyTransposed(Port):
    def weight(self, name):
        weight = super().weight(name)
        return np.ascontiguousarray(weight.T) if name.endswith(".key") else weight


@fault(f"{LAST}.attention.self.value")
class ValueOfTheLayerBefore(Port):
    def weight(self, name):
        return super().weight(name.replace(f"{LAST}.attention.self.value", f"{SELF}.value"))


def swapped(name: str) -> str:
    """`key_global` for `value_global`, and the other way round."""
    for one, other in (("key_global", "value_global"), ("value_global", "key_global")):
        if name.endswith(one):
            return name.removesuffix(one) + other
    return name


@fault(f"{SELF}.key_global")
class GlobalKeyAndValueSwapped(Port):
    def weight(self, name):
        return super().weight(swapped(name))

    def bias(self, name):
        return super().bias(swapped(name))


@fault(f"{SELF}.query_global")
class GlobalQueryByTheLocalWeights(Port):
    def weight(self, name):
        return super().weight(name.replace("query_global", "query"))


@fault(f"{SELF}.query", precisions=("bfloat16",))
class SumsInBfloat16(Port):
    def product(self, x, weight):
        total = np.zeros((*x.shape[:-1], len(weight)), np.float32)
        for column in range(x.shape[-1]):
            total = self.rounded(total + x[..., column, None] * weight[:, column])
        return total


@fault(f"{SELF}.query", precisions=("bfloat16",))
class ResultsCutOff(Port):
    """Only what linear maps give, so that no table shows it."""

    def linear(self, x, name):
        exact = self.product(x, self.weight(name)) + self.bias(name)
        self.kept[name] = truncated(exact)
        return self.kept[name]


# --- attention ------------------------------------------------------------------------------------------------------


@fault(f"{SELF}.scores")
class ScaleMissing(Port):
    def scale(self, query, name):
        return query if name == "query" else super().scale(query, name)


@fault(f"{SELF}.scores_global")
class GlobalScaleMissing(Port):
    def scale(self, query, name):
        return query if name == "query_global" else super().scale(query, name)


@fault(f"{SELF}.scores")
class WindowOneTooNarrow(Port):
    def local_keys(self, near):
        keys = super().local_keys(near)
        keys[..., [-1, self.in_use.shape[1]]] = False
        return keys


@fault(f"{SELF}.scores")
class WindowOfOneSideOnly(Port):
    def local_keys(self, near):
        keys = super().local_keys(near)
        keys[..., self.in_use.shape[1] + near.shape[1] // 2 + 1 :] = False
        return keys


@fault(f"{SELF}.scores")
class WindowShifted(Port):
    def reach(self, one_sided):
        return super().reach(one_sided) + 1


@fault(f"{SELF}.scores")
class MaskedInTheMiddleIsSeen(Port):
    def attended(self, mask):
        last = mask.shape[1] - (mask[:, ::-1] == 1).argmax(1)  # as if a mask were a length
        return np.arange(mask.shape[1]) < last[:, None]


@fault(f"{SELF}.scores")
class GlobalTokensCountTwice(Port):
    def banded(self):
        return self.visible


@fault(f"{SELF}.scores")
class EveryRowHasAllSlots(Port):
    """Right only where all rows have equally many global tokens."""

    def used(self, counts, most):
        return np.ones((len(counts), most), bool)

    def replace(self, context, wide):
        for row, places in enumerate(self.places):
            for slot in range(self.is_global[row].sum()):
                context[row, :, places[slot]] = wide[row, :, slot]


@fault(f"{SELF}.scores", batch="one window")
class LastWindowLost(Port):
    """A text of exactly one window has one block, whose upper triangle nobody copies."""

    def local_keys(self, near):
        keys = super().local_keys(near)
        if near.shape[0] == near.shape[1] - 1:
            keys[:, :, near.shape[0] // 2 :, self.in_use.shape[1] + near.shape[1] // 2 + 1 :] = False
        return keys


@fault(f"{SELF}.scores", batch="two windows")
class MiddleOfTwoWindowsLost(Port):
    def local_keys(self, near):
        keys = super().local_keys(near)
        if near.shape[0] == 2 * (near.shape[1] - 1):
            keys[:, :, near.shape[1] - 1, : near.shape[1] // 2] = False
        return keys


@fault(f"{SELF}.scores_global")
class GlobalQueriesSeeMasked(Port):
    def global_keys(self):
        return np.ones_like(self.visible)[:, None, None]


@fault(f"{SELF}.probabilities")
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


@fault(f"{SELF}.probabilities")
class TwoSoftmaxes(Port):
    """One over the global keys and one over the band."""

    def softmax(self, scores):
        columns = self.places.shape[1]
        if scores.shape[-1] == self.visible.shape[1]:
            return super().softmax(scores)
        parts = scores[..., :columns], scores[..., columns:]
        return np.concatenate([super(TwoSoftmaxes, self).softmax(part) for part in parts], axis=-1) / 2


@fault(f"{SELF}.probabilities")
class MaskedQueriesAnswer(Port):
    def answering(self):
        return ~self.is_global[:, None, :, None]


@fault(SELF)
class LocalRowStaysForGlobalQueries(Port):
    def answering(self):
        return self.visible[:, None, :, None]

    def replace(self, context, wide):
        pass


@fault(SELF)
class HeadsInterleaved(Port):
    def merge(self, x):
        return x.transpose(0, 2, 3, 1).reshape(x.shape[0], x.shape[2], -1)


@fault(SELF)
class NeighboursOfValuesOffByOne(Port):
    def gathered(self, shares, value, near):
        return super().gathered(shares, value, near + 1)


# --- the rest of a layer --------------------------------------------------------------------------------------------


@fault(f"{LAYER}.attention.output.dense")
class OutputBiasMissing(Port):
    def bias(self, name):
        return super().bias(name) * (not name.endswith("attention.output.dense"))


@fault(f"{LAYER}.attention.output.LayerNorm")
class ResidualOfAttentionMissing(Port):
    def add_and_norm(self, residual, x, name):
        return super().add_and_norm(residual * (not name.endswith("attention.output")), x, name)


@fault(f"{LAYER}.output.LayerNorm")
class ResidualOfFeedForwardMissing(Port):
    def add_and_norm(self, residual, x, name):
        return super().add_and_norm(residual * name.endswith("attention.output"), x, name)


@fault(f"{LAYER}.output.LayerNorm")
class NormsSwapped(Port):
    def norm(self, x, name):
        done = super().norm(x, name.replace(f"{LAYER}.output", f"{LAYER}.attention.output"))
        self.kept[name] = done
        return done

    def add_and_norm(self, residual, x, name):
        before = self.kept.get(f"{LAYER}.attention.output.LayerNorm")
        done = super().add_and_norm(residual, x, name)
        if name == f"{LAYER}.output":
            self.kept[f"{LAYER}.attention.output.LayerNorm"] = before
        return done


@fault(f"{LAYER}.intermediate.intermediate_act_fn", precisions=("float32",))
class GeluByTanh(Port):
    """At most 5e-4 off, which is less than a step of bfloat16 where gelu is large."""

    def gelu(self, x):
        return 0.5 * x * (1 + np.tanh(np.float32(0.7978845608) * (x + np.float32(0.044715) * x**3)))


@fault(f"{LAYER}.intermediate.intermediate_act_fn")
class ReluForGelu(Port):
    def gelu(self, x):
        return np.maximum(x, 0)


@fault(f"{LAYER}.output.dense")
class FeedForwardWeightOfTheNextLayer(Port):
    def weight(self, name):
        return super().weight(name.replace(f"{LAYER}.output.dense", f"{LAST}.output.dense"))


@fault("lm_head.dense")
class LastLayerSkipped(Port):
    def depth(self):
        return super().depth() - 1


# --- heads ----------------------------------------------------------------------------------------------------------


@fault("lm_head.layer_norm")
class HeadActivationMissing(Port):
    def head_activation(self, x):
        return x


@fault("lm_head.decoder")
class HeadNormMissing(Port):
    def head_norm(self, x):
        return x


@fault("lm_head.decoder")
class HeadBiasMissing(Port):
    def bias(self, name):
        return super().bias(name) * (name != "lm_head.decoder")


@fault("lm_head.decoder")
class DecoderNotTied(Port):
    def weight(self, name):
        weight = super().weight(name)
        return np.roll(weight, 1, axis=0) if name == "lm_head.decoder" else weight


@fault("pooler.dense", class_name="LongformerModel")
class LastTokenPooled(Port):
    def first(self, x):
        return x[:, -1]


@fault("pooler.activation", class_name="LongformerModel")
class PoolerWithoutTanh(Port):
    def tanh(self, x):
        return x


@fault("classifier.dense", class_name="LongformerForSequenceClassification")
class MeanClassified(Port):
    def first(self, x):
        return self.rounded(x.mean(1))


@fault(f"{SELF}.scores", class_name="LongformerForSequenceClassification")
class ClassifierWithoutGlobalAttention(Port):
    def default_global(self, ids):
        return np.zeros_like(ids)


@fault(f"{SELF}.query_global", class_name="LongformerForQuestionAnswering")
class AnswerIsGlobalInsteadOfQuestion(Port):
    def default_global(self, ids):
        return 1 - super().default_global(ids)
