"""The words of a GGUF file's tokenizer, and what kind each is."""

from typing import NamedTuple

from fedprompt_jax.models.gguf_files.file import GGUFFile

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)
_LONGEST = 4096  # characters; known vocabularies have at most a few hundred


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

    def has(self, i: int) -> bool:
        """Whether an id is that of a word in use."""
        return 0 <= i < len(self.words) and self.types[i] != UNUSED


def read(file: GGUFFile) -> Vocabulary:
    """The vocabulary; ValueError where the file has no sound one."""
    words = file.listed('tokenizer.ggml.tokens', str)
    types = file.listed('tokenizer.ggml.token_type', int)
    if words is None or types is None or len(words) != len(types):
        raise file.error(
            'tokenizer.ggml.tokens and tokenizer.ggml.token_type must be '
            'there, one type a token; use the checkpoint in safetensors.'
        )
    if fault := _fault(file, Vocabulary(words, types)):
        raise file.error(f'{fault}; use the checkpoint in safetensors.')
    return Vocabulary(words, types)


def _fault(file: GGUFFile, vocabulary: Vocabulary) -> str | None:
    """What is wrong with the first bad token; None where all are sound."""
    rows = file.vocab_size()
    if len(vocabulary.words) > rows:
        return (
            f'tokenizer.ggml.tokens has {len(vocabulary.words)} tokens, but '
            f'token_embd.weight has {rows} rows'
        )
    first: dict[str, int] = {}
    for i, (word, kind) in enumerate(zip(*vocabulary, strict=True)):
        if not NORMAL <= kind <= BYTE:
            return f'tokenizer.ggml.token_type of token {i} is {kind}'
        if len(word) > _LONGEST:
            return (
                f'tokenizer.ggml.tokens: token {i} has {len(word)} characters'
            )
        if kind != UNUSED and first.setdefault(word, i) != i:
            return (
                f'tokenizer.ggml.tokens: tokens {first[word]} and {i} are '
                f'both {word!r}'
            )
    return None
