"""The words of a GGUF file's tokenizer, and what kind each is."""

from typing import NamedTuple

from fedprompt_jax.models.gguf_files.file import GGUFFile

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)


class Vocabulary(NamedTuple):
    """Words and their types, by token id."""

    words: list[str]
    types: list[int]

    def ids(self) -> dict[str, int]:
        """Token id of each word in use."""
        return {
            word: i
            for i, (word, kind) in enumerate(zip(*self, strict=True))
            if kind != UNUSED
        }

    def is_added(self, kind: int) -> bool:
        """Whether words of a type are found before any text is split."""
        return kind in (UNKNOWN, CONTROL, USER_DEFINED)


def read(file: GGUFFile) -> Vocabulary:
    """The vocabulary; ValueError where the file has none."""
    words = file.fields.get('tokenizer.ggml.tokens')
    types = file.fields.get('tokenizer.ggml.token_type')
    if words is None or types is None or len(words) != len(types):
        raise ValueError(
            'GGUF file: tokenizer.ggml.tokens and tokenizer.ggml.token_type '
            'must be there, one type a token; use the checkpoint in '
            'safetensors.'
        )
    return Vocabulary(words, types)
