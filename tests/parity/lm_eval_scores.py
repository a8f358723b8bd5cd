"""FedSP's eight sets, zero-shot by SmolLM2-135M, beside lm-eval itself.

    python -m tests.parity --questions=DIR lm_eval

DIR has a folder for each set, as configs/fedsp/tasks.py names them, with
test.jsonl or validation.jsonl in the hub's columns; sets that are not there are
left out, and so are all without DIR. HellaSwag is compared in `hellaswag` or
`hellaswag_activity`, whichever has activity_label. lm-eval's tasks are its own,
with the same rows; each compares its log p, what it chooses by acc and acc_norm
(of WebQuestions: which are matched greedily, also with answers that the model
gives), and the accuracies.
"""

from collections import Counter
from collections.abc import Iterator
import importlib.util
import json
from pathlib import Path
import sys
import tempfile
from typing import Any, NamedTuple

from absl import flags
import jax
import numpy as np

from configs import fedavg_adam
from configs.fedsp import tasks
from fedprompt_jax.bank.bare import Nothing
from fedprompt_jax.bank.binding import TunedModel
from fedprompt_jax.data import sources
from fedprompt_jax.data.packing import Shape
from fedprompt_jax.data.store import TokenStore, open_store
from fedprompt_jax.data.tokenizing import Template
from fedprompt_jax.evaluation.generation import Generator
from fedprompt_jax.evaluation.scoring import Evaluator, Request, Scores
from fedprompt_jax.models import source
from tests.parity import table
from tests.parity.cases import CACHE, SMOLLM2
from tests.parity.ours import Ours

NAME = 'lm_eval'
# Task of configs/fedsp/tasks.py -> lm-eval's, and the share of the limit.
TASKS = {
    'sciq': ('sciq', 1.0),
    'arc_easy': ('arc_easy', 1.0),
    'arc_challenge': ('arc_challenge', 1.0),
    'openbookqa': ('openbookqa', 1.0),
    'piqa': ('piqa', 1.0),
    'race_high': ('race', 0.3),
    'race_high_lm_eval': ('race', 0.3),
    'hellaswag': ('hellaswag', 0.5),
    'web_questions': ('webqs', 1.0),
}
_QUESTIONS = flags.DEFINE_string(
    'questions', '', 'Folder of the sets that are compared with lm-eval.'
)
_LIMIT = flags.DEFINE_integer(
    'questions_limit', 40, 'Most questions of a set that are compared.', 1
)
_SETS = flags.DEFINE_list(
    'questions_sets', [*TASKS], 'The sets that are compared with lm-eval.'
)
# lm-eval's metric -> our rule.
RULES = {'acc': 'sum', 'acc_norm': 'character', 'acc_bytes': 'byte'}
GIVEN = 12  # questions whose answers are taken from the model
TOLERANCE = 2e-3  # nats, of the log p of an answer


class Theirs(NamedTuple):
    """What lm-eval makes of n questions.

    Attributes:
      log_p: of each, those of its choices (WebQuestions: of its answers).
      greedy: of each, whether some answer is the greedy continuation.
      accuracy: by metric, lm-eval's own mean.
    """

    log_p: list[np.ndarray]
    greedy: list[bool]
    accuracy: dict[str, float]


def compare() -> Iterator[table.Row]:
    """Rows of each set that is there."""
    if fault := missing():
        print(fault, file=sys.stderr, flush=True)
        return
    folder = source.resolve(SMOLLM2, Path(CACHE).expanduser())
    model, ours = lm_eval_model(folder), Ours(folder)
    for task in _SETS.value:
        rows = read(task)
        if not rows:
            print(f'lm_eval: {task} is not there', file=sys.stderr, flush=True)
            continue
        with tempfile.TemporaryDirectory() as scratch:
            yield from compare_one(task, rows, model, ours, Path(scratch))
        jax.clear_caches()


def missing() -> str:
    """Why nothing can be compared; '' where it can."""
    if not _QUESTIONS.value:
        return 'lm_eval is left out: --questions=DIR says where the sets are.'
    if strange := sorted(set(_SETS.value) - set(TASKS)):
        raise ValueError(
            f'--questions_sets has {strange}; there are {", ".join(TASKS)}.'
        )
    if importlib.util.find_spec('lm_eval') is None:
        return (
            "lm_eval is left out: `pip install --editable '.[parity]'` "
            'installs it.'
        )
    return ''


def write_golden() -> None:
    """Nothing is stored."""


def read(task: str) -> list[dict[str, Any]]:
    """The first rows of a set; none where it is not there."""
    places = [task.removesuffix('_lm_eval')]
    if task == 'hellaswag':
        places.append('hellaswag_activity')
    for place in places:
        for split in ('test', 'validation'):
            file = Path(_QUESTIONS.value, place, f'{split}.jsonl')
            if not file.exists():
                continue
            count = max(1, round(_LIMIT.value * TASKS[task][1]))
            lines = file.read_text('utf-8').splitlines()
            rows = [json.loads(line) for line in lines]
            if task == 'race_high_lm_eval':  # articles with many questions
                sizes = Counter(row['example_id'] for row in rows)
                rows.sort(key=lambda row: -sizes[row['example_id']])
            rows = rows[:count]
            if task != 'hellaswag' or 'activity_label' in rows[0]:
                return rows
    return []


def compare_one(
    task: str, rows: list[dict[str, Any]], model, ours: Ours, scratch: Path
) -> Iterator[table.Row]:
    """Log p, choices and accuracies of one set."""
    theirs = by_lm_eval(task, rows, model, scratch)
    config = fedavg_adam.get_config()
    tasks.apply(config, task)
    evaluator = make_evaluator(config, rows, ours, scratch)
    store = evaluator.store
    # The store has its own order; an id is the number of a row.
    ids = [int(store.record(i)['id']) for i in range(len(store))]
    requests = [Request(0, int(i)) for i in np.argsort(ids)]
    what = f'{task} ({len(store)})'
    found = score(evaluator, requests)
    if task == 'web_questions':
        matched = found.exact_match == 1
        if 'given' in rows[0]:
            what += ', given answers'
        yield table.differing(NAME, f'{what}: greedy', matched, theirs.greedy)
        yield accuracies(what, 'exact_match', matched, theirs)
        if 'given' not in rows[0]:
            (again := scratch / 'given').mkdir()
            rows = as_given(config, solved(rows)[:GIVEN], ours, again)
            yield from compare_one(task, rows, model, ours, again)
        return
    log_p = [-losses for losses in found.choice_losses]
    yield table.max_abs(NAME, f'{what}: log p', log_p, theirs.log_p, TOLERANCE)
    for metric, rule in RULES.items():
        texts = predictions(evaluator._replace(choices=rule), requests, found)
        records = [store.record(r.instance) for r in requests]
        expected = [
            record['choices'][chosen(log_p, record['choices'], metric)]
            for log_p, record in zip(theirs.log_p, records, strict=True)
        ]
        yield table.differing(NAME, f'{what}: {metric}', texts, expected)
        if metric in theirs.accuracy:
            right = [r['outputs'][0] for r in records]
            matched = np.array(texts) == np.array(right)
            yield accuracies(what, metric, matched, theirs)


def solved(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Questions behind three others with answers, so that the model answers."""
    made = []
    for i, row in enumerate(rows):
        others = [rows[i - k] for k in (3, 2, 1)]
        texts = [f'{x["question"]}\nAnswer: {x["answers"][0]}' for x in others]
        question = '\nQuestion: '.join([*texts, row['question']])
        made.append(row | {'question': question})
    return made


def as_given(
    config, rows: list[dict[str, Any]], ours: Ours, scratch: Path
) -> list[dict[str, Any]]:
    """The questions with beginnings of our answers as right ones, in turn.

    Two words, a word without its last letter, or one word and a wrong answer:
    what a small model says by itself is hardly ever right.
    """
    evaluator = make_evaluator(config, rows, ours, scratch)
    store = evaluator.store
    found = score(evaluator, [Request(0, i) for i in range(len(store))])
    texts = {
        int(store.record(i)['id']): text
        for i, text in enumerate(found.predictions)
    }
    made = []
    for i, row in enumerate(rows):
        words = texts[i + 1].split('\n')[0].split(' ')
        answers = (
            [' '.join(words[:2])],
            [words[0][:-1]],
            [words[0], 'zzz'],
        )[i % 3]
        answers = [answer or 'nothing' for answer in answers]
        made.append(row | {'answers': answers, 'given': True})
    return made


def predictions(
    evaluator: Evaluator, requests: list[Request], found: Scores
) -> list[str]:
    """What an evaluator with another rule would choose."""
    by_place = evaluator._choose(requests, found.choice_losses)
    return [by_place[i][0] for i in range(len(requests))]


def accuracies(
    what: str, metric: str, matched: np.ndarray, theirs: Theirs
) -> table.Row:
    """Our accuracy beside lm-eval's own."""
    ours, expected = matched.mean(), theirs.accuracy[metric]
    what = f'{what}: {metric} {ours:.3f}, theirs {expected:.3f}'
    return table.max_abs(NAME, what, [ours], [expected], 1e-9)


def chosen(log_p: np.ndarray, texts: list[str], metric: str) -> int:
    """As process_results of lm-eval chooses (api/task.py)."""
    size = {
        'acc': np.ones(len(texts)),
        'acc_norm': np.array([float(len(i)) for i in texts]),
        'acc_bytes': np.array([float(len(i.encode('utf-8'))) for i in texts]),
    }[metric]
    return int(np.argmax(log_p / size))


# Ours.


def make_evaluator(
    config, rows: list[dict[str, Any]], ours: Ours, scratch: Path
) -> Evaluator:
    """Scores the bare model on rows of a set."""
    c = config.data
    c.splits, c.path = 'within', str(write(scratch / 'ours.jsonl', rows))
    template = Template(
        c.template, c.separator, c.max_query, c.max_target, c.target
    )
    lm = ours.lm
    store = open_store(
        sources.get(c.source).open_source(c),
        lm.tokenizer,
        template,
        scratch / 'tokens',
    )
    model = TunedModel(ours.transformer, Nothing())
    generator = Generator(
        model,
        lm.base,
        eos_ids=lm.tokenizer.eos_ids,
        max_new_tokens=config.evaluation.max_new_tokens,
        batch_size=8,
        place_rows=jax.device_put,
    )
    packer = model.packer(shape(store))
    return Evaluator(store, lm.tokenizer, packer, generator)


def shape(store: TokenStore) -> Shape:
    """A row that holds any question with its target and all its choices."""
    targets = [
        sum(map(len, [store.target(i), *store.choices(i)]))
        for i in range(len(store))
    ]
    most = max(targets)
    return Shape(int(store.query_lengths.max()) + most, most, rows=(1, 2))


def score(evaluator: Evaluator, requests: list[Request]) -> Scores:
    """The bare model's scores."""
    return evaluator.score(Nothing().init(None), requests)


# lm-eval's.


def lm_eval_model(folder: Path):
    """A checkpoint as lm-eval computes it, in float32 on the CPU."""
    from lm_eval.models.huggingface import HFLM

    return HFLM(
        pretrained=str(folder), device='cpu', dtype='float32', batch_size=4
    )


def by_lm_eval(
    task: str, rows: list[dict[str, Any]], model, scratch: Path
) -> Theirs:
    """lm-eval's own task on the rows."""
    import lm_eval
    from lm_eval.tasks import TaskManager

    name, _ = TASKS[task]
    if name == 'race':
        rows = as_articles(rows, together=task.endswith('_lm_eval'))
    changes = {
        'task': name,
        'dataset_path': 'json',
        'dataset_name': None,
        'dataset_kwargs': {
            'data_files': {'test': str(write(scratch / 'theirs.jsonl', rows))},
            'cache_dir': str(scratch / 'datasets'),
        },
        'test_split': 'test',
        'training_split': None,
        'validation_split': None,
        'fewshot_split': None,
    }
    if task == 'race_high':  # FedSP's text, lm-eval's choices and target
        changes['doc_to_text'] = (
            'Article: {{article}}\n\nQuestion: {{question}}\n\nAnswer:'
        )
    # lm-eval has no public way to give a task of its own other rows.
    known = TaskManager().task_index
    made = TaskManager()._factory.build(
        known[name], overrides=changes, registry=known
    )
    result = lm_eval.simple_evaluate(
        model, tasks=[made], num_fewshot=0, bootstrap_iters=0
    )
    samples = sorted(result['samples'][name], key=lambda s: s['doc_id'])
    answers = [s['filtered_resps'] for s in samples]
    metrics = ('acc', 'acc_norm', 'exact_match')
    accuracy = {
        metric: float(np.mean([s[metric] for s in samples]))
        for metric in metrics
        if metric in samples[0]
    }
    return Theirs(
        [np.array([float(ll) for ll, _ in a]) for a in answers],
        [any(str(greedy) == 'True' for _, greedy in a) for a in answers],
        accuracy,
    )


def as_articles(
    rows: list[dict[str, Any]], together: bool
) -> list[dict[str, Any]]:
    """Questions as lm-eval's copy of RACE has them, a row an article.

    Args:
      rows: of the hub, a row a question.
      together: whether those of an article are in one row, or each alone.
    """
    problems: dict[str, list[dict[str, Any]]] = {}
    docs: dict[str, dict[str, Any]] = {}
    for number, row in enumerate(rows):
        key = row['example_id'] if together else str(number)
        problem = {k: row[k] for k in ('question', 'options', 'answer')}
        problems.setdefault(key, []).append(problem)
        docs[key] = {'article': row['article'], 'question': row['question']}
    return [
        doc | {'problems': repr(problems[key])} for key, doc in docs.items()
    ]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Rows as JSON lines."""
    lines = (json.dumps(row, ensure_ascii=False) + '\n' for row in rows)
    path.write_text(''.join(lines), 'utf-8')
    return path
