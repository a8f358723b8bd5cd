"""SentencePiece BPE of a GGUF file: Llama 2's, Mistral's and Gemma's.

Such a file has a score for every piece and no merges. SentencePiece joins the
two neighbours whose piece scores best, so the merges are all splits of all
pieces into two, by falling score.
"""

from collections.abc import Iterator
import math
from typing import Any

import tokenizers
from tokenizers import decoders, models, normalizers

from fedprompt_jax.models.gguf_files.file import GGUFFile
from fedprompt_jax.models.gguf_files.vocabulary import (
    BYTE,
    NORMAL,
    UNKNOWN,
    USER_DEFINED,
    Vocabulary,
)

_SPACE = '▁'  # stands for a space inside pieces
# Llama.cpp's special tokens of a file that names none, and what they must be.
DEFAULTS = {'bos': (1, '<s>'), 'eos': (2, '</s>')}
_BYTES = {f'<0x{byte:02X}>' for byte in range(256)}


def check(file: GGUFFile, vocabulary: Vocabulary) -> None:
    """Raises ValueError where `build` would, but faster."""
    _checked(file, vocabulary)


def build(file: GGUFFile, vocabulary: Vocabulary) -> tokenizers.Tokenizer:
    """The tokenizer, without its added tokens; ValueError if not known."""
    scores = _checked(file, vocabulary)
    unknown = next(iter(_of(vocabulary, UNKNOWN)), None)
    model = models.BPE(
        vocabulary.ids(),
        list(_merges(vocabulary, scores)),
        unk_token=unknown,
        fuse_unk=True,
        byte_fallback=True,
    )
    tokenizer = tokenizers.Tokenizer(model)
    prefix = file.field('tokenizer.ggml.add_space_prefix', bool, True)
    spaces: list[Any] = [normalizers.Replace(' ', _SPACE)]
    steps = [
        decoders.Replace(_SPACE, ' '),
        decoders.ByteFallback(),
        decoders.Fuse(),
    ]
    if prefix:  # a text starts as if after a space, which decoding takes off
        spaces.insert(0, normalizers.Prepend(_SPACE))
        steps.append(decoders.Strip(' ', 1, 0))
    tokenizer.normalizer = normalizers.Sequence(spaces)
    tokenizer.decoder = decoders.Sequence(steps)
    return tokenizer


def adds_bos(file: GGUFFile) -> bool:
    """True: llama.cpp's default, and SentencePiece models' habit."""
    return True


def _checked(file: GGUFFile, vocabulary: Vocabulary) -> list[float]:
    """The scores, of a tokenizer that this file computes exactly."""
    faults = []
    if file.fields.get('tokenizer.ggml.precompiled_charsmap'):
        faults.append('precompiled_charsmap is not supported')
    if file.field('tokenizer.ggml.remove_extra_whitespaces', bool):
        faults.append('remove_extra_whitespaces=True is not supported')
    if set(_of(vocabulary, BYTE)) != _BYTES:
        faults.append('tokens has not all 256 byte pieces, <0x00> to <0xFF>')
    scores = file.listed('tokenizer.ggml.scores', float) or []
    if not all(map(math.isfinite, scores)):
        faults.append('scores are not all finite')
    # Files made without the SentencePiece model have one score for all.
    if len(scores) != len(vocabulary.words) or len(set(scores)) < 3:
        faults.append('scores do not tell the pieces apart')
    if faults:
        raise file.error(
            '; '.join(f'tokenizer.ggml.{fault}' for fault in faults)
            + '; use the checkpoint in safetensors.'
        )
    if _SPACE in ''.join(_of(vocabulary, USER_DEFINED)):
        raise file.error(
            f'a user-defined token has {_SPACE!r} where llama.cpp writes a '
            'space; convert the model with a newer llama.cpp.'
        )
    return scores


def _of(vocabulary: Vocabulary, kind: int) -> Iterator[str]:
    pairs = zip(*vocabulary, strict=True)
    return (word for word, its in pairs if its == kind)


def _merges(
    vocabulary: Vocabulary, scores: list[float]
) -> Iterator[tuple[str, str]]:
    """Pairs of pieces that make a piece, the best piece first."""
    words = zip(*vocabulary, scores, strict=True)
    ids = {
        word: (-score, i)
        for i, (word, kind, score) in enumerate(words)
        if kind == NORMAL
    }
    for word in sorted(ids, key=lambda word: ids[word]):
        splits = [(word[:i], word[i:]) for i in range(1, len(word))]
        whole = [(a, b) for a, b in splits if a in ids and b in ids]
        yield from sorted(whole, key=lambda p: (ids[p[0]][1], ids[p[1]][1]))
