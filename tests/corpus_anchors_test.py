"""No task of the embedded corpus is solved without reading the question."""

from collections import Counter

import numpy as np
import pytest

from fedprompt_jax.data import corpus
from fedprompt_jax.data.corpus import registry
from fedprompt_jax.evaluation import anchors, text_scores

TASKS = corpus.generate()
SAMPLE = 40  # instances a task; more move a mean by some 0.05
MOST = 0.7  # of ROUGE-L, for an answer that nobody had to think about


def sample(name: str) -> list[tuple[str, list[str]]]:
    """(input, references) of SAMPLE instances at equal distances."""
    instances = TASKS[name]['Instances']
    places = np.linspace(0, len(instances) - 1, SAMPLE).astype(int)
    chosen = [instances[i] for i in places]
    return [(x['input'], x['output']) for x in chosen]


@pytest.mark.parametrize('name', TASKS)
def test_no_task_is_solved_by_copying(name):
    """Neither the input, nor its word at the place that is best afterwards."""
    for place in anchors.places():
        score = np.mean(
            [
                text_scores.rouge_l(anchors.part(text, place), references)
                for text, references in sample(name)
            ]
        )
        assert score < MOST, (place, score)


@pytest.mark.parametrize('name', TASKS)
def test_no_task_is_solved_by_its_most_frequent_answer(name):
    outputs = [x['output'] for x in TASKS[name]['Instances']]
    counts = Counter(references[0] for references in outputs)
    answer, frequency = counts.most_common(1)[0]
    if len(counts) <= registry.LABELS:  # a label: no better than a guess
        assert frequency / len(outputs) <= 1.25 / len(counts), counts
    else:
        scores = [text_scores.rouge_l(answer, r) for _, r in sample(name)]
        assert np.mean(scores) < MOST


def test_answers_are_even_from_the_first_instance_on():
    """Wherever a task is cut off, its labels stay balanced."""
    labels = 0
    for name, task in TASKS.items():
        outputs = [x['output'][0] for x in task['Instances']]
        kinds = len(set(outputs))
        if kinds <= registry.LABELS:
            labels += 1
            first = Counter(outputs[: 10 * kinds])
            assert max(first.values()) - min(first.values()) <= 2, name
    assert labels > 20


def test_a_rare_label_gives_what_it_has():
    """Of 30 rare inputs all are taken, and of the others as many more."""

    def pairs(rng):
        del rng
        for i in range(900):
            rare = i % 10 == 0 and i < 300
            yield f'{i}', ['rare' if rare else 'usual' if i % 2 else 'other']

    pairs.__name__ = 'uneven'
    task = registry.task('Misc.', 'Do.', 'So.', ('x', 'y', 'z'))(pairs)
    counts = Counter(r[0] for _, r in registry.distinct_pairs(task))
    assert counts == {'rare': 30, 'usual': 106, 'other': 106}
