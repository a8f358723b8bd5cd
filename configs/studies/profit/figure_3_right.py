"""Profit's figure 3, right: norms of the prompt and of gradients by round.

    python -m fedprompt_jax.study \\
        --study=configs/studies/profit/figure_3_right.py \\
        --config=configs/fedavg_adam.py

The runs are two of figure 4's.
"""

from configs.studies.profit import figure_4, settings
from fedprompt_jax.report import canvas
from fedprompt_jax.report.figures import norms

ALGORITHMS = ('FedAvg(Adam)', 'FedAvg(SGD)')
CAPTION = (
    'Frobenius norms by round: of the global prompt, of the gradient (mean '
    'over clients), and of the change of a round (Profit, figure 3 right). The '
    'paper does not name the partition: high heterogeneity, seed 0.'
)


def points(config):
    """The overrides of each run."""
    for name in ALGORITHMS:
        yield figure_4.point(config, 'high', name, figure_4.SEEDS[0])


def draw(results):
    """A panel for each algorithm."""
    figure = canvas.blank(4.6 * len(results) + 0.8, 4.4)
    panels = figure.subplots(1, len(results), sharey=True, squeeze=False)[0]
    drawn = 0
    for axes, result in zip(panels, results, strict=True):
        name = settings.algorithm_of(result.overrides)
        found = result.run is not None and norms.paint(axes, result.run)
        axes.set_title(name if found else f'{name}: no result')
        drawn += found
    if not drawn:
        return None
    panels[0].set_ylabel('Frobenius norm (log scale)')
    lines = next(a for a in panels if a.lines).get_legend_handles_labels()
    figure.legend(*lines, loc='outside lower center', ncols=3)
    return figure
