"""The tokenizer inside a GGUF file, written as Hugging Face's files."""

import json
from pathlib import Path
from typing import Any

import gguf
import tokenizers
from tokenizers import decoders, models, pre_tokenizers, processors

_UNKNOWN, _CONTROL, _USER_DEFINED, _UNUSED = 2, 3, 4, 5  # token types

# By tokenizer.ggml.pre: is each digit a token of its own?
_SPLITS_DIGITS = {'smollm': True, 'gpt-2': False}


def save(reader: gguf.GGUFReader, folder: Path) -> None:
    """Writes the three tokenizer files of an HF folder.

    tokenizer.json, tokenizer_config.json and generation_config.json. Raises
    ValueError where the tokenizer is not byte-level BPE with a pre-tokenizer
    known here.
    """
    _build(reader).save(str(folder / 'tokenizer.json'))
    ids = special_ids(reader)
    words = _field(reader, 'tokens')
    config: dict[str, Any] = {
        'tokenizer_class': 'PreTrainedTokenizerFast',
        'add_bos_token': _adds_bos(reader),
        'clean_up_tokenization_spaces': False,
        'model_max_length': reader.fields['llama.context_length'].contents(),
    }
    for key, i in ids.items():
        config[key.removesuffix('_id')] = words[i]
    template = _field(reader, 'chat_template', prefix='tokenizer.')
    if template is not None:
        config['chat_template'] = template
    for name, content in (
        ('tokenizer_config.json', config),
        ('generation_config.json', ids),
    ):
        text = json.dumps(content, indent=2, ensure_ascii=False)
        (folder / name).write_text(text + '\n', 'utf-8')


def special_ids(reader: gguf.GGUFReader) -> dict[str, int]:
    """Ids of the special tokens the file names, by HF's config keys."""
    ids = {}
    for kind, ggml in (('bos', 'bos'), ('eos', 'eos'), ('pad', 'padding')):
        value = _field(reader, f'{ggml}_token_id')
        if value is not None:
            ids[f'{kind}_token_id'] = int(value)
    if 'eos_token_id' not in ids:
        raise ValueError(
            'GGUF file: tokenizer.ggml.eos_token_id is missing: without it '
            'nothing says where a text ends.'
        )
    return ids


def _field(
    reader: gguf.GGUFReader, key: str, prefix: str = 'tokenizer.ggml.'
) -> Any:
    field = reader.get_field(prefix + key)
    return None if field is None else field.contents()


def _adds_bos(reader: gguf.GGUFReader) -> bool:
    return bool(_field(reader, 'add_bos_token'))


def _build(reader: gguf.GGUFReader) -> tokenizers.Tokenizer:
    kind, pre = _field(reader, 'model'), _field(reader, 'pre')
    if kind != 'gpt2' or pre not in _SPLITS_DIGITS:
        raise ValueError(
            f'GGUF file: tokenizer.ggml.model={kind!r} with tokenizer.ggml.'
            f"pre={pre!r} is not supported, only model 'gpt2' with pre in "
            f'{sorted(_SPLITS_DIGITS)}; use the checkpoint in safetensors.'
        )
    words, types = _field(reader, 'tokens'), _field(reader, 'token_type')
    vocab = {w: i for i, w in enumerate(words) if types[i] != _UNUSED}
    merges = [tuple(pair.split(' ')) for pair in _field(reader, 'merges')]
    tokenizer = tokenizers.Tokenizer(models.BPE(vocab, merges))
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    digits = pre_tokenizers.Digits(individual_digits=True)
    tokenizer.pre_tokenizer = (
        pre_tokenizers.Sequence([digits, byte_level])
        if _SPLITS_DIGITS[pre]
        else byte_level
    )
    tokenizer.decoder = decoders.ByteLevel()
    for word, kind in zip(words, types, strict=True):
        if kind in (_CONTROL, _UNKNOWN, _USER_DEFINED):
            token = tokenizers.AddedToken(
                word, normalized=False, special=kind != _USER_DEFINED
            )
            tokenizer.add_tokens([token])
    if _adds_bos(reader):
        bos = words[special_ids(reader)['bos_token_id']]
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f'{bos} $A', special_tokens=[(bos, vocab[bos])]
        )
    return tokenizer
