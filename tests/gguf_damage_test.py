"""Laws of damaged GGUF files: a sentence that names the file, or another model.

The format has no checksum, so one changed number can only make another model:
its folder and its fingerprint are others.
"""

import re
import struct

import gguf
import numpy as np
import pytest

from fedprompt_jax.models import source
from fedprompt_jax.models.gguf_files import header, storage
from fedprompt_jax.models.tokenizer import Tokenizer
from tests import tiny, tiny_gguf
from tests.damage import PAGE, POINTER

SEED = 0
CUTS, CHANGES = 20, 60
ABSURD = (2**31, 2**32 - 1, 2**60, 2**63, 2**64 - 1)
TOKENS = 'tokenizer.ggml.tokens'
PIECES = tiny_gguf.sentencepiece(tiny.TEXT)


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    return tiny.make_checkpoint(tmp_path_factory.mktemp('hf'), num_layers=1)


@pytest.fixture(scope='module', params=['byte_level', 'sentencepiece'])
def content(request, checkpoint, tmp_path_factory):
    path = tmp_path_factory.mktemp('gguf') / 'x.gguf'
    pieces = PIECES if request.param == 'sentencepiece' else None
    return tiny_gguf.write(path, checkpoint, pieces=pieces).read_bytes()


def _outcome(folder, content):
    """The error of a file, or the folder that it is converted to."""
    path = folder / 'x.gguf'
    path.write_bytes(content)
    faults = source.check(str(path))
    try:
        converted = source.resolve(str(path), folder / 'cache')
    except ValueError as error:
        assert faults == [str(error)]  # before anything else is done
        assert str(path) in str(error)
        assert not list((folder / 'cache').glob('*/*'))
        return str(error)
    assert faults == []
    Tokenizer.from_folder(converted).encode_batch(['the name'], True)
    return converted


def test_a_sound_file_is_converted(tmp_path, content):
    source.load(_outcome(tmp_path, content), 'float32')


def test_a_cut_file_is_not_whole(tmp_path, content):
    cuts = np.random.default_rng(SEED).integers(4, len(content) - 32, CUTS)
    for end in cuts:
        assert 'is not a whole GGUF file' in _outcome(tmp_path, content[:end])


@pytest.mark.parametrize(
    'other, message',
    [
        (b'', 'is empty'),
        (b'GG', 'no GGUF magic'),
        (b'PK\x03\x04', 'no GGUF magic'),
        (b'tjgg' + bytes(100), 'came before GGUF'),
        (b'GGUF', 'not a whole'),
        (POINTER, 'Git LFS pointer.*git lfs pull'),
        (PAGE, 'HTML page.*download it again'),
    ],
)
def test_another_file_in_its_place_is_recognised(tmp_path, other, message):
    path = tmp_path / 'x.gguf'
    path.write_bytes(other)
    with pytest.raises(ValueError, match=message) as error:
        source.resolve(str(path), tmp_path / 'cache')
    assert source.check(str(path)) == [str(error.value)]
    assert str(path) in str(error.value)
    assert not (tmp_path / 'cache').exists()


def test_a_changed_byte_is_refused_or_makes_another_model(tmp_path, content):
    rng = np.random.default_rng(SEED)
    (tmp_path / 'x.gguf').write_bytes(content)
    end = header.read(tmp_path / 'x.gguf').end
    whole = _outcome(tmp_path, content)
    places = np.r_[
        rng.integers(0, end, CHANGES // 2),
        rng.integers(end, len(content), CHANGES // 2),
    ]
    outcomes = []
    for i, other in enumerate(places):
        changed = bytearray(content)
        changed[other] ^= int(rng.integers(1, 256))
        folder = tmp_path / str(i)
        folder.mkdir()
        outcomes.append(_outcome(folder, bytes(changed)))
        assert getattr(outcomes[-1], 'name', '') != whole.name
    refused = [isinstance(outcome, str) for outcome in outcomes]
    assert any(refused[: CHANGES // 2])
    assert not all(refused)


# Where the numbers of a header lie, from the start of the file or of a name.
@pytest.mark.parametrize('value', ABSURD)
@pytest.mark.parametrize(
    'name, skip, form',
    [
        ('', 8, '<Q'),  # number of tensors
        ('', 16, '<Q'),  # number of metadata keys
        ('', 24, '<Q'),  # length of the first key
        (TOKENS, 8, '<Q'),  # length of the array
        (TOKENS, 16, '<Q'),  # length of the first token
        ('tokenizer.ggml.model', 4, '<Q'),  # length of a string
        ('token_embd.weight', 0, '<I'),  # number of axes
        ('token_embd.weight', 4, '<Q'),  # an axis
        ('token_embd.weight', 12, '<Q'),
        ('token_embd.weight', 24, '<Q'),  # offset
        ('llama.block_count', 4, '<I'),
        ('llama.attention.head_count', 4, '<I'),
        ('llama.attention.head_count_kv', 4, '<I'),
        ('llama.embedding_length', 4, '<I'),
        ('llama.feed_forward_length', 4, '<I'),
        ('llama.context_length', 4, '<I'),
    ],
)
def test_no_length_is_trusted(tmp_path, content, name, skip, form, value):
    start = content.index(name.encode()) + len(name) + skip
    raw = struct.pack('<Q', value)[: struct.calcsize(form)]
    if not any(raw):
        raw = b'\xff' * len(raw)
    changed = content[:start] + raw + content[start + len(raw) :]
    assert isinstance(_outcome(tmp_path, changed), str)


def test_tensors_fill_the_file_one_after_the_other(tmp_path, content):
    error = _outcome(tmp_path, content + bytes(32))
    assert 'is damaged: its tensors end at byte' in error
    name = b'token_embd.weight'
    start = content.index(name) + len(name) + 24
    (offset,) = struct.unpack_from('<Q', content, start)
    moved = struct.pack('<Q', offset + 32)
    changed = content[:start] + moved + content[start + 8 :]
    error = _outcome(tmp_path, changed)
    assert f'the tensor {name.decode()} starts at byte' in error
    one_less = struct.pack('<Q', content[8] - 1)
    error = _outcome(tmp_path, content[:8] + one_less + content[16:])
    assert 'is damaged' in error or 'is missing' in error


def test_an_array_may_not_be_absurdly_long(tmp_path):
    path, entries = tmp_path / 'x.gguf', 2**24 + 1
    start = b'GGUF' + struct.pack('<IQQQ', 3, 0, 1, 1) + b'k'
    path.write_bytes(start + struct.pack('<IIQ', 9, 0, entries))
    with path.open('r+b') as stream:
        stream.truncate(2 * entries)
    (fault,) = source.check(str(path))
    assert f'k has {entries} entries' in fault


# Types of tensors, versions and byte orders


def _retyped(content, name, kind):
    """The file with another type of a tensor."""
    start = content.index(struct.pack('<Q', len(name)) + name.encode())
    (axes,) = struct.unpack_from('<I', content, start + 8 + len(name))
    start += 8 + len(name) + 4 + 8 * axes
    return content[:start] + struct.pack('<I', kind) + content[start + 4 :]


@pytest.mark.parametrize(
    'kind, message',
    [
        (4, 'type 4 (Q4_2), which llama.cpp has dropped'),
        (31, 'type 31 (Q4_0_4_4), which llama.cpp has dropped'),
        (38, 'type 38 (IQ4_NL_8_8), which llama.cpp has dropped'),
        (1000, 'does not know: pip install --upgrade gguf, or use the check'),
        (2**32 - 1, 'does not know: pip install --upgrade gguf'),
        *(
            (int(kind), f'type {kind:d} ({kind.name}), which gguf')
            for kind in gguf.GGMLQuantizationType
            if kind.name in ('I8', 'I16', 'I32', 'I64', 'F64', 'Q8_K')
        ),
    ],
)
def test_a_type_that_is_not_read_is_named(tmp_path, content, kind, message):
    name = 'blk.0.ffn_up.weight'
    error = _outcome(tmp_path, _retyped(content, name, kind))
    assert f'tensor {name} has type {kind}' in error
    assert message in error


def test_every_type_is_read_or_named(tmp_path, content):
    for kind in range(64):
        changed = _retyped(content, 'blk.0.ffn_up.weight', kind)
        if changed != content:
            assert isinstance(_outcome(tmp_path, changed), str), kind


@pytest.mark.parametrize(
    'version, message',
    [
        (0, 'is damaged: it has GGUF version 0'),
        (1, 'version 1, which is too old; convert the model again'),
        (4, 'version 4, which is newer'),
        (2**32 - 1, 'which is newer'),
    ],
)
def test_other_versions_are_refused(tmp_path, content, version, message):
    changed = content[:4] + struct.pack('<I', version) + content[8:]
    assert message in _outcome(tmp_path, changed)


def test_version_2_is_version_3(tmp_path, content):
    a = _outcome(tmp_path, content)
    b = _outcome(tmp_path, content[:4] + struct.pack('<I', 2) + content[8:])
    name = 'model.safetensors'
    assert (a / name).read_bytes() == (b / name).read_bytes()


def test_the_other_byte_order_is_refused(tmp_path):
    path = tmp_path / 'x.gguf'
    writer = gguf.GGUFWriter(path, 'llama', endianess=gguf.GGUFEndian.BIG)
    writer.write_header_to_file()
    writer.close()
    with pytest.raises(ValueError, match='made for big-endian machines'):
        source.resolve(str(path), tmp_path / 'cache')


def test_the_header_is_what_the_gguf_package_reads(tmp_path, checkpoint):
    path = tiny_gguf.write(
        tmp_path / 'x.gguf',
        checkpoint,
        quantise=gguf.GGMLQuantizationType.Q8_0,
        pieces=PIECES,
        metadata={'a.list': [True, False], 'b': -1.5, 'c': 2**40, 'd': 'é'},
    )
    found, reader = header.read(path), gguf.GGUFReader(path)
    fields = {key: field.contents() for key, field in reader.fields.items()}
    assert found.fields == {
        key: value
        for key, value in fields.items()
        if not key.startswith('GGUF.')
    }
    tensors = storage.tensors(path, found)
    for tensor, expected in zip(tensors, reader.tensors, strict=True):
        assert tensor.name == expected.name
        assert tensor.kind == expected.tensor_type
        assert tensor.shape == tuple(expected.shape[::-1])
        assert tensor.data.tobytes() == expected.data.tobytes()


# Metadata


@pytest.mark.parametrize(
    'key, value, message',
    [
        ('general.architecture', 7, 'must be a string'),
        ('general.alignment', 48, 'must be a power of two'),
        ('general.alignment', 'x', 'must be a power of two'),
        ('llama.block_count', 'two', 'must be a positive integer'),
        ('llama.block_count', 0, 'must be a positive integer'),
        ('llama.block_count', 2**31 - 1, 'more than the'),
        ('llama.attention.head_count', [4, 4], 'must be a positive integer'),
        ('llama.attention.head_count', 8, 'has 32 rows, but 8 heads|only'),
        ('llama.embedding_length', 64, 'rows, but|only|shape'),
        ('llama.feed_forward_length', 96, r'shape .* but needs'),
        ('llama.attention.key_length', -8, 'must be a positive integer'),
        ('llama.rope.freq_base', 'x', 'must be a number'),
        ('llama.rope.freq_base', 0.0, 'must be a number'),
        ('llama.rope.freq_base', float('nan'), 'must be a number'),
        (
            'llama.attention.layer_norm_rms_epsilon',
            float('inf'),
            'must be a positive number',
        ),
        ('tokenizer.ggml.model', ['gpt2'], 'must be a string'),
        ('tokenizer.ggml.pre', 3, 'must be a string'),
        ('tokenizer.ggml.add_bos_token', 'yes', 'must be true or false'),
        ('tokenizer.ggml.eos_token_id', '2', 'must be an integer'),
        ('tokenizer.ggml.eot_token_id', 2.0, 'must be an integer'),
        ('tokenizer.chat_template', 1, 'must be a string'),
        (TOKENS, None, 'must be there'),
        (TOKENS, 'abc', 'each entry a string'),
        (TOKENS, list(range(300)), 'each entry a string'),
        (TOKENS, ['a', 'b'], 'one type a token'),
        (TOKENS, ['a'] * 300, 'tokens 0 and 1 are both'),
        (TOKENS, [f'{i}' * 2000 for i in range(300)], 'characters'),
        ('tokenizer.ggml.token_type', [1.0] * 300, 'each entry an integer'),
        ('tokenizer.ggml.token_type', [9] * 300, 'token 0 is 9'),
        ('tokenizer.ggml.merges', 'a b', 'each entry a string'),
        ('tokenizer.ggml.merges', [1, 2], 'each entry a string'),
        ('tokenizer.ggml.merges', ['ab'], "entry 0, 'ab', does not join"),
        ('tokenizer.ggml.merges', ['Q Q'], 'does not join'),
        ('tokenizer.ggml.merges', [' '], 'does not join'),
        ('tokenizer.ggml.merges', ['a b c'], 'does not join'),
    ],
)
def test_metadata_of_another_kind_is_refused(
    tmp_path, checkpoint, key, value, message
):
    path = tiny_gguf.write(
        tmp_path / 'y.gguf', checkpoint, metadata={key: value}
    )
    _assert_refused(tmp_path, path, key, message)


@pytest.mark.parametrize(
    'value', [None, 'x', [1] * 300, [0.0] * 299, [float('nan')] * 300]
)
def test_scores_must_be_numbers_of_all_pieces(tmp_path, checkpoint, value):
    key = 'tokenizer.ggml.scores'
    path = tiny_gguf.write(
        tmp_path / 'y.gguf', checkpoint, pieces=PIECES, metadata={key: value}
    )
    _assert_refused(tmp_path, path, key, 'scores')


def _assert_refused(folder, path, key, message):
    error = _outcome(folder, path.read_bytes())
    assert isinstance(error, str)
    assert re.search(message, error)
    assert key.rsplit('.')[-1] in error or 'rows' in error or 'shape' in error
    assert len(error) < 1500
