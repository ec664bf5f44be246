"""Faults of the NumPy port with the name that the oracle gives them, from the outputs alone; "" for those without one.

A name is a part of the phrase, since the oracle says more.
"""

from __future__ import annotations

import numpy as np

from oracles.port import Port

NAMES = {
    "QueryBiasMissing": "no bias in query",
    "KeyTransposed": "key.weight transposed",
    "GlobalKeyAndValueSwapped": "key_global and value_global exchanged",
    "ScaleMissing": "local scores that are not scaled",
    "GlobalScaleMissing": "global scores that are not scaled",
    "WindowOneTooNarrow": "one token less on each side",
    "WindowOfOneSideOnly": "tokens before alone",
    "WindowShifted": "one token more to the right",
    "MaskedInTheMiddleIsSeen": "masked tokens inside the text seen",
    "GlobalTokensCountTwice": "count twice",
    "EveryRowHasAllSlots": "gaps that are seen",
    "GlobalQueriesSeeMasked": "global queries that see padding",
    "SoftmaxInFewBits": "a softmax in float16",
    "LocalRowStaysForGlobalQueries": "the local attention for global queries too",
    "HeadsInterleaved": "heads merged in another order",
    "PositionsFromZero": "begin at 0",
    "PositionsOffByOne": "one too low",
    "PositionsCountPadding": "count padding",
    "TypesIgnored": "token_type_ids ignored",
    "EpsilonNotOfTheConfig": "a layer_norm_eps of 1e-12",
    "OutputBiasMissing": "no bias in attention.output.dense",
    "ResidualOfAttentionMissing": "no residual in attention.output",
    "ResidualOfFeedForwardMissing": "no residual in output",
    "GeluByTanh": "gelu_new as the activation",
    "ReluForGelu": "relu as the activation",
    "LastLayerSkipped": "no last layer",
    "HeadActivationMissing": "no lm_head.activation",
    "HeadNormMissing": "no lm_head.layer_norm",
    "HeadBiasMissing": "no bias in lm_head",
    "LastTokenPooled": "the last token in place of the first",
    "PoolerWithoutTanh": "no pooler.activation",
    "MeanClassified": "the mean of the tokens in place of the first",
    "ClassifierWithoutGlobalAttention": "no global attention",
    "AnswerIsGlobalInsteadOfQuestion": "the global attention mask inverted",
}

# One of each kind of fault that a port was seen to have; the last three are not in the oracle's table.
PORTED = (
    "WindowTwiceAsWide",
    "WindowHalfAsWide",
    "FirstWindowEverywhere",
    "WindowOneTooNarrow",
    "NothingIsGlobal",
    "FirstTokensAreGlobal",
    "GlobalKeyAndValueSwapped",
    "GlobalScaleMissing",
    "GlobalQueriesSeeMasked",
    "QueryAndKeySwapped",
    "AnotherPaddingId",
    "PositionsOffByOne",
    "PaddingIsSeen",
    "SoftmaxInFewBits",
    "EpsilonOfBert",
    "GeluByTanh",
    "ResidualOfAttentionMissing",
    "LastLayerSkipped",
    "TwoSoftmaxes",
    "NormsSwapped",
    "FeedForwardWeightOfTheNextLayer",
)


class WindowTwiceAsWide(Port):
    def one_sided(self, index):
        return 2 * super().one_sided(index)


class WindowHalfAsWide(Port):
    def one_sided(self, index):
        return super().one_sided(index) // 2


class FirstWindowEverywhere(Port):
    def one_sided(self, index):
        return super().one_sided(0)


class FirstTokensAreGlobal(Port):
    def slots(self):
        count = self.is_global.sum(1)
        self.is_global = np.arange(self.is_global.shape[1]) < count[:, None]
        return super().slots()


class NothingIsGlobal(Port):
    def slots(self):
        self.is_global = np.zeros_like(self.is_global)
        return super().slots()


class AnotherPaddingId(Port):
    def positions(self, ids):
        return np.cumsum(ids != 0, 1) * (ids != 0)


class EpsilonOfBert(Port):
    def eps(self, name):
        return 1e-12


class PaddingIsSeen(Port):
    def attended(self, mask):
        return np.ones(mask.shape, bool)


class QueryAndKeySwapped(Port):
    def weight(self, name):
        return super().weight(_swapped(name))

    def bias(self, name):
        return super().bias(_swapped(name))


def _swapped(name):
    end = {"query": "key", "key": "query"}.get(name.rpartition(".")[2])
    return name if end is None else f"{name.rpartition('.')[0]}.{end}"


# The faults that the issue of the diagnosis lists, beside those of `faulty_ports`.
LISTED = {
    WindowTwiceAsWide: "twice the window",
    WindowHalfAsWide: "half the window",
    FirstWindowEverywhere: "the first layer's window in all layers",
    FirstTokensAreGlobal: "the first tokens as the global ones",
    NothingIsGlobal: "no global attention",
    AnotherPaddingId: "a padding id of 0",
    EpsilonOfBert: "a layer_norm_eps of 1e-12",
    PaddingIsSeen: "padding seen",
    QueryAndKeySwapped: "query and key exchanged",
}
