"""One file a group of GGUF architectures: what llama.cpp made of each model.

A file has ARCHITECTURES, the values of general.architecture that it reads;
config(file) -> config.json of the Hugging Face checkpoint; and tensors(file,
config) -> its tensors by their GGUF names. Faults go to file.faults. A new
file here is found by itself.
"""

import importlib
import pkgutil
import reprlib
from types import ModuleType

from fedprompt_jax.models.gguf_files.file import GGUFFile


def architectures() -> dict[str, ModuleType]:
    """Each general.architecture that is known, and the module that reads it."""
    modules = [
        importlib.import_module(f'{__name__}.{module.name}')
        for module in pkgutil.iter_modules(__path__)
    ]
    return {arch: m for m in modules for arch in m.ARCHITECTURES}


def of(file: GGUFFile) -> ModuleType:
    """The module for a file; ValueError where there is none."""
    known = architectures()
    if file.arch not in known:
        raise file.error(
            f'general.architecture={reprlib.repr(file.arch)} is not '
            f'supported, only {", ".join(sorted(known))}; use the checkpoint '
            'in safetensors where its family is supported.'
        )
    return known[file.arch]
