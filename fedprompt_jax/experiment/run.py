"""A whole run: check, load, train, personalize, report."""

from collections.abc import Iterable
import contextlib
import logging
from pathlib import Path
import resource
import shlex
import sys
import textwrap
import time
from typing import TYPE_CHECKING, Any

from ml_collections import config_dict

from fedprompt_jax.experiment import config as config_lib
from fedprompt_jax.experiment import processes as processes_lib
from fedprompt_jax.experiment import versions
from fedprompt_jax.experiment.last_loaded import LastLoaded
from fedprompt_jax.experiment.preemption import Preemption
from fedprompt_jax.experiment.processes import Processes

if TYPE_CHECKING:  # its imports take seconds
    from fedprompt_jax.experiment.build import Experiment, Together
    from fedprompt_jax.experiment.checkpoint import Checkpoints
    from fedprompt_jax.experiment.data import FederatedData
    from fedprompt_jax.experiment.personalize import PersonalizationState
    from fedprompt_jax.experiment.run_folder import RunFolder

_LOG = logging.getLogger(__name__)
_MUCH = 0.5  # share of scoring in a run's time that its end speaks of


def main(
    config: config_dict.ConfigDict,
    workdir: Path,
    cache_dir: Path,
    processes: Processes | None = None,
) -> None:
    """Runs an experiment, or what is left of it, and prints its table.

    Args:
      config: as configs/fedavg_adam.py makes it.
      workdir: the run folder.
      cache_dir: converted models, token stores and compiled programs.
      processes: all processes of the run; None for this one alone.

    Raises:
      Preempted: SIGTERM stopped it; all that it did is saved.
      ValueError: the config, the data or the folder is at fault; nothing
        was computed and nothing in the folder was changed.
      FloatingPointError: training would turn non-finite.
    """
    began = time.perf_counter()
    # The config, before anything is loaded.
    config_lib.check(config)
    if processes is not None:
        processes.connect()
    ran = execute(config, workdir, cache_dir)
    if not processes_lib.is_first():
        return
    if not ran:
        print(f'{workdir} is complete; nothing was changed.\n')
    _print_table(workdir)
    if ran:
        seconds = time.perf_counter() - began
        print(f'\n{seconds:.0f} s since this start, {_peak_memory():.1f} GB.')
    _print_paths(workdir)


def execute(
    config: config_dict.ConfigDict,
    workdir: Path,
    cache_dir: Path,
    loaded: LastLoaded | None = None,
    preemption: Preemption | None = None,
    together: 'Together | None' = None,
    others: Iterable[Path] = (),
) -> bool:
    """Runs an experiment, or what is left of it; prints nothing to stdout.

    Args:
      config: a checked one.
      workdir: the run folder.
      cache_dir: converted models, token stores and compiled programs.
      loaded: what earlier runs of this process have loaded.
      preemption: whether to stop after a round; None to ask SIGTERM, which
        the main thread alone can do.
      together: the runs that are computed as one bank; None for a run alone.
      others: folders of runs whose stage 1 may be taken over, where it is the
        same to the bit; see shared_stage.py.

    Returns:
      Whether there was anything left to do.

    Raises:
      Preempted, ValueError, FloatingPointError: see main.
    """
    began = time.perf_counter()
    # Imports that take seconds come after the errors that need none of them.
    import jax

    from fedprompt_jax.experiment import (
        build,
        measures,
        scores,
        shared_stage,
    )
    from fedprompt_jax.experiment.checkpoint import Checkpoints
    from fedprompt_jax.experiment.compilations import Compilations
    from fedprompt_jax.experiment.prompts import save_prompts
    from fedprompt_jax.mesh import check_devices
    from fedprompt_jax.models.kernels.choice import check_kernel

    # 1. The data and the folder, before any work on a device.
    check_devices(config.mesh.data, config.mesh.model)
    check_kernel(config.model.attention)
    folder, data = build.load_data(config, cache_dir, loaded)
    identity = _identity(folder, data, cache_dir)
    run, complete = _open_folder(config, workdir, identity, together)
    if complete:
        return False
    _LOG.info('Data:\n%s', data.description)
    # 2. The model and everything on the devices.
    jax.config.update('jax_compilation_cache_dir', str(cache_dir / 'xla'))
    compilations = Compilations()
    experiment = build.build(config, folder, data, loaded, together, cache_dir)
    _check_other_models(run, experiment)
    _record_start(run, experiment, identity, together)
    shared_stage.share(run, experiment, identity, together, others)
    checkpoints = {
        name: Checkpoints(
            workdir / 'checkpoints' / name,
            config.checkpoint.keep,
            scores.selection(data),
        )
        for name in ('train', 'personalize')
    }
    # 3. The two stages.
    try:
        state = _run_stages(experiment, run, checkpoints, preemption)
    except FloatingPointError as error:
        run.update_info(diverged=str(error))
        raise
    # 4. What the run leaves.
    measures.take(experiment, run, state)
    save_prompts(
        experiment,
        run.path / 'prompts',
        state.shared,
        state.clients.bank,
        run.writes,
    )
    if run.writes:
        run.update_info(
            chosen_round=int(state.rounds),
            seconds=time.perf_counter() - began,
            **_used(compilations, together),
        )
        finish(run)
    return True


def _check_other_models(run: 'RunFolder', experiment: 'Experiment') -> None:
    """Notes which models the algorithm has loaded besides.

    Raises:
      ValueError: at the run's last start one of them was another.
    """
    now = {
        source: other.fingerprints
        for source, other in experiment.other_models.items()
    }
    before = run.info.get('other_models', now)
    if before != now:
        raise ValueError(
            f'{run.path} was begun with other models besides config.model: '
            f'{before} there, {now} now; give --workdir another folder, or '
            'restore their weights.'
        )
    if now:
        run.update_info(other_models=now)


def _identity(
    folder: Path, data: 'FederatedData', cache_dir: Path
) -> dict[str, str]:
    """Fingerprints of all that a run's results depend on besides its config."""
    from fedprompt_jax.models.shards import checkpoint_fingerprint

    return {
        'tokens': data.store.fingerprint,
        'clients': data.fingerprint,
        'weights': checkpoint_fingerprint(folder, cache_dir),
    }


def _open_folder(
    config: config_dict.ConfigDict,
    workdir: Path,
    identity: dict[str, str],
    together: 'Together | None',
) -> tuple['RunFolder', bool]:
    """The run folder, ready to be resumed, and whether the run is complete.

    Raises:
      ValueError: the folder is of another run, is damaged, or is not the same
        for all processes; nothing in it was changed.
    """
    from fedprompt_jax.experiment import resume
    from fedprompt_jax.experiment.run_folder import (
        RunFolder,
        refuse_other_processes,
    )

    refuse_other_processes(config.to_dict(), identity)
    first = processes_lib.is_first()
    run = RunFolder(workdir, config.to_dict(), identity, first)
    run.shows = first and (together is None or together.number == 0)
    complete = run.finished and not run.changes
    if not processes_lib.share(workdir):
        raise ValueError(
            f'--workdir={workdir} is not one folder for all processes of the '
            'run; give one on a file system that all hosts share.'
        )
    if complete:
        processes_lib.first_alone(run.check_complete)
    else:
        processes_lib.first_alone(lambda: resume.prepare(run))
    return run, complete


def _run_stages(
    experiment: 'Experiment',
    run: 'RunFolder',
    checkpoints: dict[str, 'Checkpoints'],
    preemption: Preemption | None,
) -> 'PersonalizationState':
    """Runs what is left of both stages; returns the state after the last.

    Args:
      experiment: its parts.
      run: where records go.
      checkpoints: those of 'train' and of 'personalize'; they are closed.
      preemption: see execute.
    """
    from fedprompt_jax.experiment import personalize, trackers, train
    from fedprompt_jax.experiment.clients import Clients

    signals: Any = Preemption()
    if preemption is not None:
        signals = contextlib.nullcontext(preemption)
    training, personalizing = checkpoints['train'], checkpoints['personalize']
    with signals as stop, trackers.following(run, experiment.config):
        state = personalize.restore(experiment, personalizing)
        if state is None:
            clients = Clients(experiment, run.path / 'checkpoints')
            trained = train.train(experiment, run, training, stop, clients)
            params, rounds = train.choose(experiment, run, trained)
            kept = personalize.kept_by_clients(
                experiment, run, clients, trained
            )
            run.update_info(chosen_round=rounds)
            _LOG.info('The prompt after round %d goes to stage 2.', rounds)
            state = personalize.start(
                experiment, run, personalizing, stop, params, rounds, kept
            )
        state = personalize.personalize(
            experiment, run, personalizing, stop, state
        )
    training.close()
    personalizing.close()
    return state


def finish(run: 'RunFolder') -> None:
    """Writes the report of a run and marks the run as complete.

    A figure that cannot be drawn is a warning: it can be drawn again, and no
    result depends on it.
    """
    from fedprompt_jax.experiment.run_folder import now
    from fedprompt_jax.report import page

    run.update_info(finished=now())
    page.write(run.path, run.warn)
    run.complete()


def _record_start(
    run: 'RunFolder',
    experiment: 'Experiment',
    identity: dict[str, str],
    together: 'Together | None',
) -> None:
    """Logs what the run is and where it runs, and writes it to run.json."""
    import jax

    from fedprompt_jax.evaluation import units
    from fedprompt_jax.experiment import scores
    from fedprompt_jax.experiment.run_folder import now
    from fedprompt_jax.models import sizes

    data = experiment.data
    scored = scores.scored_instances(
        data, bool(experiment.config.validation.every)
    )
    census = units.census(data.store, scored, experiment.lm.tokenizer)
    _LOG.info('Packing: %s.', experiment.packing)
    sent = experiment.algorithm.sent(experiment.algorithm.init())
    parameters = {
        'trained': _numbers(experiment.params),
        'sent': _numbers(sent.up),
        'base': sizes.num_params(experiment.lm.config),
    }
    text = (
        'Parameters: {trained:,} trained, {sent:,} sent by a client in a round,'
        ' {base:,} in the base.'
    )
    _LOG.info(text.format(**parameters))
    named = {'clients': data.client_names} if data.client_names else {}
    before = run.info.get('packing')
    run.update_info(
        command=shlex.join([Path(sys.executable).name, *sys.argv]),
        seed=experiment.config.seed,
        started=run.info.get('started', now()),
        versions=versions.versions(),
        devices=[str(d) for d in jax.devices()],
        processes=jax.process_count(),
        fingerprints=identity,
        scores=units.settings(census),
        selection=scores.selection(data),
        data=data.description,
        packing=experiment.packing,
        parameters=parameters,
        starts=[*run.info.get('starts', []), now()],
        **named,
    )
    for warning in [
        *data.warnings,
        *(w for x in experiment.other_models.values() for w in x.warnings),
        *units.warnings(census),
        *_shared(together),
        *_reshaped(before, experiment.packing),
    ]:
        _LOG.warning(warning)
        run.warn(warning)


def _numbers(tree: Any) -> int:
    """How many numbers a tree of arrays has."""
    import jax

    return sum(x.size for x in jax.tree.leaves(tree))


def _reshaped(before: str | None, packing: str) -> list[str]:
    """A warning if the row shapes differ from those that the run began with."""
    if before in (None, packing):
        return []
    return [
        f'The run began with other row shapes ({before}): results agree '
        'with those of an uninterrupted run up to rounding, and not to the '
        'bit.'
    ]


def _shared(together: 'Together | None') -> list[str]:
    """A warning that seconds are those of all runs of a bank, or []."""
    if together is None:
        return []
    return [
        f'One of {together.size} runs that were computed as one bank: '
        'its seconds are those of all of them.'
    ]


def _used(compilations, together: 'Together | None') -> dict[str, Any]:
    """Memory and compilations of this process, for run.json.

    Runs that are computed together share them: it is their number instead.
    """
    if together is not None:
        return {'together': together.size}
    return {
        'peak_memory_gb': _peak_memory(),
        'compilations': {
            'count': compilations.count,
            'seconds': round(compilations.seconds, 1),
        },
    }


def _print_table(path: Path) -> None:
    from fedprompt_jax.report import (
        costs,
        records,
        statistics,
        summary,
        views,
    )
    from fedprompt_jax.report.run import Run

    run, rows = Run(path), records.read_tradeoff(path)
    print(summary.text_table(rows, run.loss_unit, run.selection))
    if tradeoff := statistics.text(rows, run.selection):
        print(f'\n{tradeoff}')
    if of_rounds := views.text(run):
        print(f'\n{of_rounds}')
    if costs.evaluation_share(run.metrics) > _MUCH:
        print('\n' + textwrap.fill(costs.evaluation(run.metrics), 80))


def _print_paths(path: Path) -> None:
    print(f'Run folder: {path}')
    print(f'Trade-off plot: {path / "figures" / "tradeoff.png"}')
    print(f'Report: {path / "report.html"}')


def _peak_memory() -> float:
    """The peak memory of this process, in GB (10^9 bytes)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == 'darwin' else 1024) / 1e9
