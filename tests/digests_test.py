"""A file is known by its content: hashes that are remembered, and folders'."""

import hashlib
import os
import time

import numpy as np
import pytest
from safetensors import numpy as safetensors

from fedprompt_jax import digests
from fedprompt_jax.models import shards
from tests import tiny


@pytest.fixture
def large(tmp_path, monkeypatch):
    """A file that counts as large, and a hash that counts its calls."""
    calls = []
    real = digests._hash

    def counted(path):
        calls.append(path)
        return real(path)

    monkeypatch.setattr(digests, 'LARGE', 10)
    monkeypatch.setattr(digests, '_hash', counted)
    path = tmp_path / 'large'
    path.write_bytes(b'a' * 100)
    return path, calls


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def settle(monkeypatch):
    """Time passes."""
    later = time.time() + 60
    monkeypatch.setattr(digests.time, 'time', lambda: later)


def test_a_hash_is_computed_once(large, tmp_path, monkeypatch):
    path, calls = large
    settle(monkeypatch)
    for _ in range(3):
        assert digests.file_sha256(path, tmp_path / 'cache') == sha256(path)
    assert len(calls) == 1
    assert digests.file_sha256(path) == sha256(path)  # without a cache: anew
    assert len(calls) == 2


@pytest.mark.parametrize('how', ['in place', 'replaced'])
def test_same_path_size_and_time_with_other_bytes(
    how, large, tmp_path, monkeypatch
):
    path, _ = large
    settle(monkeypatch)
    os.utime(path, (0, 0))
    digests.file_sha256(path, tmp_path / 'cache')
    if how == 'replaced':
        other = tmp_path / 'other'
        other.write_bytes(b'b' * 100)
        os.utime(other, (0, 0))
        os.replace(other, path)
    else:
        path.write_bytes(b'b' * 100)
        os.utime(path, (0, 0))
    assert digests.file_sha256(path, tmp_path / 'cache') == sha256(path)


def test_what_changed_a_moment_ago_is_not_remembered(large, tmp_path):
    path, calls = large
    for _ in range(2):
        digests.file_sha256(path, tmp_path / 'cache')
    assert len(calls) == 2


def test_a_damaged_memory_is_no_memory(large, tmp_path, monkeypatch):
    path, _ = large
    settle(monkeypatch)
    cache = tmp_path / 'cache'
    digests.file_sha256(path, cache)
    (place,) = (cache / 'digests').iterdir()
    for content in ('', '{', '[]', '{}', 'null'):
        place.write_text(content)
        assert digests.file_sha256(path, cache) == sha256(path)


def test_any_byte_of_a_model_counts(tmp_path):
    folder = tiny.make_checkpoint(tmp_path / 'model', shards=2)
    known = shards.checkpoint_fingerprint(folder)
    rng = np.random.default_rng(0)
    for path in sorted(folder.iterdir()):
        raw = path.read_bytes()
        for place in rng.integers(0, len(raw), 3):
            header = path.suffix == '.safetensors' and place < 8
            if header:
                continue  # a length, without which the file is none
            changed = bytearray(raw)
            changed[place] ^= 1
            path.write_bytes(changed)
            try:
                assert shards.checkpoint_fingerprint(folder) != known, path
            except ValueError as error:  # it is no JSON any more
                assert path.name in str(error)
        path.write_bytes(raw)
    assert shards.checkpoint_fingerprint(folder) == known


def test_one_norm_alone_makes_another_model(tmp_path):
    folder = tiny.make_checkpoint(tmp_path, width=64, mlp_width=512)
    path = folder / 'model.safetensors'
    tensors = safetensors.load_file(path)
    known = {shards.checkpoint_fingerprint(folder)}
    norms = [name for name in tensors if 'norm' in name]
    for name in norms:
        safetensors.save_file(tensors | {name: tensors[name] * 1.5}, path)
        known.add(shards.checkpoint_fingerprint(folder))
    assert len(known) == 1 + len(norms)


# All that a folder of transformers may hold beside its weights, and which
# changes what a model computes or writes.
SMALL_FILES = (
    'added_tokens.json', 'config.json', 'generation_config.json', 'merges.txt',
    'model.safetensors.index.json', 'special_tokens_map.json',
    'tokenizer.json', 'tokenizer.model', 'tokenizer_config.json', 'vocab.json',
)  # fmt: skip


@pytest.mark.parametrize('name', SMALL_FILES)
def test_every_file_of_a_model_counts(name, tmp_path):
    folder = tiny.make_checkpoint(tmp_path)
    known = shards.checkpoint_fingerprint(folder)
    path = folder / name
    path.write_bytes(path.read_bytes() + b' ' if path.exists() else b'{}')
    assert shards.checkpoint_fingerprint(folder) != known


def test_two_files_of_one_name_are_both_remembered(
    large, tmp_path, monkeypatch
):
    path, calls = large
    other = tmp_path / 'other' / path.name
    other.parent.mkdir()
    other.write_bytes(b'b' * 100)
    settle(monkeypatch)
    for _ in range(2):
        for file in (path, other):
            found = digests.file_sha256(file, tmp_path / 'cache')
            assert found == sha256(file)
    assert len(calls) == 2


def test_a_file_that_changes_while_it_is_read_is_not_remembered(
    large, tmp_path, monkeypatch
):
    path, _ = large
    settle(monkeypatch)
    counted = digests._hash

    def slow(path):
        digest = counted(path)
        path.write_bytes(b'b' * 100)
        return digest

    monkeypatch.setattr(digests, '_hash', slow)
    digests.file_sha256(path, tmp_path / 'cache')
    monkeypatch.setattr(digests, '_hash', counted)
    assert digests.file_sha256(path, tmp_path / 'cache') == sha256(path)
