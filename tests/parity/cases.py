"""What is computed twice: models, prompts, examples and texts."""

import os
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from fedprompt_jax.data import corpus
from fedprompt_jax.data.examples import Example
from fedprompt_jax.models import families
from fedprompt_jax.models.tokenizer import Tokenizer
from tests import tiny, tiny_families

SMOLLM2 = 'smollm2-135m-instruct'
CACHE = (os.environ.get('XDG_CACHE_HOME') or '~/.cache') + '/fedprompt_jax'
MAX_NEW_TOKENS = 10
TEXTS = (
    'The capital of France is Paris, and the capital of Italy is Rome.\n'
    'Question: how many days are there in 3 weeks? Answer: 21.',
    'Once upon a time, in a small village by the sea, there lived a',
    '<|im_start|>user\nIs 17 a prime number?<|im_end|>\n'
    '<|im_start|>assistant\n',
    'def add(a, b):\n    return a + b\n\n\nprint(add(2, 40))\n',
)


class Case(NamedTuple):
    """What an implementation is asked about, in tokens.

    Attributes:
      bank: f32 [C, P, D] prompts.
      examples: of the C owners, as many each as comes.
      texts: int32 [n] each, for the logits of the bare model.
    """

    bank: np.ndarray
    examples: list[Example]
    texts: list[np.ndarray]


class Implementation(Protocol):
    """The questions that ours.py and theirs.py answer alike."""

    def logits(self, texts: list[np.ndarray]) -> list[np.ndarray]:
        """[n, V] of each text int [n]; all of them in one padded batch."""
        ...

    def gradients(
        self, bank: np.ndarray, examples: list[Example], loss: str
    ) -> tuple[np.ndarray, np.ndarray]:
        """Losses [C] of the owners and their gradients [C, P, D]."""
        ...

    def greedy(
        self, bank: np.ndarray, examples: list[Example]
    ) -> list[np.ndarray]:
        """Up to MAX_NEW_TOKENS after each query, without the end token."""
        ...


def prompts(owners: int, length: int, width: int, seed: int = 0) -> np.ndarray:
    """A bank f32 [C, P, D] from N(0, 0.5^2)."""
    rng = np.random.default_rng(seed)
    return rng.normal(0, 0.5, (owners, length, width)).astype(np.float32)


def random_examples(
    sizes: list[tuple[int, int, int]], seed: int = 1
) -> list[Example]:
    """An example for each (owner, query tokens, target tokens)."""
    rng = np.random.default_rng(seed)

    def tokens(n):
        return rng.integers(4, tiny.VOCAB_SIZE, n).astype(np.int32)

    return [Example(owner, tokens(q), tokens(t)) for owner, q, t in sizes]


def tiny_case(folder: Path, tied: bool) -> Case:
    """Writes a tiny model with grouped heads; three ragged owners."""
    tiny.make_checkpoint(folder, seed=int(tied), tied=tied)
    sizes = [(0, 5, 3), (0, 9, 1), (1, 4, 6), (2, 1, 2), (2, 7, 4), (2, 3, 1)]
    texts = [e.query for e in random_examples([(0, 11, 1), (0, 7, 1)], 2)]
    return Case(prompts(3, 5, 32), random_examples(sizes), texts)


def family_case(folder: Path, name: str) -> Case:
    """Writes a tiny model of a family; texts longer than its windows."""
    tiny_families.make_checkpoint(folder, name)
    sizes = [(0, 15, 3), (0, 9, 1), (1, 14, 6), (2, 1, 2), (2, 7, 4)]
    texts = [e.query for e in random_examples([(0, 21, 1), (0, 9, 1)], 2)]
    sizes_of = families.model_config(tiny.read_json(folder / 'config.json'))
    width = sizes_of.embedding_width or sizes_of.width
    examples = random_examples(sizes)
    if sizes_of.objective != 'causal_lm':
        examples = [place_targets(e, sizes_of.objective) for e in examples]
    return Case(prompts(3, 5, width), examples, texts)


def place_targets(e: Example, objective: str) -> Example:
    """The example for a model that is not causal; masks are any tokens."""
    if objective == 'seq2seq_lm':
        return e._replace(at=np.full(len(e.target), len(e.query) - 1))
    count = min(len(e.query), len(e.target))
    rng = np.random.default_rng(len(e.query))
    at = np.sort(rng.choice(len(e.query), count, replace=False))
    return e._replace(target=e.target[:count], at=at)


def smollm2_case(tokenizer: Tokenizer) -> Case:
    """Two owners with examples of the embedded corpus, P = 10, real texts."""
    parts = [tokenizer.with_special_tokens(text) for text in TEXTS]
    texts = tokenizer.encode(parts, True)
    return Case(
        prompts(2, 10, 576),
        corpus_examples(tokenizer, [0, 1, 0, 0, 1, 0]),
        [np.array(t, np.int32) for t in texts],
    )


def corpus_pairs(count: int) -> list[tuple[str, str]]:
    """Input and output of instances from as many different tasks."""
    tasks = list(corpus.generate().values())
    chosen = tasks[:: max(1, len(tasks) // count)][:count]
    instances = [t['Instances'][i] for i, t in enumerate(chosen)]
    return [(x['input'], x['output'][0]) for x in instances]


def corpus_examples(tokenizer: Tokenizer, owners: list[int]) -> list[Example]:
    """A real example for each owner named, each from another task."""
    examples = []
    pairs = corpus_pairs(len(owners))
    for owner, (text, answer) in zip(owners, pairs, strict=True):
        query, whole = tokenizer.encode_batch(
            [text + '\n', text + '\n' + answer], False
        )
        target = [*whole[len(query) :], tokenizer.eos_id]
        examples.append(
            Example(owner, np.array(query, np.int32), np.array(target))
        )
    return examples
