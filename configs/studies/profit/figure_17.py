"""Profit's figure 17: every client before and after personalization.

    python -m fedprompt_jax.study --study=configs/studies/profit/figure_17.py \\
        --config=configs/fedavg_adam.py

The run is one of figure 5's.
"""

from configs.studies.profit import figure_5, settings
from fedprompt_jax.report import canvas
from fedprompt_jax.report import points as points_lib
from fedprompt_jax.report.figures import clients

CAPTION = (
    'Each test client under the global prompt and under its own after the last '
    'epoch: FedAvg(Adam), high heterogeneity, "low computation" (Profit, '
    'figure 17).'
)


def points(config):
    """The overrides of the run: figure 5 without a penalty, at this level."""
    yield next(figure_5.points(config))


def draw(results):
    """An arrow for each client."""
    (result,) = results
    if result.run is None:
        return None
    metric = result.run.selection
    epochs = points_lib.by_epoch(result.run.rows, metric)
    last = max(epochs, default=0)
    if 0 not in epochs or last == 0:
        return None
    figure = canvas.blank(6, 5)
    axes = figure.subplots()
    clients.paint_arrows(axes, epochs[0], epochs[last], last)
    title = settings.level_of(result.overrides)
    axes.set(
        title=f'{title}, {points_lib.count(epochs)}', **points_lib.axes(metric)
    )
    return figure
