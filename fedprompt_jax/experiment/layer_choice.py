"""What `python -m fedprompt_jax.layers` prints: which layers would travel."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ml_collections import config_dict
from tqdm import tqdm

from fedprompt_jax.experiment import build
from fedprompt_jax.experiment import config as config_lib

# (end of model.source, name of the config) -> layers that the released code's
# scripts choose, the most important first where the order is known.
PUBLISHED = {
    ('roberta-large', 'fedpeptao_rte'): (
        9, 8, 11, 7, 10, 17, 18, 15, 16, 22, 12, 21,
    ),
    ('gpt2-large', 'fedpeptao_mrpc'): (
        2, 1, 3, 34, 33, 32, 31, 29, 30, 28, 0, 27, 4, 26, 25, 24, 23, 22,
    ),
    ('llama_7b', 'fedpeptao_mrpc'): tuple(range(8, 24)),
}  # fmt: skip


def collect(config: config_dict.ConfigDict, cache_dir: Path) -> dict[str, Any]:
    """What RUN/layers.json of this config would hold, and what is published.

    Raises:
      ValueError: the config or the data is at fault, or its algorithm has no
        layers to choose.
    """
    config_lib.check(config)
    if config.algorithm != 'fedpeptao':
        raise ValueError(
            f"config.algorithm={config.algorithm!r} must be 'fedpeptao': no "
            'other one chooses layers.'
        )
    folder, data = build.load_data(config, cache_dir)
    experiment = build.build(config, folder, data, cache_dir=cache_dir)
    algorithm = experiment.algorithm
    if not algorithm.stages:
        raise ValueError(
            f'config.fedpeptao.ratio={config.fedpeptao.ratio}: all layers '
            'travel, and none is scored; use a ratio below 1.'
        )
    server: Any = algorithm.init()
    record: dict[str, Any] = {}
    for stage in algorithm.stages:
        inner = stage.init(server)
        for number in tqdm(range(stage.steps), desc=stage.name, disable=None):
            inner, _ = stage.step(inner, number)
        server = stage.finish(server, inner)
        if stage.record is not None:
            record |= stage.record(server)
    source = config.model.source.lower().rstrip('/')
    for (model, name), chosen in PUBLISHED.items():
        if source.endswith(model) and config.name == name:
            record['published'] = list(chosen)
    return record


def text(record: dict[str, Any]) -> str:
    """The record as a table: a line a layer, the most important first."""
    return '\n'.join(_lines(record))


def _lines(record: dict[str, Any]) -> Iterator[str]:
    chosen, published = set(record['chosen']), record.get('published')
    yield (
        f'{len(chosen)} of {len(record["layers"])} layers travel (share '
        f'{record["share"]:.3f}): {", ".join(map(str, sorted(chosen)))}'
    )
    if 'scores' in record:
        yield (
            f'scores: {record["score"]}, {record["order"]} first, '
            f'{record["examples"]} examples of {record["devices"]} devices'
        )
        yield f'{"layer":>6}{"score":>14}  travels'
        for layer in record['ranking']:
            mark = 'yes' if layer in chosen else ''
            yield f'{layer:>6}{record["scores"][layer]:>14.4f}  {mark}'
    if published is not None:
        both = len(chosen & set(published))
        yield (
            f"the released code's example: {', '.join(map(str, published))}; "
            f'{both} of {len(published)} are chosen here too'
        )
