"""Several runs of a sweep as one bank: each in a thread of its own.

Every run does what it would do alone, writes its own folder and has its own
optimizers; gradients and scores come from one call of the model for all.
Rows are packed from all runs' examples, so that results agree with those of
runs alone up to rounding, and not to the bit; so do those of a bank that was
stopped, whose runs may resume from other rounds.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
import threading

from fedprompt_jax.experiment import run as run_lib
from fedprompt_jax.experiment.config import lookup
from fedprompt_jax.experiment.last_loaded import LastLoaded
from fedprompt_jax.experiment.preemption import Preemption
from fedprompt_jax.sweep.merged import Participant
from fedprompt_jax.sweep.points import Point
from fedprompt_jax.sweep.rendezvous import Rendezvous

# What one call of the model depends on.
ALIKE = (
    'model', 'peft', 'prompt', 'prefix', 'lora', 'ia3', 'loss', 'simulation',
    'packing', 'evaluation', 'mesh', 'data.source', 'data.path',
    'data.columns', 'data.metadata', 'data.labels', 'data.answers',
    'data.template', 'data.separator', 'data.target', 'data.max_query',
    'data.max_target',
)  # fmt: skip


def faults(points: Sequence[Point]) -> Iterator[str]:
    """Why these points cannot be one bank."""
    first, *others = points
    for key in ALIKE:
        value = lookup(first.config, key)
        for other in others:
            if lookup(other.config, key) != value:
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
    if first.config.peft == 'full':
        yield "config.peft='full' has a bank of one; use --together=1."


def run(
    points: Sequence[Point],
    folders: Sequence[Path],
    cache_dir: Path,
    loaded: LastLoaded,
    preemption: Preemption,
) -> list[BaseException | None]:
    """Runs the points as one bank.

    Args:
      points: of which faults() finds nothing.
      folders: run folder of each.
      cache_dir: see experiment.run.
      loaded: what earlier runs have loaded.
      preemption: asked by all of them.

    Returns:
      What each ended with; None where it is complete.
    """
    rendezvous = Rendezvous(len(points))
    ends: list[BaseException | None] = [None] * len(points)

    def one(number: int) -> None:
        try:
            run_lib.execute(
                points[number].config,
                folders[number],
                cache_dir,
                loaded,
                preemption,
                Participant(rendezvous, number),
            )
        except BaseException as error:
            ends[number] = error
        finally:
            rendezvous.leave(number)

    threads = [
        threading.Thread(target=one, args=[n], daemon=True)
        for n in range(len(points))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return ends
