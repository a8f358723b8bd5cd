"""A whole tiny run of ours, to be compared with PyTorch's; no torch here.

`make_inputs` writes the data and the checkpoint that both read, `ours` starts
the run as main.py does, and `Results` is what either leaves.
whole_run_torch.py computes the same run by itself and stores its results in
tests/golden/whole_run, with which whole_run_test compares ours.
"""

import copy
import csv
import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any
from unittest import mock
import warnings

from ml_collections import config_dict
import numpy as np
from orbax.checkpoint import v1 as ocp
from safetensors import numpy as safetensors

from configs import fedavg_adam
from fedprompt_jax.experiment import config as config_lib
from fedprompt_jax.experiment import run
from fedprompt_jax.experiment.report import page
from tests import tiny
from tests.parity import golden

NAME = 'run'
FOLDER = golden.FOLDER / 'whole_run'
# Every number that two parts of a run could mix up differs from the other: the
# seed from 0, rates, batch sizes and optimizers of the stages from each other,
# alpha from 1 - alpha, clients and batches in size. The last round is
# validated, though `validation.every` leaves it out, and is not the best.
CHANGES = {
    'seed': 3,
    'data.splits': 'paper',
    'data.partition': 'medium',  # held-out clients are cut as 'high'
    'data.client_size': 12,
    'data.template': '{definition} {input}',
    'data.target': ' {output}',
    'data.max_query': 18,  # cuts some
    'data.max_target': 5,  # likewise
    'prompt.length': 3,
    'rounds': 5,
    'clients_per_round': 3,
    'local_steps': 2,
    'batch_size': 2,
    'aggregation': 'examples',
    'client.learning_rate': 0.3,
    'server.optimizer': 'adam(b1=0.9, b2=0.99, eps=1e-6)',
    'server.learning_rate': 0.2,
    'validation.every': 2,
    'validation.clients': 3,
    'validation.examples': 9,
    'personalization.clients': 3,
    'personalization.train_examples': 7,
    'personalization.eval_examples': 5,
    'personalization.global_examples': 7,
    'personalization.epochs': 3,
    'personalization.batch_size': 3,
    'personalization.optimizer': 'adam(b1=0.8, b2=0.9, eps=1e-7)',
    'personalization.learning_rate': 0.25,
    'personalization.l2': 0.1,
    'personalization.every': 2,
    'personalization.alphas': (0.25, 0.75),
    'evaluation.max_new_tokens': 4,
    'evaluation.batch_size': 16,
    'checkpoint.keep': 9,  # all of them: their prompts are compared
}
# Short runs of stage 1 alone by other algorithms, on the same inputs.
VARIANTS = {
    name: {
        'algorithm': name,
        'clients_per_round': clients,
        'rounds': 2,
        'validation.every': 0,
        'personalization.epochs': 0,
    }
    for name, clients in (('fedsgd', 3), ('centralized', 1))
}
# How much larger the logits of words and of the end are made, so that a model
# of random weights answers in words and by wide margins.
HEAD, MODEL_SEED = 5.0, 124

# Words that are tokens, each with the space before it.
WORDS = 'the of is not no yes cat cats sun red old'.split()
NOUNS = 'cat', 'sun', 'cats'
# Category, instances of each task, definition, input, references in turn.
TYPES = (
    (
        'Question Answering',
        (19, 13),
        'Is it?',
        'is the {} red?',
        (['the {} is red', 'red'], ['yes', 'yes yes'], ['the red {}']),
    ),
    (
        'Sentiment Analysis',
        (11,),
        'Good or not?',
        'the {} is old',
        (['not red', 'no'], ['no'], ['is not red']),
    ),
    (
        'Paraphrasing',
        (8,),
        'Say it.',
        'the {} of the sun',
        (['the sun of the old {}', 'the {}'], ['the sun']),
    ),
    (
        'Title Generation',
        (9, 16),
        'Name it.',
        'the old {} is not red',
        (['old {}'], ['the {} is old', 'the old {}'], ['red']),
    ),
    ('Mathematics', (9,), 'Count.', 'the {} and 1', (['2'],)),
    (
        'Information Extraction',
        (15,),
        'What is it?',
        'the {} is red',
        (['the cat', 'the {} is red'], ['red', 'the sun'], ['the red sun']),
    ),
    (
        'Answer Verification',
        (7,),
        'Yes or no?',
        'is the {} old?',
        (['yes', 'the cats'], ['no', 'not the {}']),
    ),
    (
        'Sentence Ordering',
        (20,),
        'Order it.',
        'red {} the is',
        (['the {} is red'], ['is the {} red', 'the {}']),
    ),
    (
        'Text Completion',
        (9, 5),
        'Go on.',
        'the old {} is',
        (['not old'], ['the cat', 'red'], ['not red', 'not the sun']),
    ),
    (
        'Irony Detection',
        (8,),
        'Is it meant?',
        'the {} is the sun',
        (['no'], ['no no', 'not'], ['yes', 'no']),
    ),
    (
        'Gender Classification',
        (13, 12),
        'Who is it?',
        'the {} or the sun',
        (['the cat', 'cat'], ['the {}', 'old cats'], ['the sun, the {}']),
    ),
)

# Numbers of a model, which rounding changes; and scores of its texts, which it
# does not. Of a line of a log all else has to be equal.
MEASURED = {
    'loss', 'loss_first_step', 'loss_last_step', 'client_grad_norm',
    'prompt_norm', 'update_norm', 'predicted_change',
}  # fmt: skip
SCORES = {'rouge_l', 'exact_match', 'rouge_l_se'}


@dataclasses.dataclass
class Results:
    """What a run leaves.

    Attributes:
      chosen_round: whose prompt goes to stage 2.
      rows: lines of tradeoff.csv, every value a text.
      predictions: lines of predictions.jsonl.
      metrics: lines of metrics.jsonl, without the seconds.
      prompts: [P, D] by name: 'round 0' to the last, 'initial', 'global', and
        'client-3' for each client of stage 2.
    """

    chosen_round: int
    rows: list[dict[str, str]]
    predictions: list[dict[str, Any]]
    metrics: list[dict[str, Any]]
    prompts: dict[str, np.ndarray]


def make_inputs(folder: Path) -> config_dict.ConfigDict:
    """Writes data and checkpoint, returns the config of a run on them."""
    model, tasks = folder / 'model', folder / 'data' / 'tasks'
    make_model(model)
    tasks.mkdir(parents=True)
    number = 0
    for category, sizes, definition, text, references in TYPES:
        for size in sizes:
            number += 1
            name = f'task{number:03}_{category.lower().replace(" ", "_")}'
            content = {
                'Categories': [category],
                'Definition': [definition],
                'Output_language': ['English'],
                'Instances': [
                    make_instance(name, number, i, text, references)
                    for i in range(size)
                ],
            }
            tiny.write_json(tasks / f'{name}.json', content)
    config = fedavg_adam.get_config()
    places = {'model.source': str(model), 'data.path': str(tasks.parent)}
    config.update_from_flattened_dict(CHANGES | places)
    config_lib.check(config)
    return config


def make_model(folder: Path) -> None:
    """Writes a checkpoint that answers in WORDS, at first at random."""
    text = f' {" ".join(WORDS)}' * 4 + ' Question Answer order' * 2
    tiny.make_checkpoint(
        folder, seed=MODEL_SEED, num_layers=2, tied=False, text=text
    )
    vocabulary = tiny.read_json(folder / 'tokenizer.json')['model']['vocab']
    likely = [vocabulary[f'Ġ{word}'] for word in WORDS] + [vocabulary[tiny.EOS]]
    tensors = safetensors.load_file(folder / 'model.safetensors')
    tensors['lm_head.weight'][likely] *= np.float32(HEAD)
    tiny.save_tensors(folder, tensors)


def make_instance(name: str, number: int, i: int, text: str, references):
    """The i-th instance of a task; inputs differ in length."""
    noun = NOUNS[(i + number) % len(NOUNS)]
    return {
        'id': f'{name}-{i}',
        'input': f'{text.format(noun)}{" of the sun" * (i % 3)}',
        'output': [r.format(noun) for r in references[i % len(references)]],
    }


def digests(config: config_dict.ConfigDict) -> dict[str, str]:
    """A hash of each input: what a file says, not how it says it."""
    model, data = Path(config.model.source), Path(config.data.path)
    tokenizer = tiny.read_json(model / 'tokenizer.json')['model']
    tensors = safetensors.load_file(model / 'model.safetensors')
    texts = {p.name: tiny.read_json(p) for p in data.rglob('*.json')}
    parts = {
        'config': CHANGES,
        'tasks': texts,
        'tokenizer': [tokenizer['vocab'], tokenizer['merges']],
        'model': tiny.read_json(model / 'config.json'),
        'weights': {k: x.tobytes().hex() for k, x in tensors.items()},
    }
    return {
        name: hashlib.sha256(
            json.dumps(part, sort_keys=True).encode()
        ).hexdigest()
        for name, part in parts.items()
    }


def variants(
    config: config_dict.ConfigDict,
) -> dict[str, config_dict.ConfigDict]:
    """The configs of VARIANTS."""
    found = {}
    for name, changes in VARIANTS.items():
        found[name] = copy.deepcopy(config)
        found[name].update_from_flattened_dict(changes)
        config_lib.check(found[name])
    return found


def ours(
    config: config_dict.ConfigDict, folder: Path, name: str = 'run'
) -> Results:
    """Starts the run of a config; returns what it leaves in folder/name."""
    path = folder / name
    with mock.patch.object(page, 'write'):  # figures take most of the time
        run.execute(config, path, folder / 'cache')
    return read_run(path)


def read_run(path: Path) -> Results:
    """What a run left in its folder."""
    with open(path / 'tradeoff.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    prompts = {
        f'round {p.name}': read_checkpoint(p)
        for p in sorted((path / 'checkpoints' / 'train').iterdir())
        if p.name.isdecimal()
    }
    for file in (path / 'prompts').rglob('*.safetensors'):
        (prompt,) = safetensors.load_file(file).values()
        prompts[file.parent.name] = prompt
    return Results(
        tiny.read_json(path / 'run.json')['chosen_round'],
        rows,
        read_lines(path / 'predictions.jsonl'),
        [
            {k: v for k, v in line.items() if k != 'seconds'}
            for line in read_lines(path / 'metrics.jsonl')
        ],
        prompts,
    )


def read_checkpoint(path: Path) -> np.ndarray:
    """The server's prompt [P, D] in a checkpoint of stage 1."""
    with warnings.catch_warnings():  # as to devices, which are the same
        warnings.simplefilter('ignore', UserWarning)
        tree = ocp.load_pytree(path)
    return np.asarray(tree['server']['params']['prompt'])


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def labels(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What has to be equal in the lines of a log."""
    return [
        {k: v for k, v in line.items() if k not in MEASURED | SCORES}
        for line in lines
    ]


def numbers(lines: list[dict[str, Any]], keys: set[str]) -> list[np.ndarray]:
    """The numbers of some keys, an array a line, in the order of the keys."""
    chosen = [sorted(line.keys() & keys) for line in lines]
    return [
        np.array([float(line[k]) for k in own])
        for line, own in zip(lines, chosen, strict=True)
    ]


def moves(prompts: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What training changed: by name, a prompt less the one it began from.

    A client's began from the global one, all others from the first.
    """
    begins = {'client': 'global', 'global': 'initial', 'round': 'round 0'}
    begins = {
        name: begins[name.partition('-')[0].partition(' ')[0]]
        for name in prompts.keys() - {'initial', 'round 0'}
    }
    return {k: prompts[k] - prompts[begin] for k, begin in begins.items()}


@dataclasses.dataclass
class Stored:
    """What the folder of golden files holds.

    Attributes:
      versions: of the packages that computed it.
      digests: of the inputs.
      run: the run.
      variants: name -> the prompts of its rounds.
    """

    versions: dict[str, str]
    digests: dict[str, str]
    run: Results
    variants: dict[str, dict[str, np.ndarray]]


def write(stored: Stored) -> None:
    """Writes results.json, tradeoff.csv, the lines of logs, and prompts.npz."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    run = stored.run
    about = {
        'versions': stored.versions,
        'digests': stored.digests,
        'chosen_round': run.chosen_round,
    }
    tiny.write_json(FOLDER / 'about.json', about)
    with open(FOLDER / 'tradeoff.csv', 'w', newline='') as file:
        writer = csv.DictWriter(file, [*run.rows[0]], lineterminator='\n')
        writer.writeheader()
        writer.writerows(run.rows)
    for name in ('predictions', 'metrics'):
        lines = [json.dumps(line) + '\n' for line in getattr(run, name)]
        (FOLDER / f'{name}.jsonl').write_text(''.join(lines))
    prompts = {f'run {k}': x for k, x in run.prompts.items()}
    for variant, rounds in stored.variants.items():
        prompts |= {f'{variant} {k}': x for k, x in rounds.items()}
    np.savez_compressed(FOLDER / 'prompts.npz', **prompts)


def read() -> Stored:
    """What `write` was given."""
    about = tiny.read_json(FOLDER / 'about.json')
    prompts: dict[str, dict[str, np.ndarray]] = {}
    with np.load(FOLDER / 'prompts.npz') as file:
        for key, prompt in file.items():
            variant, _, name = key.partition(' ')
            prompts.setdefault(variant, {})[name] = prompt
    with open(FOLDER / 'tradeoff.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    results = Results(
        about['chosen_round'],
        rows,
        read_lines(FOLDER / 'predictions.jsonl'),
        read_lines(FOLDER / 'metrics.jsonl'),
        prompts.pop('run'),
    )
    return Stored(about['versions'], about['digests'], results, prompts)
