"""How large a client's model is: accuracy, and what it reveals of the full one.

    python -m fedprompt_jax.study --study=configs/studies/fedsp/size.py \\
        --config=configs/fedsp/sciq.py --config.data.path=DIR/sciq
"""

from configs.studies.fedsp import settings
from fedprompt_jax.study import answers_table

# Layers of a client's model; SmolLM2's 30, GPT2-XL's 48 and OPT's 24 are
# multiples of them.
SIZES = (1, 2, 6)
SEEDS = (0, 1)
WHOLE_MODEL = {'fedsp__client_model': 'full', 'fedsp__turn': 'prompt'}
CAPTION = (
    'FedSP with auxiliary models of 1, 2 and 6 layers, and with the full '
    'model at clients: accuracy of the full model with the prompt '
    "(± half the 95 % interval), and on how many answer tokens the client's "
    'first model says what the full one says: what is revealed of it.'
)


def points(config):
    """The overrides of each run."""
    for seed in SEEDS:
        for size in SIZES:
            yield settings.overrides(
                config, 'FedSP', seed=seed, fedsp__num_layers=size
            )
        yield settings.overrides(config, 'FedSP', seed=seed, **WHOLE_MODEL)


def size_of(overrides):
    """The number of layers, in words."""
    size = overrides.get('fedsp.num_layers')
    return f'{size} layer{"s"[: size > 1]}' if size else 'all layers'


def tabulate(results):
    """A line for each size."""
    return answers_table.table(results, settings.task_of, size_of)


def draw(results):
    """Accuracy and agreement against size."""
    return answers_table.draw_size(results, size_of)
