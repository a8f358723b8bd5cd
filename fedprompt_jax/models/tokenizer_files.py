"""The tokenizer of a checkpoint folder, as transformers makes it of the files.

A folder holds tokenizer.json, or a SentencePiece or BPE vocabulary, and beside
it the names of special tokens. The class that tokenizer_config.json names (or
that belongs to the model) may change what tokenizer.json says, and has names of
its own for special tokens that no file names: such folders are read by
transformers. Where the class is the general one, tokenizer.json is the whole
truth, and transformers, which takes seconds to import, is not needed.
"""

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from fedprompt_jax import intact
from fedprompt_jax.models import bpe_files, sentencepiece_file

if TYPE_CHECKING:
    import tokenizers

_LOG = logging.getLogger(__name__)

KINDS = ('bos', 'eos', 'pad', 'mask', 'unk')
_GENERAL = ('PreTrainedTokenizerFast', 'TokenizersBackend')
# Model types whose class transformers takes whatever the file says.
_OWN_CLASS = ('qwen2',)
# Key of tokenizer_config.json in folders that are converted from a GGUF file.
MADE_FROM = 'made_from'
# What a tokenizer can be made of, the best first.
_VOCABULARIES = ('tokenizer.json', 'tokenizer.model', 'vocab.json')


class TokenizerFiles(NamedTuple):
    """A tokenizer and the names of its special tokens.

    Attributes:
      backend: text to ids and back, as tokenizer.json describes it.
      special: the special token of each of KINDS, or None.
      lacking: those of them that no vocabulary has; `backend` has made new
        tokens of them, as transformers does.
    """

    backend: 'tokenizers.Tokenizer'
    special: dict[str, str | None]
    lacking: frozenset[str]


def read(folder: Path) -> TokenizerFiles:
    """The tokenizer of a Hugging Face checkpoint folder.

    Raises:
      ValueError: the folder has no tokenizer, or a file of it is damaged.
    """
    require(folder)
    config = read_json(folder / 'tokenizer_config.json')
    model_type = read_json(folder / 'config.json').get('model_type')
    general = config.get('tokenizer_class') in _GENERAL
    whole = (folder / 'tokenizer.json').exists()
    if whole and general and model_type not in _OWN_CLASS:
        return _general(folder, config)
    if whole and config.get(MADE_FROM) == 'GGUF':  # it is the whole truth
        return _general(folder, config)
    try:
        return _by_transformers(folder)
    except Exception as error:  # of many kinds, none of them documented
        reason = ' '.join(str(error).split())[:200] or type(error).__name__
        if not whole:
            raise ValueError(
                f'{folder} has no tokenizer.json, and transformers could not '
                f'make a tokenizer of its other files ({reason}). A '
                'tokenizer.model needs: pip install sentencepiece protobuf; '
                'if they are there, download the folder again.'
            ) from error
    files_read = _general(folder, config)
    _LOG.warning(
        '%s: transformers cannot make the tokenizer that '
        'tokenizer_config.json asks for (%s); tokenizer.json is used as it is.',
        folder,
        reason,
    )
    return files_read


def require(folder: Path) -> None:
    """Raises ValueError where no tokenizer can be read, without reading it.

    The smaller JSON files that have to do with tokens are parsed.
    """
    present = [name for name in _VOCABULARIES if (folder / name).exists()]
    if not present or (present == ['vocab.json'] and not _merges(folder)):
        raise ValueError(
            f'{folder} has neither tokenizer.json nor tokenizer.model (nor '
            'vocab.json with merges.txt); give the folder of a complete '
            'Hugging Face checkpoint.'
        )
    for name in (
        'tokenizer_config.json', 'special_tokens_map.json',
        'added_tokens.json', 'generation_config.json', 'config.json',
    ):  # fmt: skip
        read_json(folder / name)
    if 'tokenizer.json' in present:
        intact.require_content(folder / 'tokenizer.json')
    elif present == ['vocab.json']:
        bpe_files.require_whole(folder)
    if (folder / 'tokenizer.model').exists():
        sentencepiece_file.require_whole(folder / 'tokenizer.model')


def _merges(folder: Path) -> bool:
    return (folder / 'merges.txt').exists()


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; {} where there is no such file.

    Raises:
      ValueError: the file is damaged, or holds something else.
    """
    return intact.read_json_object(path) if path.exists() else {}


def _general(folder: Path, config: dict[str, Any]) -> TokenizerFiles:
    """tokenizer.json as it is."""
    backend = _from_file(folder / 'tokenizer.json')
    path, named = folder / 'tokenizer_config.json', config
    if 'added_tokens_decoder' not in config:  # older folders
        named = config | read_json(folder / 'special_tokens_map.json')
    special = {
        kind: _content(path, f'{kind}_token', named.get(f'{kind}_token'))
        for kind in KINDS
    }
    lacking = _lacking(folder, backend, special)
    # As transformers: what is named is a special token, and becomes a new one
    # where the vocabulary lacks it.
    known = {t.content for t in backend.get_added_tokens_decoder().values()}
    names = [token for token in special.values() if token is not None]
    backend.add_special_tokens([t for t in names if t not in known])
    return TokenizerFiles(backend, special, lacking)


def _from_file(path: Path) -> 'tokenizers.Tokenizer':
    import tokenizers  # here, as the rest of the file costs nothing

    try:
        return tokenizers.Tokenizer.from_file(str(path))
    except Exception as error:  # the class that the library raises
        raise ValueError(
            f'{path} is no tokenizer that the tokenizers library can read '
            f'({" ".join(str(error).split())[:200]}); download it again, or '
            'pip install --upgrade tokenizers.'
        ) from error


def _lacking(
    folder: Path,
    backend: 'tokenizers.Tokenizer',
    special: dict[str, str | None],
) -> frozenset[str]:
    """Special tokens that neither `backend` nor another file has an id for."""
    listed = read_json(folder / 'tokenizer_config.json').get(
        'added_tokens_decoder'
    )
    added = {str(_text(t)) for t in (listed or {}).values()}
    added |= read_json(folder / 'added_tokens.json').keys()
    return frozenset(
        token
        for token in special.values()
        if token is not None
        and token not in added
        and backend.token_to_id(token) is None
    )


def _content(path: Path, key: str, token: Any) -> str | None:
    """The text of a special token, which may be a serialised AddedToken."""
    text = _text(token)
    if text is not None and not isinstance(text, str):
        raise ValueError(
            f'{path}: {key}={token!r} must be a string, or an object with its '
            '"content"; correct it, or download the file again.'
        )
    return text


def _text(token: Any) -> Any:
    return token.get('content') if isinstance(token, dict) else token


def _by_transformers(folder: Path) -> TokenizerFiles:
    # Else it says at each start that there is no PyTorch.
    os.environ.setdefault('TRANSFORMERS_VERBOSITY', 'error')
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(
        folder, local_files_only=True
    )
    special = {kind: getattr(tokenizer, f'{kind}_token') for kind in KINDS}
    backend = tokenizer.backend_tokenizer
    # A class that does not fit its files fails when it is used.
    unknown = getattr(backend.model, 'unk_token', None)
    if unknown is not None and backend.model.token_to_id(unknown) is None:
        raise ValueError(f'{unknown!r} is not in the vocabulary')
    file = folder / 'tokenizer.json'
    made = _from_file(file) if file.exists() else backend
    return TokenizerFiles(backend, special, _lacking(folder, made, special))
