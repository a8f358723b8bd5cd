"""Models by their names on the Hugging Face hub, through its own cache.

HF_HOME, HF_HUB_CACHE, HF_HUB_OFFLINE, HF_ENDPOINT and HF_TOKEN mean what they
mean to every other program.
"""

from collections.abc import Sequence
import os
from pathlib import Path
import re
from typing import NamedTuple

from fedprompt_jax.models import shards

# 'org/name' or 'org/name@revision', as the hub allows them.
_PART = r'[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?'
_NAME = re.compile(rf'({_PART}/{_PART})(?:@([\w./-]+))?')
# Weights in other formats stay there.
_FILES = (
    'config.json',
    'generation_config.json',
    'tokenizer*',
    'vocab.json',
    'merges.txt',
    'special_tokens_map.json',
    'added_tokens.json',
    'model*.safetensors',
    'model.safetensors.index.json',
)


class HubName(NamedTuple):
    """A repository on the hub, and which of its versions."""

    repository: str
    revision: str | None


def parse(spec: str) -> HubName | None:
    """The name that `spec` is; None where it is plainly none."""
    match = _NAME.fullmatch(spec)
    if match is None or spec.endswith('.gguf') or '--' in spec:
        return None
    return HubName(match[1], match[2])


def download(spec: str) -> Path:
    """The folder of a hub name in the local cache, fetched where need be.

    Config, tokenizer and safetensors only. Without a network, what is in the
    cache is enough if it is complete. Raises ValueError with what was tried
    and the fix.
    """
    name, folder = _fetch(spec, _FILES)
    return _checked(spec, name, folder)


def download_config(spec: str) -> Path:
    """A folder of a hub name in the local cache that has its config.json."""
    name, folder = _fetch(spec, _FILES[:1])
    return _with_config(spec, name, folder)


def _fetch(spec: str, files: Sequence[str]) -> tuple[HubName, Path]:
    name = parse(spec)
    if name is None:
        raise ValueError(f'model {spec!r} is not a name on the hub.')
    import huggingface_hub  # slow to import
    from huggingface_hub import errors

    try:
        folder = huggingface_hub.snapshot_download(
            name.repository,
            revision=name.revision,
            allow_patterns=list(files),
        )
    except errors.GatedRepoError as error:
        raise ValueError(
            f'model {spec!r} is gated: accept its terms on '
            f'{_page(name)}, then log in with "hf auth login" or set HF_TOKEN.'
        ) from error
    except errors.RevisionNotFoundError as error:
        raise ValueError(
            f'model {spec!r}: {name.repository} has no revision '
            f'{name.revision!r}; see {_page(name)}/tree/main.'
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise ValueError(
            f'model {spec!r}: {Path(spec).absolute()} does not exist, and '
            f'{_page(name)} is no repository that you may see: correct the '
            'name, or log in with "hf auth login" if it is private.'
        ) from error
    except ValueError:
        raise  # the hub's own words on a name
    except Exception as error:  # proxies, sockets, HTTP: no common class
        raise ValueError(_unreachable(spec, name, error)) from error
    return name, Path(folder)


def _with_config(spec: str, name: HubName, folder: Path) -> Path:
    """The folder, if it has a config."""
    if not (folder / 'config.json').exists():
        raise ValueError(
            f'model {spec!r}: {folder} has no config.json. If {_page(name)} '
            f'has one: hf download {name.repository} --force-download; else '
            'it is no model of transformers.'
        )
    return folder


def _checked(spec: str, name: HubName, folder: Path) -> Path:
    """The folder, if it has what a model needs."""
    _with_config(spec, name, folder)
    needed = {
        'model.safetensors': ('model*.safetensors*',),
        # Or what transformers makes one of.
        'tokenizer.json': ('tokenizer.[jm]*', 'merges.txt'),
    }
    absent = [
        what
        for what, globs in needed.items()
        if not any(_any(folder, glob) for glob in globs)
    ]
    if absent:
        raise ValueError(
            f'model {spec!r} has no {" and no ".join(absent)}, and pickle '
            'files (.bin) can run code when they are read. '
            + shards.conversion(
                folder, name.repository, name.repository.split('/')[1]
            )
        )
    shards.shard_paths(folder)  # every one is there
    return folder


def _any(folder: Path, glob: str) -> bool:
    return any(folder.glob(glob))


def _page(name: HubName) -> str:
    endpoint = os.environ.get('HF_ENDPOINT', 'https://huggingface.co')
    return f'{endpoint.rstrip("/")}/{name.repository}'


def _unreachable(spec: str, name: HubName, error: Exception) -> str:
    from huggingface_hub import constants

    offline = constants.is_offline_mode()
    why = 'HF_HUB_OFFLINE is set' if offline else f'{_page(name)} not reached'
    reason = '' if offline else f' ({_first_line(error)})'
    revision = f' --revision {name.revision}' if name.revision else ''
    return (
        f'model {spec!r} is no local folder, {why}{reason}, and the cache '
        f'{constants.HF_HUB_CACHE} does not hold all of it. With a network: '
        f'hf download {name.repository}{revision}; then carry the cache here '
        '(HF_HUB_CACHE names another one), or give the folder.'
    )


def _first_line(error: Exception) -> str:
    cause = error.__cause__ or error
    text = (str(cause) or repr(cause)).strip().splitlines()[0]
    return f'{type(cause).__name__}: {text[:120]}'
