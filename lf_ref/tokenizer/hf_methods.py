"""Habits of HF's tokenizers that mean one thing here, and what to do in place of those that cannot."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar

from ..files import LOCATING
from ..hf_names import Alias, Fixed, HFNamed, HFNames, Ignored, accepts, unknown_attribute
from .decoding import clean_up
from .roles import ROLES
from .special_rows import SpecialRows

_NO_CHAT = "a Longformer has no chat template; join the messages into one text, and call the tokenizer with it"
_NO_BACKEND = "the tokenizers library is not used; the methods of the tokenizer itself do what it did"
_OTHERWISE = {
    "apply_chat_template": _NO_CHAT,
    "get_chat_template": _NO_CHAT,
    "encode_message_with_chat_template": _NO_CHAT,
    "save_chat_templates": _NO_CHAT,
    "backend_tokenizer": _NO_BACKEND,
    "decoder": "decode gives the text of ids, and convert_ids_to_tokens their tokens",
    "encoder": "get_vocab() has the id of each token",
    "slow_tokenizer_class": "LongformerTokenizer is the only class, and gives the ids of HF's slow and fast ones",
    "set_truncation_and_padding": "give padding=, truncation=, max_length= and stride= in each call",
    "train_new_from_iterator": "train with the tokenizers library, and load the files with from_pretrained",
    "prepare_seq2seq_batch": "a Longformer has no decoder; call the tokenizer with text_target= for the ids of labels",
    "push_to_hub": "write a folder with save_pretrained, and upload it with huggingface_hub.upload_folder",
    "register_for_auto_class": "there are no auto classes; use LongformerTokenizer by its name",
    "convert_added_tokens": "added_tokens_decoder has the added tokens, and vars() of each its options",
}

# HF's arguments of from_pretrained, of the constructor, of a call and of save_pretrained.
LOADING: HFNames = {
    **LOCATING,
    "use_fast": Ignored("there is one tokenizer"),
    "config": Ignored("the files of a tokenizer say all"),
    "tokenizer_type": Fixed((None, "longformer", "roberta"), "this is the tokenizer of a Longformer"),
    "gguf_file": Fixed((None,), "convert it to tokenizer.json"),
    "from_slow": Fixed((False, None), "give vocab_file= and merges_file= to LongformerTokenizer"),
}
ARGUMENTS: HFNames = {
    "max_len": Alias("model_max_length"),
    "tokenizer_object": Fixed((None,), "save it with tokenizer_object.save(path), and give tokenizer_file=path"),
    "do_lower_case": Fixed((False, None), "a Longformer reads capitals; give it text.lower() if it was trained so"),
    "pad_token_type_id": Fixed((0,), "a Longformer has token type 0 only"),
    "chat_template": Fixed((None,), "a Longformer has none; join the messages into one text"),
    "verbose": Ignored("nothing is logged"),
}
CALL: HFNames = {
    "pad_to_max_length": Fixed((False,), 'give padding="max_length"'),
    "truncation_strategy": Alias("truncation"),
}
SAVING: HFNames = {
    "safe_serialization": Ignored("a tokenizer has no weights"),
    "push_to_hub": Fixed((False, None), "save, and upload the folder with huggingface_hub.upload_folder"),
}


@accepts()
class HFMethods(SpecialRows, metaclass=HFNamed):
    """What code written for HF's tokenizers asks for beside the calls. A base of `LongformerTokenizer`."""

    _hf_hints = _OTHERWISE
    vocab_files_names: ClassVar = {
        "vocab_file": "vocab.json",
        "merges_file": "merges.txt",
        "tokenizer_file": "tokenizer.json",
    }
    is_fast = True
    can_save_slow_tokenizer = True
    verbose = False
    name_or_path = ""
    init_inputs = ()
    _others: dict[str, Any]

    def __getattr__(self, name: str) -> Any:
        """An extra special token by the name of its role, or its id; else refuse an attribute that there is not."""
        extra = self.__dict__.get("_extra", {})
        if name.removesuffix("_id") in extra:
            content = extra[name.removesuffix("_id")].content
            return content if name in extra else self.id_of(content)
        raise unknown_attribute(self, name, _OTHERWISE)

    @property
    def SPECIAL_TOKENS_ATTRIBUTES(self) -> list[str]:  # noqa: N802  # HF's name
        """The roles that special tokens may have."""
        return [*ROLES, "additional_special_tokens", *self._extra]

    @property
    def vocab(self) -> dict[str, int]:
        """All tokens, written in the byte alphabet, with their ids."""
        return self.get_vocab()

    @property
    def pad_token_type_id(self) -> int:
        """The token type of padding."""
        return 0

    @property
    def chat_template(self) -> Any:
        """The chat template that the files hold; it is kept for saving only."""
        return self._others.get("chat_template")

    @property
    def deprecation_warnings(self) -> dict[str, bool]:
        """An empty dict: nothing is ever logged."""
        return {}

    @staticmethod
    def clean_up_tokenization(out_string: str) -> str:
        """The text `out_string` without spaces before English punctuation and contractions."""
        return clean_up(out_string)

    def sanitize_special_tokens(self) -> int:
        """Make every special token an added token, and return how many were not; in HF deprecated."""
        return self._register(self.all_special_tokens_extended)

    def as_target_tokenizer(self) -> AbstractContextManager[None]:
        """A block in which texts are labels: they are encoded as any other; in HF deprecated."""
        return nullcontext()
