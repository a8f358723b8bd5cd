"""The examples in docstrings print what they say."""

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = [
    path
    for path in sorted((ROOT / 'fedprompt_jax').rglob('*.py'))
    if '>>> ' in path.read_text('utf-8')
]


@pytest.mark.parametrize('path', FILES, ids=lambda path: path.stem)
def test_the_examples_of_a_module(path):
    name = '.'.join(path.relative_to(ROOT).with_suffix('').parts)
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted and not result.failed


@pytest.mark.parametrize('name', ['packing', 'shapes', 'partitions', 'reading'])
def test_what_is_hard_to_read_has_an_example(name):
    assert name in {path.stem for path in FILES}
