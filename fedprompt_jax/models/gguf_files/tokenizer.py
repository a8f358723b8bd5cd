"""The tokenizer inside a GGUF file, written as Hugging Face's files."""

import json
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import processors

from fedprompt_jax.models.gguf_files import byte_level, sentencepiece
from fedprompt_jax.models.gguf_files.file import GGUFFile
from fedprompt_jax.models.gguf_files.vocabulary import USER_DEFINED, read

# By tokenizer.ggml.model.
_BUILDERS = {
    'gpt2': byte_level.build,
    'llama': sentencepiece.build,
}


def save(file: GGUFFile, folder: Path) -> None:
    """Writes the three tokenizer files of an HF folder.

    tokenizer.json, tokenizer_config.json and generation_config.json. Raises
    ValueError where the tokenizer is of no kind known here.
    """
    _build(file).save(str(folder / 'tokenizer.json'))
    ids = special_ids(file)
    words = read(file).words
    config: dict[str, Any] = {
        'tokenizer_class': 'PreTrainedTokenizerFast',
        'add_bos_token': _adds_bos(file),
        'clean_up_tokenization_spaces': False,
        'model_max_length': file.get('context_length'),
    }
    for key, i in ids.items():
        config[key.removesuffix('_id')] = words[i]
    template = file.fields.get('tokenizer.chat_template')
    if template is not None:
        config['chat_template'] = template
    for name, content in (
        ('tokenizer_config.json', config),
        ('generation_config.json', ids | _turn_end(file, ids)),
    ):
        text = json.dumps(content, indent=2, ensure_ascii=False)
        (folder / name).write_text(text + '\n', 'utf-8')


def special_ids(file: GGUFFile) -> dict[str, int]:
    """Ids of the special tokens the file names, by HF's config keys."""
    ids = {}
    for kind, ggml in (('bos', 'bos'), ('eos', 'eos'), ('pad', 'padding')):
        value = file.fields.get(f'tokenizer.ggml.{ggml}_token_id')
        if value is not None:
            ids[f'{kind}_token_id'] = int(value)
    if 'eos_token_id' not in ids:
        raise ValueError(
            'GGUF file: tokenizer.ggml.eos_token_id is missing: without it '
            'nothing says where a text ends.'
        )
    return ids


def _turn_end(file: GGUFFile, ids: dict[str, int]) -> dict[str, list[int]]:
    """The end of a turn ends a generated text as well."""
    turn = file.fields.get('tokenizer.ggml.eot_token_id')
    if turn is None or turn == ids['eos_token_id']:
        return {}
    return {'eos_token_id': [ids['eos_token_id'], int(turn)]}


def _adds_bos(file: GGUFFile) -> bool:
    said = file.fields.get('tokenizer.ggml.add_bos_token')
    if said is not None:
        return bool(said)
    if file.fields.get('tokenizer.ggml.model') == 'llama':
        return True  # llama.cpp's default, and SentencePiece models' habit
    return byte_level.adds_bos(file)


def _build(file: GGUFFile) -> tokenizers.Tokenizer:
    kind = file.fields.get('tokenizer.ggml.model')
    if kind not in _BUILDERS:
        raise ValueError(
            f'GGUF file: tokenizer.ggml.model={kind!r} is not supported, only '
            f'{sorted(_BUILDERS)}; use the checkpoint in safetensors.'
        )
    vocabulary = read(file)
    tokenizer = _BUILDERS[kind](file, vocabulary)
    for word, token_type in zip(*vocabulary, strict=True):
        if vocabulary.is_added(token_type):
            token = tokenizers.AddedToken(
                word, normalized=False, special=token_type != USER_DEFINED
            )
            tokenizer.add_tokens([token])
    if _adds_bos(file):
        bos = vocabulary.words[special_ids(file)['bos_token_id']]
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f'{bos} $A',
            special_tokens=[(bos, vocabulary.ids()[bos])],
        )
    return tokenizer
