"""The rows of `python -m tests.parity run`, and the golden files of a run."""

from collections.abc import Iterator
import importlib.metadata
from pathlib import Path
import tempfile

from ml_collections import config_dict
import numpy as np

from tests.parity import table, whole_run, whole_run_inputs
from tests.parity.whole_run import NAME, Results, Stored
from tests.parity.whole_run_torch import Run

PACKAGES = ('torch', 'transformers', 'tokenizers', 'rouge-score', 'numpy')
MARGIN = 0.005  # of logits: the least by which a greedy choice is to win


def compute(config: config_dict.ConfigDict) -> Stored:
    """What a golden file would hold, computed today.

    Raises:
      ValueError: greedy texts hang on differences of rounding.
    """
    run = Run(config)
    results = run.results()
    margins = run.model.margins
    if min(margins) < MARGIN:
        raise ValueError(
            f'Of {len(margins)} greedy choices one wins by {min(margins)} '
            f'alone; choose a MODEL_SEED with {MARGIN} or more.'
        )
    prompts = {}
    for name, changed in whole_run_inputs.variants(config).items():
        variant = Run(changed)
        variant.train(variant.initial())
        prompts[name] = variant.prompts
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    return Stored(versions, whole_run_inputs.digests(config), results, prompts)


def compare() -> Iterator[table.Row]:
    """Ours and the stored results against PyTorch's of today."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = whole_run_inputs.make_inputs(folder)
        today, stored = compute(config), whole_run.read()
        yield from compare_runs('ours', whole_run.ours(config, folder), today)
        for variant, changed in whole_run_inputs.variants(config).items():
            got = whole_run.ours(changed, folder, variant).prompts
            yield compare_prompts(variant, got, today.variants[variant])
        config.simulation = 'vmap'
        got = whole_run.ours(config, folder, 'vmap')
        yield from compare_runs('ours, vmap', got, today)
    yield table.differing(
        NAME,
        f'{NAME}: stored digests of the inputs',
        [*stored.digests.items()],
        [*today.digests.items()],
    )
    yield from compare_runs('stored', stored.run, today)
    for variant, got in stored.variants.items():
        what = f'stored {variant}'
        yield compare_prompts(what, got, today.variants[variant])


def compare_runs(who: str, got: Results, today: Stored) -> Iterator[table.Row]:
    """The rows of one whole run."""
    expected = today.run
    yield table.differing(
        NAME,
        f'{NAME}: {who}, chosen round',
        [got.chosen_round],
        [expected.chosen_round],
    )
    yield table.differing(
        NAME,
        f'{NAME}: {who}, columns of tradeoff.csv',
        [*got.rows[0]],
        [*expected.rows[0]],
    )
    yield compare_prompts(who, got.prompts, expected.prompts)
    for log in ('rows', 'predictions', 'metrics'):
        lines = [getattr(results, log) for results in (got, expected)]
        what = f'{NAME}: {who}, {log}'
        labels = [whole_run.labels(x) for x in lines]
        yield table.differing(NAME, f'{what}, labels and texts', *labels)
        measured = [whole_run.numbers(x, whole_run.MEASURED) for x in lines]
        together = [[np.concatenate(x)] for x in measured]
        yield table.relative(NAME, f'{what}, losses', *together, 1e-5)
        scores = [whole_run.numbers(x, whole_run.SCORES) for x in lines]
        together = [[np.concatenate(x)] for x in scores]
        yield table.max_abs(NAME, f'{what}, scores', *together, 1e-9)


def compare_prompts(who: str, got, expected) -> table.Row:
    """What all rounds and epochs changed."""
    got, expected = whole_run.moves(got), whole_run.moves(expected)
    names = sorted(expected)
    return table.relative(
        NAME,
        f'{NAME}: {who}, all prompts',
        [got[name] for name in names],
        [expected[name] for name in names],
        1e-4,
    )


def write_golden() -> None:
    """Writes them for whole_run_test."""
    with tempfile.TemporaryDirectory() as name:
        config = whole_run_inputs.make_inputs(Path(name))
        whole_run.write(compute(config))
    files = [f for f in whole_run.FOLDER.rglob('*') if f.is_file()]
    size = sum(f.stat().st_size for f in files) / 1024
    print(f'{whole_run.FOLDER}: {size:.0f} KB')
