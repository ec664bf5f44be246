"""HF's other methods, attributes and arguments, and what to use instead of those that a Longformer does not need."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, ClassVar

from ..hf_names import LOCATING, Alias, Fixed, HFNamed, HFNames, Ignored, accepts, unknown_attribute
from .added_token import ROLES
from .encoding.decoder import clean_up
from .files.export import TokenizerContent, save_tokenizer, save_vocabulary
from .id_rows import IdRows

_NO_CHAT = "a Longformer has no chat template; join the messages into one text, and call the tokenizer with it"
_NO_BACKEND = "the tokenizers library is not used; call the methods of the tokenizer itself"
_OTHERWISE = {
    "apply_chat_template": _NO_CHAT,
    "get_chat_template": _NO_CHAT,
    "encode_message_with_chat_template": _NO_CHAT,
    "save_chat_templates": _NO_CHAT,
    "backend_tokenizer": _NO_BACKEND,
    "decoder": "call decode for the text of ids, or convert_ids_to_tokens for their tokens",
    "encoder": "call get_vocab() for the id of each token",
    "slow_tokenizer_class": "LongformerTokenizer is the only class, and gives the ids of HF's slow and fast ones",
    "set_truncation_and_padding": "give padding=, truncation=, max_length= and stride= in each call",
    "train_new_from_iterator": "train with the tokenizers library, and load the files with from_pretrained",
    "prepare_seq2seq_batch": "a Longformer has no decoder; call the tokenizer with text_target= for the ids of labels",
    "push_to_hub": "write a folder with save_pretrained, and upload it with huggingface_hub.upload_folder",
    "register_for_auto_class": "there are no auto classes; use LongformerTokenizer by its name",
    "convert_added_tokens": "read added_tokens_decoder for the added tokens, and vars(token) for the options of each",
}

# HF's arguments of from_pretrained, of the constructor, of a call and of save_pretrained.
LOADING: HFNames = {
    **LOCATING,
    "use_fast": Ignored("there is one tokenizer"),
    "config": Ignored("the files of the tokenizer are enough"),
    "tokenizer_type": Fixed((None, "longformer", "roberta"), "this is the tokenizer of a Longformer"),
    "gguf_file": Fixed((None,), "convert it to tokenizer.json"),
    "from_slow": Fixed((False, None), "give vocab_file= and merges_file= to LongformerTokenizer"),
}
ARGUMENTS: HFNames = {
    "max_len": Alias("model_max_length"),
    "tokenizer_object": Fixed((None,), "save it with tokenizer_object.save(path), and give tokenizer_file=path"),
    "do_lower_case": Fixed(
        (False, None), "a Longformer distinguishes upper and lower case; give it text.lower() if it was trained so"
    ),
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


@accepts(save_pretrained=SAVING)
class HFMethods(IdRows, metaclass=HFNamed):
    """HF's methods and attributes beside the calls. A base of `LongformerTokenizer`."""

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
        """Return an extra special token by the name of its role, or its id; refuse unknown attributes."""
        extra = self.__dict__.get("_extra", {})
        if name.removesuffix("_id") in extra:
            content = extra[name.removesuffix("_id")].content
            return content if name in extra else self.id_of(content)
        raise unknown_attribute(self, name, _OTHERWISE)

    def save_pretrained(
        self,
        save_directory: str | os.PathLike[str],
        legacy_format: bool | None = None,
        filename_prefix: str | None = None,
    ) -> tuple[str, ...]:
        """Write the tokenizer's files and settings, which HF reads, too.

        Older files of the tokenizer in the folder are replaced or removed.

        Args:
            save_directory: the folder.
            legacy_format: None for tokenizer.json and, for HF's slow tokenizer, vocab.json and merges.txt; False for
                tokenizer.json alone, True for the other two.
            filename_prefix: put before the name of each file, with a "-". (Neither HF nor this package loads such files
                by default.)

        Returns:
            The paths of the files.

        Raises:
            CheckpointError: the folder cannot be made or written.
        """
        encoder = self._encoder
        content = TokenizerContent(
            vocab=encoder.pairs.vocab,
            merges=encoder.pairs.merges,
            added=encoder.added.by_id,
            settings=self.init_kwargs,
            special_tokens=self.special_tokens_map_extended,
            template={
                name: (extra.token, extra.token_id)
                for name, extra in (("cls", self._template.begin), ("sep", self._template.end))
            },
            add_prefix_space=encoder.add_prefix_space,
            trim_offsets=encoder.trim_offsets,
            spares_space=encoder.spares_space,
        )
        return save_tokenizer(content, Path(save_directory), legacy_format, filename_prefix)

    def save_vocabulary(
        self, save_directory: str | os.PathLike[str], filename_prefix: str | None = None
    ) -> tuple[str, ...]:
        """Write vocab.json and merges.txt alone; arguments and errors as for `HFMethods.save_pretrained`."""
        pairs = self._encoder.pairs
        return save_vocabulary(pairs.vocab, pairs.merges, Path(save_directory), filename_prefix)

    @property
    def init_kwargs(self) -> dict[str, Any]:
        """The settings, as `save_pretrained` writes them into tokenizer_config.json."""
        encoder = self._encoder
        return {
            **self._others,
            **{name: None if token is None else token.content for name, token in self.roles.items()},
            "additional_special_tokens": self.additional_special_tokens,
            "extra_special_tokens": self.extra_special_tokens,
            "add_prefix_space": encoder.add_prefix_space,
            "trim_offsets": encoder.trim_offsets,
            "split_special_tokens": encoder.split_special_tokens,
            "errors": self.errors,
            "model_max_length": self.model_max_length,
            "padding_side": self.padding_side,
            "truncation_side": self.truncation_side,
            "clean_up_tokenization_spaces": self.clean_up_tokenization_spaces,
            "model_input_names": self.model_input_names,
            "added_tokens_decoder": {str(token_id): vars(token) for token_id, token in encoder.added.by_id.items()},
            "tokenizer_class": "LongformerTokenizer",
        }

    @property
    def SPECIAL_TOKENS_ATTRIBUTES(self) -> list[str]:  # noqa: N802  # HF's name
        """The roles of special tokens."""
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
        """The chat template of the files, which is used for saving only."""
        return self._others.get("chat_template")

    @property
    def deprecation_warnings(self) -> dict[str, bool]:
        """An empty dict: nothing is logged."""
        return {}

    @staticmethod
    def clean_up_tokenization(out_string: str) -> str:
        """Return the text `out_string` without spaces before English punctuation and contractions."""
        return clean_up(out_string)

    def sanitize_special_tokens(self) -> int:
        """Make every special token an added token, and return the number of new ones. Deprecated in HF."""
        return self._register(self.all_special_tokens_extended)

    def as_target_tokenizer(self) -> AbstractContextManager[None]:
        """Return a context manager without effect: labels are encoded like other texts. Deprecated in HF."""
        return nullcontext()
