"""Profit's table 1 and figure 6: how unlike clients are; no model is needed.

    python -m fedprompt_jax.study --study=configs/studies/profit/table_1.py \\
        --config=configs/fedavg_adam.py
"""

from configs.studies.profit import settings
from fedprompt_jax import stats
from fedprompt_jax.report import canvas

CAPTION = (
    'KL divergence of a training client from all of them, in the task, its '
    'type and five more metadata of SNI (Profit, figure 6): means over '
    'clients, logarithmic. A divergence of 0 has no place on such an axis.'
)


def points(config):
    """The overrides of each partition."""
    for level in settings.LEVELS:
        yield settings.overrides(config, level)


def measure(config):
    """The statistics of a partition, as the table's columns."""
    d = config.data
    found = stats.collect(
        data=d.metadata or d.path,
        splits=d.splits,
        partition=d.partition,
        client_size=d.client_size,
        dirichlet_alpha=d.dirichlet_alpha,
        seed=config.seed,
    )
    return stats.columns(found['partitions'][0])


def tabulate(results):
    """Table 1, with the divergences of figure 6."""
    done = [r for r in results if r.measured]
    keys = list(dict.fromkeys(key for r in done for key in r.measured))
    lines = [['', *keys]]
    for r in results:
        cells = [
            f'{r.measured[k]:.4g}' if k in r.measured else '–' for k in keys
        ]
        lines.append([settings.level_of(r.overrides), *cells])
    return lines


def draw(results):
    """A group of bars for each label, a bar for each level."""
    done = [r for r in results if r.measured]
    if not done:
        return None
    names = [k for k in done[0].measured if k.startswith('KL ')]
    figure = canvas.blank(8, 4.4)
    axes = figure.subplots()
    width = 0.8 / len(done)
    for number, result in enumerate(done):
        color, _ = canvas.style_of(number)
        places = [i + number * width for i in range(len(names))]
        heights = [result.measured[name] or None for name in names]
        axes.bar(
            places,
            [h if h else float('nan') for h in heights],
            width,
            color=color,
            label=settings.level_of(result.overrides),
        )
    axes.set_yscale('log')
    axes.set_xticks(
        [i + 0.4 - width / 2 for i in range(len(names))],
        [name.removeprefix('KL ') for name in names],
    )
    axes.set_ylabel('KL(client ‖ all clients), nats (log scale)')
    axes.legend()
    return figure
