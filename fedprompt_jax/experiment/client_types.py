"""What `python -m fedprompt_jax.clients` prints: sizes and types of clients."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ml_collections import config_dict
import numpy as np

from fedprompt_jax.data import heterogeneity
from fedprompt_jax.data.partitions import Clients
from fedprompt_jax.experiment import build
from fedprompt_jax.experiment import config as config_lib
from fedprompt_jax.report import canvas

_SHOWN = 12  # most types in a line


def collect(config: config_dict.ConfigDict, cache_dir: Path) -> dict[str, Any]:
    """Types, and of 'train' and perhaps 'test' how many each client has.

    Raises:
      ValueError: the config or the data is at fault.
    """
    config_lib.check(config)
    _, data = build.load_data(config, cache_dir)
    categories = [task['categories'][0] for task in data.store.tasks]
    types, type_of_task = np.unique(categories, return_inverse=True)
    type_of = type_of_task[data.store.task_of]
    parts = {'train': data.population}
    if data.views is not None:
        parts['test'] = data.views.parts
    return {
        'types': types.tolist(),
        'parts': {
            name: _part(clients, type_of, len(types))
            for name, clients in parts.items()
        },
    }


def _part(clients: Clients, type_of: np.ndarray, types: int) -> dict[str, Any]:
    counts = np.zeros((len(clients), types), np.int64)
    np.add.at(counts, (clients.client_of, type_of[clients.order]), 1)
    divergence = heterogeneity.kl_from_global(clients, type_of)
    return {
        'counts': counts.tolist(),
        'mean_kl': float(divergence.mean()),
    }


def text(found: dict[str, Any]) -> str:
    """A line for each part, and the shares of its types."""
    return '\n'.join(_lines(found))


def _lines(found: dict[str, Any]) -> Iterator[str]:
    yield (
        f'{"part":<7}{"clients":>8}{"instances":>11}{"a client":>16}'
        f'{"least":>7}{"most":>7}{"KL to all":>11}'
    )
    for name, part in found['parts'].items():
        counts = np.array(part['counts'])
        sizes = counts.sum(axis=1)
        yield (
            f'{name:<7}{len(sizes):>8,}{sizes.sum():>11,}'
            f'{sizes.mean():>9.1f} ± {sizes.std():<4.1f}'
            f'{sizes.min():>7,}{sizes.max():>7,}{part["mean_kl"]:>11.4f}'
        )
    yield '\nshare of a client, quantiles over clients:'
    yield f'{"part":<7}{"type":<24}{"all":>6}{"10 %":>7}{"50 %":>7}{"90 %":>7}'
    for name, part in found['parts'].items():
        counts = np.array(part['counts'])
        shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
        for place, kind in list(enumerate(found['types']))[:_SHOWN]:
            low, middle, high = np.quantile(shares[:, place], (0.1, 0.5, 0.9))
            whole = counts[:, place].sum() / counts.sum()
            yield (
                f'{name:<7}{kind:<24.24}{whole:>6.2f}{low:>7.2f}{middle:>7.2f}'
                f'{high:>7.2f}'
            )


def figure_of(found: dict[str, Any]):
    """Stacked bars: the types of every client, the largest client first."""
    parts, types = found['parts'], found['types']
    figure = canvas.blank(9, 2.6 * len(parts) + 0.6)
    axes = figure.subplots(len(parts), 1, squeeze=False)[:, 0]
    largest = np.array(parts['train']['counts']).sum(axis=1)
    order = np.argsort(-largest, kind='stable')
    for ax, (name, part) in zip(axes, parts.items(), strict=True):
        counts = np.array(part['counts'])[order]
        bottom = np.zeros(len(order))
        for place, kind in enumerate(types):
            ax.bar(
                np.arange(len(order)),
                counts[:, place],
                1.0,
                bottom=bottom,
                label=kind if place < _SHOWN else None,
            )
            bottom = bottom + counts[:, place]
        ax.set_ylabel(f'instances ({name})')
    axes[-1].set_xlabel('client, the largest in training first')
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc='outside lower center', ncols=6)
    return figure
