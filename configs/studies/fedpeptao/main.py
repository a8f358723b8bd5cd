"""FedPepTAO and what it is compared with: four tasks, two seeds, three rates.

    python -m fedprompt_jax.study --study=configs/studies/fedpeptao/main.py \\
        --config=configs/fedpeptao/sst2.py --config.data.path=DIR/sst2

DIR has a folder for each of TASKS. --only='name=sst2: FedPepTAO' runs one
method on one task.
"""

from configs.studies.fedpeptao import settings
from fedprompt_jax.study import methods

TASKS = ('sst2', 'subj', 'trec', 'mrpc')
SEEDS = (0, 1)
# Accuracy x 100 of the global prompt, for rounds and bytes until it is reached.
TARGETS = {'sst2': 75.0, 'subj': 75.0, 'trec': 60.0, 'mrpc': 70.0}
CAPTION = (
    'Accuracy x 100 on the official test split of the global prompt (whole '
    "split) and of each device's own prompt (its part; mean over devices), at "
    'the round that validation chose, at the last, and over the last ten '
    'scored rounds; '
    'mean over seeds ± half the 95 % interval over examples or devices. The '
    "score is the task's own metric x 100, of all answers together, at the "
    'round that validation chose. Every '
    "method was tried with as many device learning rates, and validation's "
    'best is shown. kB '
    'that one device gets or sends in a round; seconds of a simulated round, '
    "and the part of its busiest device (the paper's time); rounds and MB of "
    'all devices until the global prompt reaches the target.'
)


def points(config):
    """The overrides of each run."""
    for task in TASKS:
        for method in settings.METHODS:
            for rate in settings.rates(method):
                for seed in SEEDS:
                    yield settings.overrides(
                        config,
                        method,
                        task,
                        seed,
                        client__learning_rate=rate,
                    )


def tabulate(results):
    """A line for each task and method."""
    return methods.table(
        results, settings.task_of, settings.method_of, TARGETS, settings.RATE
    )


def draw(results):
    """Accuracy against traffic."""
    return methods.draw(
        results, settings.task_of, settings.method_of, settings.RATE
    )
