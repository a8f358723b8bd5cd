"""The data, the checkpoint and the config of whole_run.py; no torch here.

Data and model are chosen so that a mix-up shows: a random model whose answers
are words, greedy texts that no rounding changes, scores of which few are 0 or
100, an initial prompt that is better than all trained ones, a best round that
is not the last, and references of which the second is at times the better.
"""

import copy
import hashlib
import json
from pathlib import Path

from ml_collections import config_dict
import numpy as np
from safetensors import numpy as safetensors

from configs import fedavg_adam
from fedprompt_jax.experiment import config as config_lib
from tests import tiny

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
    merges = [  # pairs, or texts, by the release that writes them
        m if isinstance(m, str) else ' '.join(m) for m in tokenizer['merges']
    ]
    tensors = safetensors.load_file(model / 'model.safetensors')
    texts = {p.name: tiny.read_json(p) for p in data.rglob('*.json')}
    parts = {
        'config': [CHANGES, VARIANTS],
        'tasks': texts,
        'tokenizer': [tokenizer['vocab'], merges],
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
