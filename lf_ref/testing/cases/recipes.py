"""The table of the standard cases: the fault that each detects, its rows, and its other inputs and weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...config import LongformerConfig
from ...reference.ops import Array, Parameters
from .batches import row
from .special_weights import larger_scores, scores_far_below_zero, ties_of_bfloat16

Rows = Callable[[int], list[str]]
Changes = Callable[[LongformerConfig, Parameters], dict[str, Array]]


@dataclass(frozen=True)
class Recipe:
    """The parts of a case.

    rows: from the largest window, rows as in `batches`. fields: changes of the small config. drawn: further random
    integer inputs in the shape of the batch, by name, with their upper bound or its config field. labels: further
    inputs. without: inputs to leave out. embeds: embeddings instead of ids. questions: the number of questions that the
    rows are divided into, for multiple choice. changes: weights that replace the generator's. leeway: of the case.
    """

    name: str
    about: str
    rows: Rows
    class_name: str = "LongformerModel"
    fields: Mapping[str, Any] = field(default_factory=dict)
    drawn: Mapping[str, int | str] = field(default_factory=dict)
    labels: Mapping[str, Any] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    embeds: bool = False
    questions: int = 1
    changes: Changes | None = None
    leeway: float = 1.0

    @property
    def fits_any_model(self) -> bool:
        """Whether the case depends on inputs alone."""
        return self.class_name == "LongformerModel" and not (self.fields or self.labels or self.changes)


def _length(tokens: Callable[[int], int]) -> Rows:
    """Rows of a number of tokens that depends on the window: with one, no and two global tokens, one with padding."""

    def rows(window: int) -> list[str]:
        n = tokens(window)
        return [row(n, g=(0,)), row(n, right=n // 3), row(n, g=(n // 2, n - 1))]

    return rows


def _plain(window: int) -> list[str]:
    """A plain ragged batch: one, no and two global tokens, a masked token, padding."""
    n = 2 * window + 3
    return [row(n, g=(0,), m=(window - 1,)), row(n, right=window), row(n, g=(0, window + 2), right=2)]


def _separated(window: int) -> list[str]:
    """`<s> question </s></s> text </s>` in each row, questions and texts of different lengths."""
    texts = ((3, 2 * window), (window, window + 1), (1, window - 2), (2, 3))
    rows = [f"{'l' * (1 + question)}ss{'l' * text}s" for question, text in texts]
    return [each.ljust(max(map(len, rows)), "p") for each in rows]


LENGTHS = (
    ("one-token", "a sequence of a single token", lambda w: 1),
    ("shorter-than-the-window", "a sequence shorter than the window, which some pad to it", lambda w: w // 2 + 1),
    ("half-a-window", "a sequence of one side of the window", lambda w: w // 2),
    ("one-window-less-one", "one token less than a window", lambda w: w - 1),
    ("one-window", "exactly one window: the number of chunks is off by one", lambda w: w),
    ("one-window-and-one", "one token more than a window", lambda w: w + 1),
    ("two-windows-less-one", "one token less than two windows", lambda w: 2 * w - 1),
    ("two-windows", "exactly two windows: first and last chunk meet", lambda w: 2 * w),
    ("two-windows-and-one", "one token more than two windows", lambda w: 2 * w + 1),
    ("many-windows", "chunks in the middle, which are neither first nor last", lambda w: 5 * w + 3),
)

GLOBALS = (
    Recipe(
        "ragged-globals",
        "rows with 0, 4, 1 and 2 global tokens: those with fewer than the most must not attend to the gap",
        lambda w: [
            row(2 * w + 5, right=2),
            row(2 * w + 5, g=(0, 5, w + 3, -1)),
            row(2 * w + 5, g=(0,), right=w),
            row(2 * w + 5, g=(3, w), m=(4,)),
        ],
    ),
    Recipe(
        "global-projections",
        "global and local projections exchanged, for queries, keys or values, or one of them used for both",
        lambda w: [row(2 * w + 1, g=(0, 2, w, 2 * w - 1))],
    ),
    Recipe(
        "adjacent-globals",
        "runs of global tokens at both ends and in the middle: a key that is global and near must count once",
        lambda w: [row(2 * w + 3, g=(0, 1, w - 1, w, w + 1, -2, -1)), row(2 * w + 3, g=(w // 2, w // 2 + 1))],
    ),
    Recipe(
        "all-global",
        "every token is global, or every token but padding",
        lambda w: [row(w + 3, g=range(w + 3)), row(w + 3, g=range(w - 2), right=5), row(w + 3)],
    ),
    Recipe("no-globals", "a global attention mask of zeros", lambda w: [row(2 * w + 3), row(2 * w + 3, right=w)]),
    Recipe(
        "no-global-mask",
        "no global attention mask at all: the encoder alone has no global tokens then",
        lambda w: [row(2 * w + 3), row(2 * w + 3, right=w)],
        without=("global_attention_mask",),
    ),
    Recipe(
        "no-masks",
        "nothing but ids: every token is visible",
        lambda w: [row(w + 5), row(w + 5)],
        without=("attention_mask", "global_attention_mask"),
    ),
)

MASKS = (
    Recipe(
        "masked-middle",
        "masked tokens in the middle, one alone, and a run longer than the window",
        lambda w: [row(3 * w, g=(0,), m=(w - 1,)), row(3 * w, m=range(w - 1, 2 * w + 1)), row(3 * w, m=(1, w, 2 * w))],
    ),
    Recipe(
        "masked-start",
        "masked tokens at the start, the first chunk among them",
        lambda w: [row(2 * w + 3, m=range(w + 1)), row(2 * w + 3, m=(0,), g=(1,)), row(2 * w + 3, m=(0, 1), g=(w,))],
    ),
    Recipe(
        "padding-right",
        "padding at the end, of different lengths",
        lambda w: [row(2 * w + 3, g=(0,)), row(2 * w + 3, g=(0, 1), right=w - 1), row(2 * w + 3, right=2 * w)],
    ),
    Recipe(
        "padding-left",
        "padding at the start: position ids count from the first word",
        lambda w: [row(2 * w + 3, g=(0,)), row(2 * w + 3, left=w - 1, g=(w - 1,)), row(2 * w + 3, left=2 * w)],
    ),
    Recipe(
        "global-but-masked",
        "tokens that are marked as global and masked: they count as masked",
        lambda w: [row(w + 3, g=(0,), x=(3, w)), row(w + 3, x=(0, 5)), row(w + 3, g=(1, 2), x=(0, -1))],
    ),
    Recipe(
        "one-visible-token",
        "rows in which a single token is visible, local or global: its attention is 1 on itself",
        lambda w: [
            row(w + 3, m=[token for token in range(w + 3) if token != w // 2]),
            row(w + 3, g=(2,), m=[token for token in range(w + 3) if token != 2]),
            row(w + 3, g=(0,)),
        ],
    ),
    Recipe(
        "nothing-visible",
        "a row without any visible token: its attention is zero, not NaN",
        lambda w: [row(w + 3, left=w + 3), row(w + 3, g=(0,)), row(w + 3, m=range(w + 3))],
    ),
    Recipe(
        "far-from-all",
        "a token whose window holds no other visible one, with and without a global token far away",
        lambda w: [row(3 * w, g=(0,), m=range(1, 3 * w - 1)), row(3 * w, m=range(1, 3 * w - 1))],
    ),
)

POSITIONS = (
    Recipe(
        "padding-ids-inside",
        "the padding id inside the text, masked or not: such a token takes no position",
        lambda w: [row(w + 5, g=(0,), v=(3, 4)), row(w + 5, v=(0, w)), "ll" + "p" * 3 + "l" * w],
    ),
    Recipe(
        "explicit-position-ids",
        "position ids given by the caller, in no order",
        _plain,
        drawn={"position_ids": "max_position_embeddings"},
    ),
    Recipe("pad-token-0", "a padding id of 0: positions start at 1, not 2", _plain, fields={"pad_token_id": 0}),
    Recipe("pad-token-7", "a padding id above the others: positions start at 8", _plain, fields={"pad_token_id": 7}),
    Recipe("token-types", "token types given by the caller", _plain, drawn={"token_type_ids": "type_vocab_size"}),
    Recipe(
        "inputs-embeds",
        "embeddings instead of ids: position ids count every token, padding too",
        lambda w: [row(w + 5, g=(0,)), row(w + 5, left=3), row(w + 5, g=(0, 4), right=w)],
        embeds=True,
    ),
)

CONFIGS = (
    Recipe("windows-by-layer", "a different window for each layer", _plain, fields={"attention_window": [4, 8]}),
    Recipe(
        "windows-that-do-not-divide",
        "windows that do not divide the largest one",
        _plain,
        fields={"attention_window": [4, 10, 6], "num_hidden_layers": 3},
    ),
    Recipe("smallest-window", "one neighbour on each side", _plain, fields={"attention_window": 2}),
    Recipe("layer-norm-eps", "a large epsilon: a hard-coded one fails", _plain, fields={"layer_norm_eps": 0.1}),
    Recipe("gelu-new", "the tanh form of gelu, which is not the erf form", _plain, fields={"hidden_act": "gelu_new"}),
    Recipe("odd-head-size", "heads of 7", _plain, fields={"hidden_size": 21}),
    Recipe(
        "large-scores",
        "scores of some hundreds: softmax without subtracting the maximum overflows, and reduced precision is far off",
        _plain,
        changes=larger_scores,
        leeway=2.0,  # which of two keys with near scores wins hangs on one rounding: another program's is not ours
    ),
    Recipe(
        "scores-below-minus-10000",
        "scores of about -23000: a masked score of -10000 is larger, and wins the softmax",
        _plain,
        changes=scores_far_below_zero,
    ),
    Recipe(
        "bfloat16-rounding",
        "word and type embeddings half-way between two bfloat16 values, whose sum position embeddings nearly cancel: "
        "exact when rounded to nearest, ties to even, and far off with an error of one unit in the last place",
        _plain,
        drawn={"token_type_ids": "type_vocab_size"},
        changes=ties_of_bfloat16,
    ),
)

WINDOWS = (
    Recipe(
        "dilated-window",
        "attention_dilation: neighbours three apart, and global tokens that are seen wherever they stand",
        lambda w: [row(4 * w, g=(0,), m=(w,)), row(4 * w, right=w), row(4 * w, g=(1, 2 * w), right=2)],
        fields={"attention_dilation": 3},
    ),
    Recipe(
        "dilation-by-head",
        "attention_dilation by layer and head",
        lambda w: [row(4 * w, g=(0,), m=(w,)), row(4 * w, right=w), row(4 * w, g=(1, 2 * w), right=2)],
        fields={"attention_dilation": [[1, 2, 3], [4, 1, 9]]},
    ),
    Recipe(
        "causal",
        "autoregressive: no token sees one after it, nor does a global token",
        _plain,
        fields={"autoregressive": True},
    ),
)

# One layer, one head and few channels, so that thousands of tokens are cheap.
_LONG = {
    "num_hidden_layers": 1,
    "hidden_size": 16,
    "num_attention_heads": 1,
    "intermediate_size": 19,
    "max_position_embeddings": 2053,
}

LONG = (
    Recipe(
        "more-than-256-tokens",
        "positions counted in bfloat16, or that wrap at 128 or 256",
        lambda w: [row(263, g=(0,)), row(263, right=5)],
        fields=_LONG,
    ),
    Recipe("more-than-512-tokens", "positions that end at 512", lambda w: [row(521, g=(0,))], fields=_LONG),
    Recipe(
        "more-than-2048-tokens",
        "positions counted in float16, or that wrap at 1024 or 2048",
        lambda w: [row(2049)],
        fields=_LONG,
    ),
    Recipe(
        "global-token-beyond-2048",
        "a global token beyond the first 2048, which every token attends to",
        lambda w: [row(2049, g=(2048,))],
        fields=_LONG,
    ),
)

HEADS = (
    Recipe(
        "masked-lm",
        "logits of the vocabulary, by the word embeddings; labels of -100 are ignored",
        lambda w: [row(w + 3, g=(0,)), row(w + 3, right=w)],
        "LongformerForMaskedLM",
        labels={"labels": [[-100, 3, -100, 60, *([-100] * 5), 8, -100], [-100, 0, *([-100] * 9)]]},
    ),
    Recipe(
        "masked-lm-untied",
        "an untied decoder, not the word embeddings",
        lambda w: [row(w + 3, g=(0,)), row(w + 3, right=w)],
        "LongformerForMaskedLM",
        fields={"tie_word_embeddings": False},
    ),
    Recipe(
        "sequence-classification",
        "no global attention mask: this head makes the first token global",
        lambda w: [row(2 * w + 3), row(2 * w + 3, right=w), row(2 * w + 3, m=(3,))],
        "LongformerForSequenceClassification",
        fields={"num_labels": 5},
        labels={"labels": [4, 0, 2]},
        without=("global_attention_mask",),
    ),
    Recipe(
        "token-classification",
        "labels of every token; those of -100 are ignored",
        lambda w: [row(w + 3, g=(0,)), row(w + 3, right=w)],
        "LongformerForTokenClassification",
        fields={"num_labels": 5},
        labels={"labels": [[-100, 1, 4, 0, *([2] * 6), -100], [-100, 3, *([-100] * 9)]]},
    ),
    Recipe(
        "multiple-choice",
        "no global attention mask: this head makes all tokens after the first separators global",
        _separated,
        "LongformerForMultipleChoice",
        labels={"labels": [1, 0]},
        without=("global_attention_mask",),
        questions=2,
    ),
    Recipe(
        "question-answering",
        "no global attention mask: this head makes the question global; positions past the end are ignored",
        _separated,
        "LongformerForQuestionAnswering",
        labels={"start_positions": [9, 12, 4, 6], "end_positions": [11, 99, 8, 7]},
        without=("global_attention_mask",),
    ),
)

RECIPES = (
    *(Recipe(name, about, _length(tokens)) for name, about, tokens in LENGTHS),
    *GLOBALS,
    *MASKS,
    *POSITIONS,
    *CONFIGS,
    *WINDOWS,
    *LONG,
    *HEADS,
)
