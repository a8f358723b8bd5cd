"""The tokenizer inside a GGUF file, written as Hugging Face's files."""

import json
from pathlib import Path
import reprlib
from types import ModuleType
from typing import Any, NamedTuple

import tokenizers
from tokenizers import processors

from fedprompt_jax.models import tokenizer_files
from fedprompt_jax.models.gguf_files import (
    byte_level,
    sentencepiece,
    special_tokens,
)
from fedprompt_jax.models.gguf_files import (
    vocabulary as vocabulary_lib,
)
from fedprompt_jax.models.gguf_files.file import GGUFFile
from fedprompt_jax.models.gguf_files.special_tokens import SpecialTokens
from fedprompt_jax.models.gguf_files.vocabulary import (
    USER_DEFINED,
    Vocabulary,
)

# By tokenizer.ggml.model: check(file, vocabulary), build(file, vocabulary),
# adds_bos(file) where the file is silent, and DEFAULTS of special tokens.
_KINDS: dict[str, ModuleType] = {
    'gpt2': byte_level,
    'llama': sentencepiece,
}


class GGUFTokenizer(NamedTuple):
    """The sound tokenizer of a file.

    Attributes:
      kind: the module that builds it.
      vocabulary: its words.
      special: its special tokens.
      adds_bos: every text starts with bos.
      chat_template: in Jinja; None where there is none.
    """

    kind: ModuleType
    vocabulary: Vocabulary
    special: SpecialTokens
    adds_bos: bool
    chat_template: str | None


def read(file: GGUFFile) -> GGUFTokenizer:
    """The tokenizer; ValueError where it is of no kind known or damaged."""
    model = file.field('tokenizer.ggml.model', str)
    if model not in _KINDS:
        raise file.error(
            f'tokenizer.ggml.model={reprlib.repr(model)} is not supported, '
            f'only {sorted(_KINDS)}; use the checkpoint in safetensors.'
        )
    kind, vocabulary = _KINDS[model], vocabulary_lib.read(file)
    kind.check(file, vocabulary)
    adds_bos = file.field('tokenizer.ggml.add_bos_token', bool)
    if adds_bos is None:
        adds_bos = kind.adds_bos(file)
    special = special_tokens.read(file, vocabulary, kind.DEFAULTS, adds_bos)
    template = file.field('tokenizer.chat_template', str)
    return GGUFTokenizer(kind, vocabulary, special, adds_bos, template)


def save(file: GGUFFile, its: GGUFTokenizer, folder: Path) -> None:
    """Writes the three tokenizer files of an HF folder.

    tokenizer.json, tokenizer_config.json and generation_config.json.
    """
    _build(file, its).save(str(folder / 'tokenizer.json'))
    ids = its.special.ids
    config: dict[str, Any] = {
        tokenizer_files.MADE_FROM: 'GGUF',
        'tokenizer_class': 'PreTrainedTokenizerFast',
        'add_bos_token': its.adds_bos,
        'clean_up_tokenization_spaces': False,
        'model_max_length': file.get('context_length'),
    }
    for key, i in ids.items():
        config[key.removesuffix('_id')] = its.vocabulary.words[i]
    if its.chat_template is not None:
        config['chat_template'] = its.chat_template
    for name, content in (
        ('tokenizer_config.json', config),
        ('generation_config.json', ids | _turn_end(its.special)),
    ):
        text = json.dumps(content, indent=2, ensure_ascii=False)
        (folder / name).write_text(text + '\n', 'utf-8')


def _turn_end(special: SpecialTokens) -> dict[str, list[int]]:
    """The end of a turn ends a generated text as well."""
    eos = special.ids['eos_token_id']
    if special.turn_end in (None, eos):
        return {}
    return {'eos_token_id': [eos, special.turn_end]}


def _build(file: GGUFFile, its: GGUFTokenizer) -> tokenizers.Tokenizer:
    vocabulary = its.vocabulary
    tokenizer = its.kind.build(file, vocabulary)
    for word, token_type in zip(*vocabulary, strict=True):
        if vocabulary.is_added(token_type):
            token = tokenizers.AddedToken(
                word, normalized=False, special=token_type != USER_DEFINED
            )
            tokenizer.add_tokens([token])
    if its.adds_bos:
        bos = its.special.ids['bos_token_id']
        word = vocabulary.words[bos]
        tokenizer.post_processor = processors.TemplateProcessing(
            single=[word, '$A'], special_tokens=[(word, bos)]
        )
    return tokenizer
