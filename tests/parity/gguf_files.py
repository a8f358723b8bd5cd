"""GGUF files of every architecture: our conversion against transformers'.

The files are tiny, and written as llama.cpp writes them (tests/tiny_gguf).
transformers reads some architectures alone, and takes for granted what its
readers leave out of a file; those files are made so that it is right.
"""

from collections.abc import Iterator
import contextlib
import io
import json
from pathlib import Path
import tempfile
from typing import Any
import unicodedata

import numpy as np
import transformers

from fedprompt_jax.models.gguf_files import convert
from fedprompt_jax.models.tokenizer import Tokenizer
from tests import tiny, tiny_gguf
from tests.parity import logits, table
from tests.parity.ours import Ours
from tests.parity.theirs import Theirs

TOLERANCE = 1e-4
_SQUARE = {'head_dim': 256, 'query_pre_attn_scalar': 256}
_LOCAL, _GLOBAL = 'sliding_attention', 'full_attention'

# What transformers assumes, by variant of tests/tiny_families.
READ_BY_TRANSFORMERS: dict[str, dict[str, Any]] = {
    'llama_biased': {'attention_bias': False, 'mlp_bias': False},
    'qwen2': {},
    'qwen3': {'head_dim': 128},
    'gpt2': {'n_inner': 128, 'n_positions': 1024},
    'gemma2': _SQUARE
    | {'attn_logit_softcapping': 50.0, 'final_logit_softcapping': 30.0},
    'gemma3': _SQUARE
    | {
        'num_hidden_layers': 7,
        'layer_types': [*[_LOCAL] * 5, _GLOBAL, _LOCAL],
        'rope_parameters': {
            _GLOBAL: {'rope_type': 'default', 'rope_theta': 1e6},
            _LOCAL: {'rope_type': 'default', 'rope_theta': 1e4},
        },
    },
}
# By tokenizer.ggml.pre, how transformers' ids are those of the model's own
# tokenizer.json: it leaves out SmolLM2's digits, and characters composed.
COMPOSES = {'gpt-2': False, 'llama-bpe': False, 'qwen2': True}
CLASSES = {
    'gpt-2': transformers.GPT2Tokenizer,
    'qwen2': transformers.Qwen2Tokenizer,
    'olmo': transformers.GPTNeoXTokenizer,
}


def compare() -> Iterator[table.Row]:
    """Logits and token ids of all architectures and tokenizers."""
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        for variant in tiny_gguf.NAMES:
            path = write(scratch / 'original' / variant, variant)
            what = f'GGUF of {variant}: the original'
            yield compare_logits(what, path, Theirs(path.parents[1] / 'hf'))
        for variant, changes in READ_BY_TRANSFORMERS.items():
            path = write(scratch / 'read' / variant, variant, changes)
            what = f'GGUF of {variant}: imported by each'
            with contextlib.redirect_stderr(io.StringIO()):  # a bar that stays
                theirs = Theirs(path.parent, gguf_file=path.name)
            yield compare_logits(what, path, theirs)
        yield from compare_byte_level(scratch)
        yield from compare_classes(scratch)
        yield from compare_sentencepiece(scratch)


def write(
    folder: Path,
    variant: str,
    changes: dict[str, Any] | None = None,
    **kwargs: Any,
) -> Path:
    """A GGUF file alone in a folder, beside hf, the checkpoint it is of."""
    hf = tiny_gguf.make_checkpoint(folder / 'hf', variant, **(changes or {}))
    (folder / 'gguf').mkdir()
    return tiny_gguf.write(folder / 'gguf' / 'x.gguf', hf, **kwargs)


def compare_logits(what: str, path: Path, theirs: Theirs) -> table.Row:
    """Our conversion of a file against a model of PyTorch's."""
    ours = Ours(convert.convert(path, path.parents[1] / 'ours'))
    rng = np.random.default_rng(0)
    texts = [rng.integers(4, tiny.VOCAB_SIZE, n) for n in (30, 7, 19)]
    return table.max_abs(
        'gguf', what, ours.logits(texts), theirs.logits(texts), TOLERANCE
    )


def compare_byte_level(scratch: Path) -> Iterator[table.Row]:
    """Where text is split before merges; on texts that need no composing."""
    texts = logits.all_texts()
    for pre, composes in COMPOSES.items():
        path = write(scratch / pre, 'qwen2', pre=pre)
        same = [t for t in texts if is_composed(t)] if composes else texts
        yield compare_ids(f'GGUF, tokenizer {pre}', path, same)


def compare_classes(scratch: Path) -> Iterator[table.Row]:
    """The models' own tokenizers in transformers, with the same vocabulary."""
    # (Special tokens are no part of the question.)
    texts = [t for t in logits.all_texts() if '<|' not in t]
    model = json.loads(tiny.train_tokenizer().to_str())['model']
    merges = [tuple(pair) for pair in model['merges']]
    for pre, make in CLASSES.items():
        path = write(scratch / f'class_{pre}', 'qwen2', pre=pre)
        theirs = make(vocab=model['vocab'], merges=merges)
        yield compare_ids(
            f'GGUF, {make.__name__} for {pre}', path, texts, theirs
        )


def is_composed(text: str) -> bool:
    """Whether canonical composition leaves a text alone."""
    return unicodedata.is_normalized('NFC', text)


def compare_sentencepiece(scratch: Path) -> Iterator[table.Row]:
    """Pieces with scores, as Llama's (a space first) and as Gemma's."""
    pieces = tiny_gguf.sentencepiece(tiny.TEXT, 340)
    for variant, prefix in (('llama_biased', True), ('gemma2', False)):
        path = write(
            scratch / f'pieces_{variant}',
            variant,
            {'vocab_size': len(pieces)},
            change=lambda w, p=prefix: w.add_add_space_prefix(p),
            pieces=pieces,
        )
        what = f'GGUF, SentencePiece, space first: {prefix}'
        # transformers adds no space before one, as SentencePiece does.
        texts = [t for t in logits.all_texts() if not t.startswith(' ')]
        yield compare_ids(what, path, texts)


def compare_ids(
    what: str, path: Path, texts: list[str], theirs: Any = None
) -> table.Row:
    """Token ids of our conversion, and of transformers' own or another."""
    folder = convert.convert(path, path.parents[1] / 'ours')
    ours = Tokenizer.from_folder(folder)
    theirs = theirs or transformers.AutoTokenizer.from_pretrained(
        path.parent, gguf_file=path.name
    )
    ids = ours.encode_batch(texts, False)
    expected = theirs(
        texts, add_special_tokens=False, split_special_tokens=True
    )['input_ids']
    return table.differing('gguf', what, ids, expected)
