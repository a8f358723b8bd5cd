"""How unlike clients are: equal shards, and skewed places of the answer.

    python -m fedprompt_jax.study \\
        --study=configs/studies/fedsp/heterogeneity.py \\
        --config=configs/fedsp/arc_easy.py --config.data.path=DIR/arc_easy

The paper has equal shards alone, and leaves the rest open. The label of a
question is the place of its right option, so that a set whose right options all
have one place (SciQ) has none.
"""

from configs.studies.fedsp import settings
from fedprompt_jax.study import answers_table

ALPHAS = (0.1, 1.0, 10.0)
NAMES = ('FedSP', 'FedPrompt')
SEEDS = (0, 1)
CAPTION = (
    'As the main table, for equal shards and for clients that differ in size '
    "and in how often each place has the right option (Dirichlet's alpha: the "
    'smaller, the more unlike).'
)


def points(config):
    """The overrides of each run."""
    for seed in SEEDS:
        for name in NAMES:
            yield settings.overrides(config, name, seed=seed)
            for alpha in ALPHAS:
                yield settings.overrides(
                    config,
                    name,
                    seed=seed,
                    data__partition='dirichlet_label',
                    data__dirichlet_alpha=alpha,
                    aggregation='examples',
                )


def name_of(overrides):
    """A method and its partition."""
    alpha = overrides.get('data.dirichlet_alpha')
    skew = 'equal shards' if alpha is None else f'alpha {alpha:g}'
    return f'{settings.method_of(overrides)}, {skew}'


def tabulate(results):
    """A line for each method and partition."""
    return answers_table.table(results, settings.task_of, name_of)
