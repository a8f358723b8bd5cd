"""Text in: queries and answers by lm-eval's rule, in transformers' words."""

from collections.abc import Iterator
from pathlib import Path
import tempfile

import numpy as np
import transformers

from fedprompt_jax.data.sni_task import Instance
from fedprompt_jax.data.store import TokenStore, open_store
from fedprompt_jax.data.tables.tasks import bare
from fedprompt_jax.data.tokenizing import Source, Template
from fedprompt_jax.models.tokenizer import Tokenizer
from tests import tiny, tiny_tokenizers
from tests.parity import cases, table
from tests.parity.ours import Ours
from tests.parity.theirs import Theirs
from tests.seams_test import DECODERS, TEMPLATES, lm_eval_pair


def compare() -> Iterator[table.Row]:
    """Ids and log p of real texts, for every kind of tokenizer."""
    for kind in DECODERS:
        with tempfile.TemporaryDirectory() as scratch:
            folder = _model(Path(scratch) / 'model', kind)
            theirs = transformers.AutoTokenizer.from_pretrained(folder)
            models = Ours(folder), Theirs(folder)
            for number, (separator, target) in enumerate(TEMPLATES):
                place = Path(scratch) / str(number)
                store = _store(folder, place, separator, target)
                ours = [
                    (store.query(i).tolist(), store.target(i)[:-1].tolist())
                    for i in range(len(store))
                ]
                rule = [
                    lm_eval_pair(
                        theirs,
                        record['input'] + separator,
                        target.replace('{output}', record['outputs'][0]),
                    )
                    for record in map(store.record, range(len(store)))
                ]
                yield table.differing(
                    'seams',
                    f'{kind}: separator {separator!r}, target {target!r}',
                    [[*query, -1, *answer] for query, answer in ours],
                    [[*query, -1, *answer] for query, answer in rule],
                )
            yield table.max_abs(
                'seams',
                f'{kind}: log p of answers, from their texts',
                [_log_p(models[0], *pair) for pair in ours],
                [_log_p(models[1], *pair) for pair in rule],
                1e-3,
            )


def _model(folder: Path, kind: str) -> Path:
    """A tiny Llama with a row for every token of the kind's tokenizer."""
    tiny_tokenizers.make(folder, kind)
    size = Tokenizer.from_folder(folder).vocab_size
    config = tiny.read_json(folder / 'config.json') | {'vocab_size': size}
    tiny.write_json(folder / 'config.json', config)
    tiny.save_tensors(folder, tiny.random_tensors(config, 1))
    return folder


def _store(folder, where: Path, separator: str, target: str) -> TokenStore:
    instances = [
        Instance(str(i), text, (answer,))
        for i, (text, answer) in enumerate(cases.corpus_pairs(30))
    ]
    return open_store(
        Source('corpus', 'corpus', lambda: [bare('corpus', instances)]),
        Tokenizer.from_folder(folder),
        Template('{input}', separator, 2000, 500, target),
        where,
    )


def _log_p(model, query: list[int], answer: list[int]) -> np.ndarray:
    """Log p of an answer's tokens behind a query."""
    text = np.array([*query, *answer], np.int32)
    (logits,) = model.logits([text])
    logits = np.asarray(logits, np.float64)[len(query) - 1 : -1]
    logits -= np.log(np.exp(logits).sum(-1, keepdims=True))
    return logits[np.arange(len(answer)), answer].sum(keepdims=True)
