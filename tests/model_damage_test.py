"""A damaged model folder is refused by name, or is another model.

Every file is cut, emptied, replaced by what downloads leave in a file's place,
and changed in one byte. (`python -m tests.model_damage_test 1000` tries more.)
"""

import collections
from collections.abc import Iterator
import logging
from pathlib import Path
import sys
import tempfile

import numpy as np
import pytest
import transformers

from fedprompt_jax.models import bpe_files, sentencepiece_file, shards, source
from fedprompt_jax.models.tokenizer import Tokenizer
from tests import tiny, tiny_tokenizers
from tests.damage import PAGE, POINTER

CUTS, FLIPS = 20, 20


def damages(
    raw: bytes, rng: np.random.Generator, flips: int = FLIPS
) -> Iterator[tuple[str, bytes]]:
    """What was done to a file, and what is left of it."""
    yield 'empty', b''
    yield 'a pointer', POINTER
    yield 'a page', PAGE
    for end in np.linspace(1, len(raw) - 1, CUTS).astype(int):
        yield f'cut at {end}', raw[:end]
    for place in rng.integers(0, len(raw), flips):
        changed = bytearray(raw)
        changed[place] ^= 1 << rng.integers(8)
        yield f'byte {place} is {changed[place]}', bytes(changed)


def outcome(folder: Path, intact: str, name: str) -> str:
    """'refused' or 'another model'; AssertionError for all else."""
    try:
        if faults := source.check(str(folder)):
            raise ValueError('\n'.join(faults))
        Tokenizer.from_folder(folder)
        source.load(folder, 'float32')
        fingerprint = shards.checkpoint_fingerprint(folder)
    except ValueError as error:
        # What config.json asks for and does not get is told of it, or of the
        # folder whose files do not fit each other.
        assert (
            name in str(error)
            or str(folder) in str(error)
            or (name == 'config.json' and 'config.json' in str(error))
        ), str(error)
        return 'refused'
    assert fingerprint != intact
    return 'another model'


def make(folder: Path, kind: str) -> Path:
    """A tiny checkpoint in two shards with a tokenizer of a kind."""
    tiny.make_checkpoint(folder, shards=2)
    tiny_tokenizers.KINDS[kind](folder)
    size = Tokenizer.from_folder(folder).vocab_size
    config = tiny.read_json(folder / 'config.json') | {'vocab_size': size}
    config |= {'eos_token_id': 2}
    tiny.write_json(folder / 'config.json', config)
    tiny.save_tensors(folder, tiny.random_tensors(config, 0), 2)
    return folder


def try_all(
    folder: Path, name: str, seed: int, flips: int = FLIPS
) -> collections.Counter[str]:
    """Counts the outcomes of all damages to one file of a folder."""
    intact = shards.checkpoint_fingerprint(folder)
    path, rng = folder / name, np.random.default_rng(seed)
    raw = path.read_bytes()
    counts: collections.Counter[str] = collections.Counter()
    for what, content in damages(raw, rng, flips):
        path.write_bytes(content)
        same = content == raw
        try:
            counts['the same' if same else outcome(folder, intact, name)] += 1
        except Exception as error:
            error.add_note(f'{name}: {what}')
            raise
    path.write_bytes(raw)
    return counts


FILES = (
    'config.json',
    'generation_config.json',
    'tokenizer.json',
    'tokenizer_config.json',
    'model.safetensors.index.json',
    'model-00001-of-00002.safetensors',
)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return make(tmp_path_factory.mktemp('model'), 'byte_level')


@pytest.mark.parametrize('name', FILES)
def test_a_damaged_file_is_refused_or_makes_another_model(name, folder):
    counts = try_all(folder, name, seed=0)
    assert counts['refused'] >= 3 + CUTS - 1  # a cut may take a line's end


def test_a_cut_vocabulary_or_list_of_merges_is_refused(tmp_path):
    folder = tiny.make_checkpoint(tmp_path)
    model = tiny.read_json(folder / 'tokenizer.json')['model']
    (folder / 'tokenizer.json').unlink()
    tiny.edit_json(
        folder / 'tokenizer_config.json', tokenizer_class='GPT2Tokenizer'
    )
    merges = '\n'.join(' '.join(pair) for pair in model['merges'])
    (folder / 'merges.txt').write_text(f'#version: 0.2\n{merges}\n')
    tiny.write_json(folder / 'vocab.json', model['vocab'])
    assert source.check(str(folder)) == []
    theirs = transformers.AutoTokenizer.from_pretrained(folder)
    rows = Tokenizer.from_folder(folder).encode_batch(['the river'], True)
    assert rows == theirs(['the river']).input_ids
    for name in ('merges.txt', 'vocab.json'):
        raw = (folder / name).read_bytes()
        for what, content in damages(raw, np.random.default_rng(0), flips=0):
            if content.rstrip() != raw.rstrip():
                (folder / name).write_bytes(content)
                faults = source.check(str(folder))
                assert faults and name in faults[0], what
        (folder / name).write_bytes(raw)


def test_a_vocabulary_is_what_its_merges_make(tmp_path):
    def write(words, lines):
        vocabulary = {word: i for i, word in enumerate(words)}
        tiny.write_json(tmp_path / 'vocab.json', vocabulary)
        (tmp_path / 'merges.txt').write_text('\n'.join(lines))

    words, lines = ['<s>', 'a', 'b', 'ab', 'aab'], ['#version', 'a b', 'a ab']
    write(words, lines)
    bpe_files.require_whole(tmp_path)
    for other in (words[:-1], [*words, 'abb']):
        write(other, lines)
        with pytest.raises(ValueError, match='does not belong to'):
            bpe_files.require_whole(tmp_path)
    write(words, [*lines, 'a a b'])
    with pytest.raises(ValueError, match='does not belong to'):
        bpe_files.require_whole(tmp_path)


def test_a_cut_sentencepiece_model_is_refused(tmp_path):
    def field(number, content):
        return bytes([number << 3 | 2, len(content)]) + content

    pieces = [field(1, f'\n\x02p{i}'.encode()) for i in range(9)]
    whole = b''.join([*pieces, field(2, b'(\x02'), field(3, b'\x18\x01')])
    path = tmp_path / 'tokenizer.model'
    path.write_bytes(whole)
    sentencepiece_file.require_whole(path)
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        with pytest.raises(ValueError, match=r'tokenizer\.model is '):
            sentencepiece_file.require_whole(path)
    path.write_bytes(b'IQ== 0\nIg== 1\n')  # tiktoken's
    sentencepiece_file.require_whole(path)


def test_long_pieces_and_fields_are_whole(tmp_path):
    """Lengths of more than seven bits take several bytes."""
    piece = b'\n\xac\x02' + b'x' * 300  # 300 is 44 + 2 * 128
    whole = piece + b'\x12\x02(\x02' + b'\x1a\x02\x18\x01'
    path = tmp_path / 'tokenizer.model'
    path.write_bytes(whole)
    sentencepiece_file.require_whole(path)


def main(flips: int) -> None:
    """Prints the outcomes for every kind of tokenizer, many bytes changed."""
    logging.disable()
    for kind in tiny_tokenizers.KINDS:
        with tempfile.TemporaryDirectory() as scratch:
            folder = make(Path(scratch) / 'model', kind)
            for name in FILES:
                if (folder / name).exists():
                    counts = try_all(folder, name, seed=1, flips=flips)
                    print(f'{kind}, {name}: {dict(counts)}', flush=True)


if __name__ == '__main__':
    main(int(sys.argv[1]) if len(sys.argv) > 1 else FLIPS)
