"""Federated algorithms, one file each; `config.algorithm` names the file.

A file has

    make(setup: Setup) -> Algorithm

see federated/algorithm.py, and may have

    KEYS            dict: key of `config.<name>` -> Rule; a section that the
                    algorithm reads and its config file adds
    faults(config)  an iterator of sentences about a config it cannot use
    model_faults(config, model)  likewise, of the model (a ModelConfig)
    POOLED          True if all training clients are one client to it
    SERVER_DATA     True if it trains on config.data.server_share
    ALONE           True if its runs are not computed as one bank of a study
    ONE_OWNER       True if it computes the batches of one client, or of the
                    server, by themselves
    CONFIG          the config that has its section; configs/<name>.py if absent
"""

from collections.abc import Iterator
import importlib
import pkgutil
import types

from ml_collections import config_dict

from fedprompt_jax.models.config import ModelConfig


def names() -> list[str]:
    """The names of all algorithms."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def get(name: str) -> types.ModuleType:
    """The module of an algorithm."""
    return importlib.import_module(f'{__name__}.{name}')


def config_file(name: str) -> str:
    """The shipped config of an algorithm."""
    return getattr(get(name), 'CONFIG', f'configs/{name}.py')


def pooled(name: str) -> bool:
    """Whether all training clients are one client to the algorithm."""
    return getattr(get(name), 'POOLED', False)


def model_faults(
    config: config_dict.ConfigDict, model: ModelConfig
) -> Iterator[str]:
    """Why the config's algorithm cannot use a model, in sentences."""
    module = get(config.algorithm)
    yield from getattr(module, 'model_faults', lambda *_: ())(config, model)


def alone(name: str) -> bool:
    """Whether a run of it has models that no other run can share."""
    return name in names() and getattr(get(name), 'ALONE', False)


def one_owner(config: config_dict.ConfigDict) -> bool:
    """Whether batches of one client alone are computed."""
    return getattr(get(config.algorithm), 'ONE_OWNER', False)


def faults(config: config_dict.ConfigDict) -> Iterator[str]:
    """What is wrong with the config for its algorithm, in sentences."""
    name = config.algorithm
    module = get(name)
    if config.data.server_share and not getattr(module, 'SERVER_DATA', False):
        yield (
            f'config.data.server_share={config.data.server_share!r}: '
            f'algorithm={name!r} trains on no examples of the server, and '
            'nobody else would; use 0.0.'
        )
    if not hasattr(module, 'make'):
        yield f'config.algorithm={name!r}: its file has no make().'
        return
    rules = getattr(module, 'KEYS', {})
    missing = [key for key in rules if key not in config.get(name, {})]
    if missing:
        yield (
            f'config.algorithm={name!r} reads config.{name}.{missing[0]}, '
            f'which is not there; start from --config={config_file(name)}.'
        )
        return
    wrong = False
    for key, rule in rules.items():
        value = config[name][key]
        if not rule.holds(value):
            wrong = True
            yield f'config.{name}.{key}={value!r} must be {rule.words}.'
    if not wrong:
        yield from getattr(module, 'faults', lambda _: ())(config)
