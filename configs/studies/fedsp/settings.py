"""FedSP's studies: methods as overrides of a task's config."""

from pathlib import Path
from typing import Any

from configs.fedsp import settings
from configs.studies.fedpeptao.settings import method_of, task_of
from configs.studies.profit.settings import flat

__all__ = ['METHODS', 'method_of', 'overrides', 'task_of']

_FULL = {'fedsp.client_model': 'full', 'fedsp.turn': 'prompt'}
_CENTRAL = {
    'algorithm': 'centralized',
    'clients_per_round': 1,
    'data.server_share': 0.0,
}
METHODS: dict[str, dict[str, Any]] = {
    'FedSP': {},
    'FedSP w/o distillation': {'fedsp.distill_steps': 0},
    'FedSP w/o sharing': {'fedsp.client_model': 'cut', 'prefix.mlp': 0},
    # Two readings of "without alternation": in the code both are trained at
    # once where it is turned off; or the prompt alone is.
    'FedSP w/o alternation (joint)': {'fedsp.turn': 'joint'},
    'FedSP w/o alternation (prompt alone)': {'fedsp.turn': 'prompt'},
    "FedSP w/o the server's step": {'fedsp.server_step': False},
    'FedPrompt': _FULL,
    "FedPrompt w/o the server's step": _FULL | {'fedsp.server_step': False},
    # One layer, which stays; the mean over layers down, repeated up.
    'FedPrompt-Single': {
        'fedsp.client_model': 'cut',
        'fedsp.turn': 'prompt',
        'fedsp.distill_steps': 0,
    },
    'prefix tuning (centralized)': _CENTRAL,
    'full fine-tuning (centralized)': _CENTRAL
    | {'peft': 'full', 'personalization.clients': 1},
}
# Of the released scripts, or of those that they name (see docs/fedsp.md):
# rounds, steps, a client's rate, the server's rate.
PUBLISHED = {
    'FedPrompt': (100, 10, 5e-2, 5e-3),
    'FedPrompt-Single': (50, 10, 5e-3, 5e-3),
    'prefix tuning (centralized)': (100, 100, 5e-3, 5e-3),
}
FINE_TUNING_RATE = 2e-5  # of Offsite-Tuning's baseline (2302.04870)


def overrides(
    config, method: str, task: str = '', seed: int = 0, **changes: Any
) -> dict[str, Any]:
    """What a run overrides of the study's config.

    Args:
      config: of the study, of one of FedSP's tasks.
      method: a key of METHODS.
      task: a key of configs.fedsp.tasks.TASKS, whose data lie beside those of
        the config; '' for the config's own.
      seed: of the run.
      **changes: more keys, with __ for a dot.
    """
    if config.algorithm != 'fedsp':
        raise ValueError(
            "FedSP's studies change its config into those of the other "
            'methods: start them from configs/fedsp/sciq.py.'
        )
    own = config.name.removeprefix('fedsp_')
    found: dict[str, Any] = {}
    if task and task != own:
        found |= _of_task(config, own, task)
    found |= METHODS[method]
    if config.scale != 'quickstart':
        found |= _published(method)
    if method.endswith('(centralized)'):
        found |= _centralized(config, found)
    if method.startswith('full'):
        found['server.learning_rate'] = FINE_TUNING_RATE
        # An epsilon of 1e-4 would hide gradients of weights.
        found['server.optimizer'] = 'adamw(weight_decay=0.01)'
    found |= {k.replace('__', '.'): v for k, v in changes.items()}
    return {'name': f'{task or own}: {method}', 'seed': seed} | found


def _of_task(config, own: str, task: str) -> dict[str, Any]:
    """The keys in which two tasks differ, at the config's scale."""
    here, there = (
        dict(flat(settings.config(name, config.scale).to_dict()))
        for name in (own, task)
    )
    changed = {k: v for k, v in there.items() if here[k] != v}
    changed.pop('name')
    changed['data.path'] = str(Path(config.data.path).parent / task)
    return changed


def _published(method: str) -> dict[str, Any]:
    of = method.removesuffix(" w/o the server's step")
    if of not in PUBLISHED:
        return {}
    rounds, steps, client, server = PUBLISHED[of]
    return {
        'rounds': rounds,
        'local_steps': steps,
        'client.learning_rate': client,
        'server.learning_rate': server,
        'client.schedule': f'linear(warmup={rounds // 10})',
        'server.schedule': f'linear(warmup={rounds // 10})',
        'prefix.mlp': 0,
    }


def _centralized(config, found: dict[str, Any]) -> dict[str, Any]:
    """The keys of one client that stands for all, with the server's optimizer.

    It takes the steps of its script or, at quickstart's scale, as many as the
    clients of FedSP's rounds take for their prompts.
    """
    rounds = found.get('rounds', config.rounds)
    each = found.get('local_steps', config.local_steps)
    if config.scale == 'quickstart':
        each *= config.clients_per_round
    return {
        'local_steps': 1,
        'rounds': rounds * each,
        'validation.every': config.validation.every * each,
        'server.schedule': f'linear(warmup={max(1, rounds * each // 10)})',
        'checkpoint.every': config.checkpoint.every * each,
    }
