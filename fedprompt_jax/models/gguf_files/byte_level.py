"""Byte-level BPE of a GGUF file, split as the model's own tokenizer does.

A file only names its pre-tokenizer. The regexes here are those of the models'
tokenizer.json; other names are refused, as a wrong split changes token ids
without a sound.
"""

import reprlib
from typing import NamedTuple

import tokenizers
from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers

from fedprompt_jax.models.gguf_files.file import GGUFFile
from fedprompt_jax.models.gguf_files.vocabulary import Vocabulary

_LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r'| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+'
)
_QWEN2 = _LLAMA3.replace('{1,3}', '')


class _Split(NamedTuple):
    """The rules by which text becomes pieces; merges stay within a piece.

    Attributes:
      regex: of a piece; '' for GPT-2's.
      digits: each is a piece of its own, before the rest.
      nfc: characters are composed first.
      whole_words: pieces that are words of the vocabulary need no merges.
      adds_bos: where the file does not say.
    """

    regex: str = ''
    digits: bool = False
    nfc: bool = False
    whole_words: bool = False
    adds_bos: bool = False


_SPLITS = {
    'gpt-2': _Split(),
    'smollm': _Split(digits=True),
    'llama-bpe': _Split(_LLAMA3, whole_words=True, adds_bos=True),
    'qwen2': _Split(_QWEN2, nfc=True),
    'olmo': _Split(nfc=True),  # GPT-NeoX's tokenizer, Pythia's too
    'mpt': _Split(nfc=True),  # likewise
}
_SPLITS |= dict.fromkeys(('llama3', 'llama-v3'), _SPLITS['llama-bpe'])


DEFAULTS: dict[str, tuple[int, str]] = {}  # of special tokens


def check(file: GGUFFile, vocabulary: Vocabulary) -> None:
    """Raises ValueError where `build` would, but faster."""
    _split(file)
    _merges(file, vocabulary)


def build(file: GGUFFile, vocabulary: Vocabulary) -> tokenizers.Tokenizer:
    """The tokenizer, without its added tokens; ValueError if not known."""
    split = _split(file)
    model = models.BPE(
        vocabulary.ids(),
        _merges(file, vocabulary),
        ignore_merges=split.whole_words,
    )
    tokenizer = tokenizers.Tokenizer(model)
    if split.nfc:
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = _pre_tokenizer(split)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def adds_bos(file: GGUFFile) -> bool:
    """Whether texts start with bos where the file is silent."""
    return _split(file).adds_bos


def _merges(file: GGUFFile, vocabulary: Vocabulary) -> list[tuple[str, str]]:
    """The pairs of words that are joined, the first one first."""
    key = 'tokenizer.ggml.merges'
    lines = file.listed(key, str)
    if lines is None:
        raise file.error(
            f'{key} is missing; use the checkpoint in safetensors.'
        )
    ids, merges = vocabulary.ids(), []
    for i, line in enumerate(lines):
        first, _, second = line.partition(' ')
        if not {first, second, first + second} <= ids.keys():
            raise file.error(
                f'{key}: entry {i}, {reprlib.repr(line)}, does not join two '
                'tokens to a third; use the checkpoint in safetensors.'
            )
        merges.append((first, second))
    return merges


def _split(file: GGUFFile) -> _Split:
    pre = file.field('tokenizer.ggml.pre', str)
    if pre not in _SPLITS:
        raise file.error(
            f'tokenizer.ggml.pre={reprlib.repr(pre)} is not supported, only '
            f'{sorted(_SPLITS)}; use the checkpoint in safetensors.'
        )
    return _SPLITS[pre]


def _pre_tokenizer(split: _Split) -> pre_tokenizers.PreTokenizer:
    byte_level = pre_tokenizers.ByteLevel(
        add_prefix_space=False, use_regex=not split.regex
    )
    if split.digits:
        digits = pre_tokenizers.Digits(individual_digits=True)
        return pre_tokenizers.Sequence([digits, byte_level])
    if split.regex:
        pieces = pre_tokenizers.Split(Regex(split.regex), 'isolated')
        return pre_tokenizers.Sequence([pieces, byte_level])
    return byte_level
