"""Several runs of a study as one bank: a thread computes each.

Every run does what it would do alone, with its own folder and optimizers, but
gradients and scores come from one call of the model for all runs. Rows are
packed from the examples of all runs, so that results agree with those of runs
alone up to rounding, and not to the bit. The same holds for a bank that was
stopped and resumed: its runs may resume from different rounds.
"""

from collections.abc import Iterator, Sequence
import json
from pathlib import Path
import threading

from fedprompt_jax import algorithms, files
from fedprompt_jax.experiment import config as config_lib
from fedprompt_jax.experiment import run as run_lib
from fedprompt_jax.experiment.last_loaded import LastLoaded
from fedprompt_jax.experiment.preemption import Preemption
from fedprompt_jax.study.merged import Participant
from fedprompt_jax.study.points import Point
from fedprompt_jax.study.rendezvous import Rendezvous

# Keys of the config that one call of the model depends on.
ALIKE = (
    'model', 'peft', 'prompt', 'prefix', 'lora', 'ia3', 'adapter', 'lpt',
    'idpg', 'attempt', 'loss', 'simulation', 'packing', 'evaluation', 'mesh',
    'data.source', 'data.path', 'data.columns', 'data.metadata',
    'data.labels', 'data.answers',
    'data.template', 'data.separator', 'data.target', 'data.max_query',
    'data.max_target',
)  # fmt: skip


def shared(point: Point) -> str:
    """What one call of the model depends on; equal for the runs of a bank."""
    config = files.plain(point.config.to_dict())
    values = [config_lib.lookup(config, key) for key in ALIKE]
    return json.dumps(values, sort_keys=True)


def faults(points: Sequence[Point]) -> Iterator[str]:
    """Yields a sentence for each reason why these points cannot be one bank."""
    first, *others = points
    for key in ALIKE:
        value = config_lib.lookup(first.config, key)
        for other in others:
            if config_lib.lookup(other.config, key) != value:
                yield (
                    f'config.{key} differs between {first.name!r} and '
                    f'{other.name!r}, and runs of one bank share it; use '
                    '--together=1.'
                )
                break
    if first.config.simulation != 'packed':
        yield (
            f'config.simulation={first.config.simulation!r} must be '
            "'packed' for --together."
        )
    for point in points:
        name = point.config.algorithm
        if algorithms.alone(name):
            yield (
                f'config.algorithm={name!r} of {point.name!r} has models of '
                'its own; use --together=1.'
            )
            break
    if first.config.peft == 'full':
        yield "config.peft='full' has a bank of one; use --together=1."


def run(
    points: Sequence[Point],
    folders: Sequence[Path],
    cache_dir: Path,
    loaded: LastLoaded,
    preemption: Preemption,
    others: Sequence[Sequence[Path]],
) -> list[BaseException | None]:
    """Runs the points as one bank.

    Args:
      points: the runs, for which faults() yields no reason.
      folders: the run folder of each.
      cache_dir: see experiment.run.
      loaded: what earlier runs have loaded.
      preemption: whether to stop; all runs ask the same.
      others: of each run, the folders of runs whose stage 1 it may take over.

    Returns:
      The exception that each run ended with; None where it is complete.
    """
    rendezvous = Rendezvous(len(points))
    ends: list[BaseException | None] = [None] * len(points)

    def run_point(number: int) -> None:
        try:
            run_lib.execute(
                points[number].config,
                folders[number],
                cache_dir,
                loaded,
                preemption,
                Participant(rendezvous, number),
                others[number],
            )
        except BaseException as error:
            ends[number] = error
        finally:
            rendezvous.leave(number)  # else the others wait for it for ever

    threads = [
        threading.Thread(target=run_point, args=[n], daemon=True)
        for n in range(len(points))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return ends
