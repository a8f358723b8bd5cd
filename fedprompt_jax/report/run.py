"""A run as its folder describes it: each file is read once, when needed."""

from collections.abc import Sequence
import functools
import math
from pathlib import Path
from typing import Any

from fedprompt_jax.data.examples import LOSSES
from fedprompt_jax.report import answers, records
from fedprompt_jax.report.records import Row

# A run folder has at least one of them.
_FILES = (records.CONFIG, records.METRICS, records.TRADEOFF)


class Run:
    """The records in a run's folder; those not written yet are empty.

    Attributes:
      folder: RUN, the folder.
      name: the run's name in legends; by default that of the folder.
    """

    def __init__(self, folder: str | Path, name: str = '') -> None:
        self.folder = Path(folder)
        self.name = name or self.folder.resolve().name

    @functools.cached_property
    def config(self) -> dict[str, Any]:
        """config.json, as nested dicts."""
        return records.read_json(self.folder, records.CONFIG)

    @functools.cached_property
    def info(self) -> dict[str, Any]:
        """run.json: command, versions, devices, warnings, ..."""
        return records.read_json(self.folder, records.INFO)

    @functools.cached_property
    def metrics(self) -> list[Row]:
        """The lines of metrics.jsonl: each has a stage and its numbers."""
        return records.read_metrics(self.folder)

    @functools.cached_property
    def rows(self) -> list[Row]:
        """The rows of tradeoff.csv: one for a client, split and prompt."""
        if not self.has_scores:
            return []
        return records.read_tradeoff(self.folder)

    @functools.cached_property
    def final_answers(self) -> answers.Final:
        """The answers of the global and the last personalized prompts."""
        return answers.final(self.folder)

    @property
    def has_scores(self) -> bool:
        """Whether there is a tradeoff.csv."""
        return (self.folder / records.TRADEOFF).is_file()

    @property
    def selection(self) -> str:
        """The score that chose the prompt: 'exact_match' or 'rouge_l'."""
        return self.info.get('selection', 'rouge_l')

    @property
    def loss_unit(self) -> str:
        """The unit of the run's losses, in words."""
        loss = self.config.get('loss', '')
        return LOSSES[loss].unit if loss in LOSSES else 'nats'

    def stage(self, stage: str) -> list[Row]:
        """The lines of metrics.jsonl of one stage, such as 'train'."""
        return [x for x in self.metrics if x.get('stage') == stage]

    @property
    def chosen_validation(self) -> Row | None:
        """The validation of the prompt that stage 2 starts from.

        It is that of the round in run.json. Before run.json has one, it is the
        best of a trained prompt: by `preference`, then the earlier round. None
        where the prompt was never validated.
        """
        metric = self.selection
        scored = [
            x
            for x in self.stage('validation')
            if math.isfinite(x.get(metric, math.nan))
        ]
        chosen = self.info.get('chosen_round')
        if chosen is not None:
            scored = [x for x in scored if x['round'] == chosen]
        else:
            scored = [x for x in scored if x['round']]

        return max(scored, key=self.preference, default=None)

    def preference(self, line: Row) -> tuple[float, ...]:
        """What the best validation has the most of: see config.validation.by.

        Args:
          line: of a validation.
        """
        loss = -line.get('loss', math.inf)
        if self.config.get('validation', {}).get('by') == 'loss':
            return (loss,)
        return line[self.selection], loss


def is_run(folder: Path) -> bool:
    """Whether a folder has any of the files that a run writes first."""
    return any((folder / name).is_file() for name in _FILES)


def open_run(folder: str | Path, name: str = '') -> Run:
    """Opens a run and reads its files, so that a damaged one is an error now.

    Raises:
      ValueError: it is no run folder, or a file in it is damaged.
    """
    run = Run(folder, name)
    if not is_run(run.folder):
        raise ValueError(
            f'{folder} is no run folder: it has none of '
            f'{", ".join(_FILES)}. Give the folder that --workdir named.'
        )
    _ = run.config, run.info, run.metrics, run.rows
    return run


def open_runs(folders: Sequence[str | Path]) -> list[Run]:
    """Opens the runs of several folders, each with another name.

    A name is the end of the folder's path, as short as it can be.

    Raises:
      ValueError: as open_run; or a folder is given twice.
    """
    paths = [Path(folder).resolve() for folder in folders]
    for folder, path in zip(folders, paths, strict=True):
        if paths.count(path) > 1:
            raise ValueError(f'{folder} is given twice; give each run once.')
    names: list[str] = []
    length = 0
    while len(set(names)) < len(paths):
        length += 1
        names = ['/'.join(path.parts[-length:]) for path in paths]
    return [
        open_run(folder, name)
        for folder, name in zip(folders, names, strict=True)
    ]


def leading_metric(runs: Sequence[Run]) -> str:
    """The score that chose the prompts of all runs; ROUGE-L if they differ."""
    metrics = {run.selection for run in runs}
    return metrics.pop() if len(metrics) == 1 else 'rouge_l'
