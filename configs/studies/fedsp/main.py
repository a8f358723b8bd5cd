"""FedSP and what it is compared with: three sets, two seeds on the first.

    python -m fedprompt_jax.study --study=configs/studies/fedsp/main.py \\
        --config=configs/fedsp/sciq.py --config.data.path=DIR/sciq

DIR has a folder for each of TASKS. --only='name=sciq: FedSP' runs one method on
one task.
"""

from configs.studies.fedsp import settings
from fedprompt_jax.study import answers_table

TASKS = ('sciq', 'arc_easy', 'openbookqa')
SEEDS = {'sciq': (0, 1)}  # of the others the first alone
CAPTION = (
    'Accuracy x 100 of the full model with the global prompt that validation '
    'chose, on all scored questions of the official test split: by the sum of '
    "log p (lm-eval's acc), per character (acc_norm), and the mean over "
    "clients' parts; mean over seeds ± half the 95 % interval (of questions "
    'and seeds; of clients). Loss as config.loss averages it. The model that a '
    "client holds, how many times larger the server's is, and how close it is "
    'at first: KL(full ‖ client) in nats and agreement, by target tokens. What '
    'is sent to a client once (with FedPrompt the model, if it is not public), '
    'and in each round; operations of one client and of the server in a round; '
    'seconds of a simulated round, and of distillation before the first.'
)


def points(config):
    """The overrides of each run."""
    for task in TASKS:
        for seed in SEEDS.get(task, (0,)):
            for method in settings.METHODS:
                yield settings.overrides(config, method, task, seed)


def tabulate(results):
    """A line for each task and method."""
    return answers_table.table(results, settings.task_of, settings.method_of)
