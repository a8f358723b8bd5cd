"""Whole runs of a tiny model in this process: finished, stopped, resumed."""

import copy
import gc
import json
from pathlib import Path
from unittest import mock

from configs import fedavg_adam
from fedprompt_jax.experiment import config as config_lib
from fedprompt_jax.experiment import preemption, run
from fedprompt_jax.experiment.last_loaded import LastLoaded
from fedprompt_jax.report import page
from tests import main_test, tiny, tiny_data

FLAGS = main_test.FLAGS | {
    'rounds': 2,
    'local_steps': 1,
    'clients_per_round': 2,
    # Neither divides the numbers of rounds and epochs of a run that ends.
    'validation.every': 3,
    'personalization.every': 2,
    'personalization.epochs': 1,
}


class StopAfter:
    """Asks a run to stop after so many rounds and epochs."""

    def __init__(self, times: int) -> None:
        self.left = times

    def asked(self) -> bool:
        self.left -= 1
        return self.left == 0


class Runs:
    """Starts runs of one tiny model on tiny data."""

    def __init__(self, folder: Path, base=fedavg_adam) -> None:
        self.folder, self.loaded = folder, LastLoaded()
        self.base = base.get_config()
        self.base.update_from_flattened_dict(
            FLAGS
            | {
                'model.source': str(tiny.make_checkpoint(folder / 'model')),
                'data.path': str(tiny_data.make_data(folder / 'data')),
            }
        )

    def config(self, **changes):
        """The config; a key has __ for its dot."""
        config = copy.deepcopy(self.base)
        config.update_from_flattened_dict(
            {key.replace('__', '.'): value for key, value in changes.items()}
        )
        config_lib.check(config)
        return config

    def start(self, path: Path, stop: int = 0, **changes) -> bool:
        """Whether there was something to do.

        Args:
          path: RUN.
          stop: rounds and epochs (and anchors) after which it is to stop.
          **changes: of the config.
        """
        config, cache = self.config(**changes), self.folder / 'cache'
        try:
            # Figures take longer than all the rest, and have tests elsewhere.
            with mock.patch.object(page, 'write'):
                return run.execute(
                    config, path, cache, self.loaded, StopAfter(stop)
                )
        except preemption.Preempted:
            return True
        finally:
            gc.collect()  # a run that was refused leaves its lock


def results(path: Path) -> dict[str, bytes]:
    """What must not depend on how a run came to its end."""
    return main_test.results(path)


def info(path: Path) -> dict:
    return json.loads((path / 'run.json').read_text())
