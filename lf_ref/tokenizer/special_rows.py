"""The parts of HF's interface that work on ids alone: special tokens around them and the masks of these."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import InputError
from .rows import Around
from .vocabulary import Vocabulary, as_ids


class SpecialRows(Vocabulary):
    """Rows of ids. A base of `LongformerTokenizer`, with HF's names."""

    model_max_length: int
    _around: Around

    @property
    def max_len_single_sentence(self) -> int:
        """The tokens that a single text may have beside the special ones."""
        return self.model_max_length - self.num_special_tokens_to_add()

    @property
    def max_len_sentences_pair(self) -> int:
        """The tokens that a pair of texts may have beside the special ones."""
        return self.model_max_length - self.num_special_tokens_to_add(pair=True)

    def num_special_tokens_to_add(self, pair: bool = False) -> int:
        """How many special tokens go around a text, or (`pair`) a pair of texts."""
        return 4 if pair else 2

    def build_inputs_with_special_tokens(
        self, token_ids_0: Sequence[int], token_ids_1: Sequence[int] | None = None
    ) -> list[int]:
        """The ids of `<s> token_ids_0 </s>`, or of `<s> token_ids_0 </s></s> token_ids_1 </s>` for a pair."""
        cls, sep = self._around.begin.token_id, self._around.end.token_id
        second = [] if token_ids_1 is None else [sep, *token_ids_1, sep]
        return [cls, *token_ids_0, sep, *second]

    def create_token_type_ids_from_sequences(
        self, token_ids_0: Sequence[int], token_ids_1: Sequence[int] | None = None
    ) -> list[int]:
        """A 0 for every id that `build_inputs_with_special_tokens(token_ids_0, token_ids_1)` returns.

        A Longformer has one token type.
        """
        return [0] * len(self.build_inputs_with_special_tokens(token_ids_0, token_ids_1))

    def get_special_tokens_mask(
        self,
        token_ids_0: Sequence[int],
        token_ids_1: Sequence[int] | None = None,
        already_has_special_tokens: bool = False,
    ) -> list[int]:
        """1 for special tokens, 0 for others.

        token_ids_0, token_ids_1: ids of one text or of two, without special tokens, which are counted as if put around
        them; or, with already_has_special_tokens, those of a row as it is in token_ids_0 alone.

        Raises:
            InputError: two lists with already_has_special_tokens, or something else than ids.
        """
        if not already_has_special_tokens:
            second = [] if token_ids_1 is None else [1, *[0] * len(token_ids_1), 1]
            return [1, *[0] * len(token_ids_0), 1, *second]
        if token_ids_1 is not None:
            raise InputError("ids that have special tokens already are one row: give no second list")
        special = set(self.all_special_ids)
        return [int(token_id in special) for token_id in as_ids(token_ids_0)]
