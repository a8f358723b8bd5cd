"""Weights & Biases: a run of a project there, or offline in RUN/wandb."""

from collections.abc import Iterator
import logging
import netrc
import os
from pathlib import Path
import secrets
import shutil
import socket
from typing import Any
from urllib.parse import SplitResult, urlsplit
import urllib.request

from fedprompt_jax.experiment.run_folder import RunFolder
from fedprompt_jax.experiment.scalars import axis, scalars

_LOG = logging.getLogger(__name__)

PACKAGE = 'wandb'
FOLDER = 'wandb'
_NOT_IN_NAMES = '/\\#?%:'
_SECONDS = 60.0  # to wait for the server, at the beginning and at the end
_AXES = {
    'train': 'round', 'validation': 'round',
    'personalize': 'epoch', 'score': 'epoch',
}  # fmt: skip


def faults(value: str) -> Iterator[str]:
    """What is wrong with the name of a project."""
    if set(value) & set(_NOT_IN_NAMES):
        yield (
            f'config.log.wandb={value!r} must be the name of a project, '
            f'without any of {_NOT_IN_NAMES}; its owner is given by the '
            'environment variable WANDB_ENTITY.'
        )


class WeightsAndBiases:
    """Logs a line at the step that is its number.

    The server keeps the lines that it was given before a restart, which are
    not sent again. Offline nothing is known of them: all lines are written.
    """

    def __init__(self, logged) -> None:
        self._logged = logged
        for stage, key in _AXES.items():
            logged.define_metric(f'{stage}/*', step_metric=key)

    def add(self, number: int, line: dict[str, Any]) -> None:
        if 'step' in line:  # of a stage before the rounds
            self._logged.define_metric(f'{line["stage"]}/*', step_metric='step')
        if number >= self._logged.starting_step:
            self._logged.log(
                scalars(line) | axis(line), step=number, commit=True
            )

    def close(self, succeeded: bool) -> None:
        self._logged.finish(exit_code=0 if succeeded else 1)


def open_tracker(run: RunFolder, value: str) -> WeightsAndBiases:
    """Begins or resumes the run; offline without a network or a login.

    Args:
      run: run.json keeps the name of the run there.
      value: the project.
    """
    mode = os.environ.get('WANDB_MODE') or _mode()
    return WeightsAndBiases(_init(run, value, mode))


def _init(run: RunFolder, project: str, mode: Any):  # a Literal of wandb
    import wandb

    logging.getLogger('wandb').propagate = False  # it has files of its own
    name = _name(run)
    if mode == 'offline':  # what earlier starts wrote is written again
        for folder in (run.path / FOLDER).glob(f'offline-run-*-{name}'):
            shutil.rmtree(folder)
    return wandb.init(
        project=project,
        id=name,
        name=run.path.name,
        dir=str(run.path),
        config=run.config,
        allow_val_change=True,  # of keys that may differ between two starts
        resume='allow',
        reinit='create_new',  # runs of one bank are open at once
        mode=mode,
        settings=wandb.Settings(
            quiet=True,
            init_timeout=_SECONDS,
            finish_timeout=_SECONDS,
            # No output, code or measurements of the machine.
            console='off',
            disable_code=True,
            disable_git=True,
            x_disable_meta=True,
            x_disable_stats=True,
            x_save_requirements=False,
        ),
    )


def _name(run: RunFolder) -> str:
    """The same at every start; another one after a change of the config.

    What follows a change replaces lines that the server already has.
    """
    if 'wandb' not in run.info:
        run.update_info(wandb=secrets.token_hex(4))
    changes = len(run.info.get('continued', []))
    return run.info['wandb'] + (f'-{changes}' if changes else '')


def _mode() -> str:
    """Offline without a login, which W&B would ask for, or without a network.

    Asked before anything begins: a run that was not able to begin cannot be
    begun again in this process.
    """
    import wandb

    server = urlsplit(wandb.setup().settings.base_url)
    if not _has_login(server.netloc):
        reason = 'there is no login'
    elif not _reaches(server):
        reason = f'{server.netloc} cannot be reached'
    else:
        return 'online'
    _LOG.info('Weights & Biases is offline: %s.', reason)
    return 'offline'


def _has_login(server: str) -> bool:
    """Whether a key is in the environment or in .netrc."""
    if {'WANDB_API_KEY', 'WANDB_IDENTITY_TOKEN_FILE'} & os.environ.keys():
        return True
    path = os.environ.get('NETRC') or Path.home() / '.netrc'
    try:
        hosts = netrc.netrc(path).hosts
    except (OSError, netrc.NetrcParseError):
        return False
    return bool({server, 'api.wandb.ai'} & hosts.keys())


def _reaches(server: SplitResult) -> bool:
    """Whether it answers; a proxy is trusted to."""
    if urllib.request.getproxies():
        return True
    port = server.port or {'http': 80}.get(server.scheme, 443)
    try:
        socket.create_connection((server.hostname, port), timeout=10).close()
    except OSError:
        return False
    return True
