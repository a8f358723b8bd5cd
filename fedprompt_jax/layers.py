"""Scores the layers of a config's model, and says which would travel.

  python -m fedprompt_jax.layers --config=configs/fedpeptao/rte.py \\
      --config.data.path=DIR/rte [--out=layers.png]

It runs what FedPepTAO does before its first round, and no round: the stages
'layer_ratio' (if config.fedpeptao.estimate_ratio) and 'layers'. Where the
released code of FedPepTAO has an example of the same model and task, its choice
stands beside.
"""

from collections.abc import Iterator
import json
from pathlib import Path
import sys
from typing import Any

from absl import app, flags
from absl import logging as absl_logging
from ml_collections import config_dict

from fedprompt_jax.experiment import command_line

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


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f'unexpected arguments: {argv[1:]}')
    absl_logging.set_verbosity(absl_logging.WARNING)
    try:
        record = collect(
            flags.FLAGS.config, Path(flags.FLAGS.cache_dir).expanduser()
        )
    except (OSError, ValueError) as error:
        sys.exit(f'error: {error}')
    if flags.FLAGS.out:
        from fedprompt_jax.report.figures import layers as figures

        if (figure := figures.figure_of(record)) is not None:
            figure.savefig(flags.FLAGS.out)
    print(json.dumps(record, indent=1) if flags.FLAGS.json else text(record))


def collect(config: config_dict.ConfigDict, cache_dir: Path) -> dict[str, Any]:
    """What RUN/layers.json of this config would hold, and what is published.

    Raises:
      ValueError: the config or the data is at fault, or its algorithm has no
        layers to choose.
    """
    from tqdm import tqdm

    from fedprompt_jax.experiment import build
    from fedprompt_jax.experiment import config as config_lib

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


if __name__ == '__main__':
    command_line.define_config()
    command_line.define_cache_dir()
    flags.adopt_module_key_flags(command_line)
    flags.DEFINE_string('out', '', 'A file for the figure (.png); none.')
    flags.DEFINE_bool('json', False, 'Print one JSON object instead.')
    app.run(main, flags_parser=command_line.parse)
