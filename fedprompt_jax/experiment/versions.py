"""Versions of what a run is computed with."""

import importlib.metadata
import sys

PACKAGES = (
    'fedprompt_jax',
    'jax',
    'jaxlib',
    'flax',
    'optax',
    'orbax-checkpoint',
    'tokenizers',
    'rouge-score',
    'numpy',
)


def versions() -> dict[str, str]:
    """Versions of Python and of PACKAGES, by their names."""
    found = {'python': sys.version.split()[0]}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = 'not installed: run from its folder'
    return found
