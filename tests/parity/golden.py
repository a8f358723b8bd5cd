"""Small files of PyTorch's numbers, for the suite that has no PyTorch."""

from pathlib import Path

import numpy as np

from fedprompt_jax.data.examples import LOSSES, Example
from tests import tiny_families
from tests.parity.cases import MAX_NEW_TOKENS, Case, Implementation

FOLDER = Path(__file__).parents[1] / 'golden'
NAMES = ('tiny_tied', 'tiny_untied', *tiny_families.CONFIGS, 'smollm2')
SMALL = 512  # a vocabulary whose logits are kept whole
FEW = 512  # entries kept of each gradient of a larger model
TOP = 5

Numbers = dict[str, np.ndarray]


def numbers(model: Implementation, case: Case) -> Numbers:
    """What an implementation answers to a case, in named arrays.

    Of the n tokens of all texts: next_logprob [n - texts], top_ids and
    top_logits [n, 5], and of a small model every fourth row of the logits.
    Of the owners, for each of LOSSES (the first of a larger model): loss and
    grad_norm [3 or 1, C], and grad [3 or 1, C, P * D or FEW].
    greedy [examples, MAX_NEW_TOKENS], filled up with -1.
    """
    out: Numbers = {}
    logits = model.logits(case.texts)
    small = logits[0].shape[1] <= SMALL
    out['next_logprob'] = np.concatenate(
        [next_logprobs(*p) for p in zip(logits, case.texts, strict=True)]
    )
    flat = np.concatenate(logits)
    out['top_ids'] = np.argsort(-flat, axis=1)[:, :TOP]
    out['top_logits'] = np.take_along_axis(flat, out['top_ids'], 1)
    if small:
        out['logits'] = flat[::4]
    kinds = list(LOSSES)[: None if small else 1]
    results = [model.gradients(case.bank, case.examples, k) for k in kinds]
    grads = np.stack([g.reshape(len(g), -1) for _, g in results])
    out['loss'] = np.stack([losses for losses, _ in results])
    out['grad_norm'] = np.linalg.norm(grads, axis=-1)
    out['grad'] = grads if small else grads[..., :FEW]
    out['greedy'] = np.full((len(case.examples), MAX_NEW_TOKENS), -1)
    if not is_masked(case):  # which writes no text
        texts = model.greedy(case.bank, case.examples)
        for row, tokens in zip(out['greedy'], texts, strict=True):
            row[: len(tokens)] = tokens
    return out


def is_masked(case: Case) -> bool:
    """Whether targets are predicted at several places of the query."""
    return any(e.at is not None and len(set(e.at)) > 1 for e in case.examples)


def next_logprobs(logits: np.ndarray, text: np.ndarray) -> np.ndarray:
    """log p [n - 1] of each token of a text after those before it."""
    logits = logits[:-1].astype(np.float64)
    top = logits.max(axis=1, keepdims=True)
    total = top[:, 0] + np.log(np.exp(logits - top).sum(axis=1))
    return logits[np.arange(len(logits)), text[1:]] - total


def path(name: str) -> Path:
    return FOLDER / f'{name}.npz'


def write(name: str, case: Case, answers: Numbers) -> None:
    """The case as it is, the answers in f32 and int32."""
    arrays = {k: _narrow(v) for k, v in answers.items()}
    arrays |= {f'case_{k}': v for k, v in _flatten(case).items()}
    FOLDER.mkdir(exist_ok=True)
    np.savez_compressed(path(name), **arrays)


def read(name: str) -> tuple[Case, Numbers]:
    """What `write` was given."""
    with np.load(path(name)) as file:
        arrays = dict(file)
    flat = {
        k.removeprefix('case_'): arrays.pop(k)
        for k in list(arrays)
        if k.startswith('case_')
    }
    return _unflatten(flat), arrays


def _narrow(x: np.ndarray) -> np.ndarray:
    return x.astype(np.int32 if x.dtype.kind == 'i' else np.float32)


def _flatten(case: Case) -> dict[str, np.ndarray]:
    rows = {
        'query': [e.query for e in case.examples],
        'target': [e.target for e in case.examples],
        'text': case.texts,
    }
    if case.examples[0].at is not None:
        rows['at'] = [e.at for e in case.examples]
    flat = {
        'bank': case.bank,
        'owner': np.array([e.owner for e in case.examples], np.int32),
    }
    for name, row in rows.items():
        flat[name] = np.concatenate(row).astype(np.int32)
        flat[f'{name}_ends'] = np.cumsum([len(r) for r in row])
    return flat


def _unflatten(flat: dict[str, np.ndarray]) -> Case:
    def rows(name):
        return np.split(flat[name], flat[f'{name}_ends'][:-1])

    triples = zip(flat['owner'], rows('query'), rows('target'), strict=True)
    examples = [Example(int(o), q, t) for o, q, t in triples]
    if 'at' in flat:
        pairs = zip(examples, rows('at'), strict=True)
        examples = [e._replace(at=at) for e, at in pairs]
    return Case(flat['bank'], examples, rows('text'))
