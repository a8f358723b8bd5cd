"""Scores questions with choices: a query read once, or once for each choice.

    python -m benchmarks.choice_scoring --sets=DIR [--questions=24 --json]

DIR has the folders sst2, arc_easy and race_high (test.jsonl each). The same
model (SmolLM2-135M), prompt and questions; before, each target and each choice
stands behind a query of its own, as a choice of the right answer does behind
its end; after, all of them share one. Printed are tokens of the rows without
padding, and seconds of the second of two calls. The chosen answers have to be
the same. To be expected: as many times fewer tokens as a question has choices
and one more, where the query is long beside them (RACE: four options and the
answer), and less where it is short (SST-2).
"""

import dataclasses
import json
from pathlib import Path
import time
from typing import Any
from unittest import mock

from absl import app, flags
import numpy as np

from benchmarks import children

_SETS = flags.DEFINE_string('sets', None, 'Folder of the sets.', required=True)
_NAMES = flags.DEFINE_list('names', ['sst2', 'arc_easy', 'race_high'], 'Sets.')
_QUESTIONS = flags.DEFINE_integer('questions', 24, 'Of each set.')
_TOKENS = flags.DEFINE_integer('max_tokens', 4096, 'Of one call.')

# Name -> what the config says of its data.
_DATA: dict[str, dict[str, Any]] = {
    'sst2': {
        'source': 'classification',
        'columns': ('text=sentence',),
        'labels': ('terrible', 'great'),
        'separator': '',
        'target': ' It was {output} .',
    },
    'arc_easy': {
        'source': 'multiple_choice',
        'columns': ('options=choices', 'answer=answerKey'),
        'template': 'Question: {input}',
        'separator': '\nAnswer:',
        'target': ' {output}',
    },
    'race_high': {
        'source': 'multiple_choice',
        'columns': ('context=article',),
        'template': '{pair}\nQuestion: {input}',
        'separator': '\nAnswer:',
        'target': ' {output}',
    },
}


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f'unexpected arguments: {argv[1:]}')
    found = {name: _measure(name) for name in _NAMES.value}
    if children.JSON.value:
        print(json.dumps(found))
        return
    print(f'{"set":<12}{"tokens":>18}{"ratio":>8}{"seconds":>18}{"ratio":>8}')
    for name, x in found.items():
        pairs = (x['tokens'], '{:,}'), (x['seconds'], '{:.2f}')
        cells = [
            f'{form.format(before)} to {form.format(after)}'.rjust(18)
            + f'{before / after:>8.2f}'
            for (before, after), form in pairs
        ]
        print(f'{name:<12}' + ''.join(cells))


def _measure(name: str) -> dict[str, list[float]]:
    """Tokens and seconds, before and after."""
    from fedprompt_jax.evaluation import choices

    evaluator, bank, requests = _evaluator(name)
    shared = choices.examples

    def apart(store, owner, instance, holds=None):
        """An example for each target, and for the right choice once more."""
        del holds
        return [
            store.example(owner, instance, target=target)
            for target in choices.asked(store, instance)
        ]

    def all_apart(targets):
        parts = [(i, len(t)) for i, t in enumerate(targets)]
        return choices.Targets(list(targets), parts)

    tokens, seconds, answers = [], [], []
    for examples, distinct in ((apart, all_apart), (shared, choices.distinct)):
        with (
            mock.patch.object(choices, 'examples', examples),
            mock.patch.object(choices, 'distinct', distinct),
        ):
            read = [
                e
                for r in requests
                for e in examples(evaluator.store, 0, r.instance)
            ]
            tokens.append(sum(e.num_tokens for e in read))
            for _ in range(2):
                began = time.perf_counter()
                scores = evaluator.score(bank, requests)
            seconds.append(time.perf_counter() - began)
            answers.append(scores.predictions)
    assert answers[0] == answers[1]
    return {'tokens': tokens, 'seconds': seconds}


def _evaluator(name: str):
    """An evaluator of a set's test questions, a bank of one, and requests."""
    from configs import fedavg_adam
    from fedprompt_jax.bank.owners import replicate
    from fedprompt_jax.evaluation.generation import Generator
    from fedprompt_jax.evaluation.scoring import Evaluator, Request
    from fedprompt_jax.experiment import build, packers
    from fedprompt_jax.experiment.last_loaded import LastLoaded
    from fedprompt_jax.mesh import Devices, make_mesh

    c = fedavg_adam.get_config()
    c.model.source = children.MODEL.value
    c.packing.max_tokens = _TOKENS.value
    c.data.update(_DATA[name])
    c.data.path = str(Path(_SETS.value) / name / 'test.jsonl')
    c.data.splits, c.data.partition = 'within', 'low'
    c.data.client_size = 20
    folder, data = build.load_data(c, children.cache())
    devices = Devices(make_mesh(1, 1))
    lm = build.load_model(c, folder, devices, LastLoaded())
    model = build.make_model(c, lm, devices)
    chosen = np.arange(min(_QUESTIONS.value, len(data.store)))
    params = build.initial_params(c, lm, model.kind)
    # Rows of the longest question with all its choices, and of the shorter.
    scored = dataclasses.replace(data.validation, local=[chosen], common=chosen)
    data = dataclasses.replace(data, validation=scored, held_out=scored)
    packer = packers.of_evaluation(c, model, data)
    generator = Generator(
        model,
        lm.base,
        eos_ids=lm.tokenizer.eos_ids,
        max_new_tokens=1,
        batch_size=8,
        place_rows=devices.rows,
    )
    evaluator = Evaluator(data.store, lm.tokenizer, packer, generator, 'sum')
    requests = [Request(0, int(i)) for i in chosen]
    return evaluator, replicate(params, 1), requests


if __name__ == '__main__':
    app.run(main)
