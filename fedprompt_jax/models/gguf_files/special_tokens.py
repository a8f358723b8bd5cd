"""The special tokens that a GGUF file names, and what to do where it is wrong.

As in llama.cpp, an id that is no token is ignored, with a warning, and
SentencePiece models have defaults. Llama.cpp's defaults of byte-level models
(id 11) are those of one model, so they are not used.
"""

from collections.abc import Mapping
import functools
import logging
from typing import NamedTuple

from fedprompt_jax.models.gguf_files.file import GGUFFile
from fedprompt_jax.models.gguf_files.vocabulary import CONTROL, Vocabulary

_LOG = logging.getLogger(__name__)
_PREFIX, _SUFFIX = 'tokenizer.ggml.', '_token_id'
_HF_NAMES = {'bos': 'bos', 'eos': 'eos', 'padding': 'pad'}


class SpecialTokens(NamedTuple):
    """The special tokens of a model.

    Attributes:
      ids: by HF's config keys: bos_token_id, eos_token_id, pad_token_id.
      turn_end: the id that ends a turn; None where there is none.
    """

    ids: dict[str, int]
    turn_end: int | None


def read(
    file: GGUFFile,
    vocabulary: Vocabulary,
    defaults: Mapping[str, tuple[int, str]],
    adds_bos: bool,
) -> SpecialTokens:
    """The special tokens.

    Args:
      file: names them.
      vocabulary: of the file.
      defaults: by kind ('bos', 'eos'), an id and the word that it must be.
      adds_bos: texts start with bos.

    Raises:
      ValueError: the end of a text is not known; or texts start with bos, and
        it is not known; or an id is not an integer.
    """
    named = _named(file)
    ids = {kind: i for kind, i in named.items() if vocabulary.has(i)}
    if 'eos' not in ids:
        why = 'and without it nothing says where a text ends'
        ids['eos'] = _default(file, vocabulary, defaults, 'eos', why)
    if adds_bos and 'bos' not in ids:
        why = 'but every text starts with it'
        ids['bos'] = _default(file, vocabulary, defaults, 'bos', why)
    for kind in named.keys() - ids.keys():
        _warn(
            f'{file.path}: {_PREFIX}{kind}{_SUFFIX}={named[kind]} is no token '
            f'of the vocabulary of {len(vocabulary.words)}: it is ignored.'
        )
    names = {
        f'{hf}_token_id': ids[kind]
        for kind, hf in _HF_NAMES.items()
        if kind in ids
    }
    return SpecialTokens(names, ids.get('eot'))


def _named(file: GGUFFile) -> dict[str, int]:
    """All ids that the file gives, by kind: 'bos', 'eot', 'unknown', ..."""
    return {
        key.removeprefix(_PREFIX).removesuffix(_SUFFIX): file.field(key, int)
        for key in file.fields
        if key.startswith(_PREFIX) and key.endswith(_SUFFIX)
    }


def _default(
    file: GGUFFile,
    vocabulary: Vocabulary,
    defaults: Mapping[str, tuple[int, str]],
    kind: str,
    why: str,
) -> int:
    """Llama.cpp's default, where the vocabulary shows that it is right."""
    key = f'{_PREFIX}{kind}{_SUFFIX}'
    value = file.fields.get(key)
    what = f'{key} is missing'
    if value is not None:
        what = (
            f'{key}={value} is no token of the vocabulary of '
            f'{len(vocabulary.words)}'
        )
    if kind in defaults:
        i, word = defaults[kind]
        if vocabulary.words[i : i + 1] == [word] and (
            vocabulary.types[i] == CONTROL
        ):
            _warn(f'{file.path}: {what}: {i} ({word!r}) is used, its default.')
            return i
    raise file.error(
        f'{what}, {why}. If you know the id, write a corrected file with '
        f'"gguf-new-metadata {file.path} NEW.gguf --special-token-by-id '
        f'{kind} ID"; or use the checkpoint in safetensors.'
    )


@functools.cache
def _warn(text: str) -> None:
    """Once a process, though a file is read to check it and to convert it."""
    _LOG.warning('%s', text)
