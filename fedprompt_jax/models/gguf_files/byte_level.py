"""Byte-level BPE of a GGUF file, split as the model's own tokenizer does.

A file only names its pre-tokenizer. The regexes here are those of the models'
tokenizer.json; other names are refused, as a wrong split changes token ids
without a sound.
"""

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
    """How text becomes pieces that merges stay within.

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


def build(file: GGUFFile, vocabulary: Vocabulary) -> tokenizers.Tokenizer:
    """The tokenizer, without its added tokens; ValueError if not known."""
    split = _split(file)
    merges = file.fields.get('tokenizer.ggml.merges')
    if merges is None:
        raise ValueError(
            'GGUF file: tokenizer.ggml.merges is missing; use the checkpoint '
            'in safetensors.'
        )
    model = models.BPE(
        vocabulary.ids(),
        [tuple(pair.split(' ')) for pair in merges],
        ignore_merges=split.whole_words,
    )
    tokenizer = tokenizers.Tokenizer(model)
    if split.nfc:
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = _pre_tokenizer(split)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def adds_bos(file: GGUFFile) -> bool:
    """Whether texts start with the first token where the file is silent."""
    return _split(file).adds_bos


def _split(file: GGUFFile) -> _Split:
    pre = file.fields.get('tokenizer.ggml.pre')
    if pre not in _SPLITS:
        raise ValueError(
            f'GGUF file: tokenizer.ggml.pre={pre!r} is not supported, only '
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
