"""FedPepTAO's studies: methods as overrides of a task's config."""

import functools
from pathlib import Path
from typing import Any

from configs.fedpeptao import settings
from configs.studies.profit.settings import flat
from fedprompt_jax.data.sources import classification
from fedprompt_jax.data.tables import table

# Tried for every method; the one that validation prefers is reported.
RATE, RATES = 'client.learning_rate', (0.01, 0.03, 0.1)
# As many, for devices with SGD: its clipped steps are shorter than Adam's.
OF_SGD = (0.1, 0.3, 1.0)
# The plain mean of all layers: what the others change.
_FEDAVG = {'fedpeptao.server': 'fedavg', 'fedpeptao.ratio': 1.0}
METHODS: dict[str, dict[str, Any]] = {
    'FedPepTAO': {},
    'FedPepTAO (released code)': {
        'fedpeptao.server': 'fedpeptao_code',
        'fedpeptao.momentum': 0.9,
        'server.learning_rate': 0.05,
        'server.schedule': 'exponential(decay=0.99, floor=0.002)',
    },
    'half of the layers (FedAvg)': {'fedpeptao.server': 'fedavg'},
    'P-tuning v2 (FedAvg)': _FEDAVG,
    'MomD': _FEDAVG | {'client.optimizer': 'sgd(momentum=0.9)'},
    # v <- 0.9 v + d, w <- w - 0.1 v: momentum of weight 1 in all.
    'MomS+AdamD': _FEDAVG
    | {'server.optimizer': 'sgd(momentum=0.9)', 'server.learning_rate': 0.1},
    'FedPrompt': _FEDAVG | {'peft': 'prompt'},
    'LoRA (FedAvg)': _FEDAVG | {'peft': 'lora', 'lora.rank': 1},
    # Its factors are 1 where nothing changes; a decay would pull them to 0.
    'IA3 (FedAvg)': _FEDAVG
    | {'peft': 'ia3', 'client.optimizer': 'adamw(weight_decay=0.0)'},
    'Adapter (FedAvg)': _FEDAVG | {'peft': 'adapter'},
    'LPT (FedAvg)': _FEDAVG | {'peft': 'lpt'},
    'IDPG (FedAvg)': _FEDAVG | {'peft': 'idpg'},
    'ATTEMPT (FedAvg)': _FEDAVG | {'peft': 'attempt'},
    'local only': {'algorithm': 'local'},
    'centralized': {'algorithm': 'centralized', 'clients_per_round': 1},
}


def rates(method: str) -> tuple[float, ...]:
    """Those that are tried for a method, as many for each."""
    return OF_SGD if method == 'MomD' else RATES


def overrides(
    config, method: str, task: str = '', seed: int = 0, **changes: Any
) -> dict[str, Any]:
    """What a run overrides of the study's config.

    Args:
      config: of the study, of one of FedPepTAO's tasks.
      method: a key of METHODS.
      task: a key of configs.fedpeptao.settings.TASKS, whose data lie beside
        those of the config; '' for the config's own.
      seed: of the run.
      **changes: more keys, with __ for a dot.
    """
    if config.algorithm != 'fedpeptao':
        raise ValueError(
            "FedPepTAO's studies change its config into those of the other "
            'methods: start them from configs/fedpeptao/sst2.py.'
        )
    own = config.name.removeprefix('fedpeptao_')
    found: dict[str, Any] = {}
    if task and task != own:
        found |= _of_task(config, own, task)
    path = found.get('data.path', config.data.path)
    found |= METHODS[method]
    found |= {k.replace('__', '.'): v for k, v in changes.items()}
    if method == 'centralized':
        rate = found.get(RATE, config.client.learning_rate)
        size = found.get('data.client_size', config.data.client_size)
        columns = settings.TASKS[task or own].columns
        size = _device_size(path, columns) or size
        found |= _centralized(config, size) | {'server.learning_rate': rate}
    return {'name': f'{task or own}: {method}', 'seed': seed} | found


def task_of(overrides: dict[str, Any]) -> str:
    """The task of a run."""
    return overrides['name'].split(': ', 1)[0]


def method_of(overrides: dict[str, Any]) -> str:
    """The method of a run."""
    return overrides['name'].split(': ', 1)[1]


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


@functools.cache  # a study asks for each rate and seed
def _device_size(path: str, columns: tuple[str, ...]) -> float:
    """Mean number of a device's training examples; 0 if the data are not here.

    Args:
      path: of the folder of a task.
      columns: see config.data.columns.
    """
    if not Path(path).is_dir():
        return 0.0
    there = table.renamed(columns, classification.COLUMNS)
    loaded = table.load(path, there, ('label',), splits='official')
    examples = sum(1 for _ in loaded.by_split()['train'].rows('label'))
    return examples / settings.DEVICES


def _centralized(config, size: float) -> dict[str, Any]:
    """As many examples as the devices of a round read, in one optimizer.

    Steps have the batches of a whole cohort, and are its rounds. Their rate
    follows the devices' schedule; gradients are not clipped.

    Args:
      config: of the study.
      size: training examples of a device, on average.
    """
    batch = config.clients_per_round * config.batch_size
    a_device = size * (config.local_epochs or 1)
    steps = max(1, round(config.clients_per_round * a_device / batch))
    return {
        'local_epochs': 0,
        'local_steps': 1,
        'batch_size': batch,
        'rounds': config.rounds * steps,
        'validation.every': config.validation.every * steps,
        'evaluation.views_every': config.evaluation.views_every * steps,
        'server.optimizer': config.client.optimizer,
        'server.schedule': config.client.schedule,
    }
