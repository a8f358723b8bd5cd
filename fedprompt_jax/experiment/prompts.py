"""The prompts that a run leaves, as Hugging Face PEFT's adapters.

Whole models, where those were trained, are checkpoints of transformers.
"""

import logging
from pathlib import Path
import shutil

import jax

from fedprompt_jax.experiment.build import Experiment
from fedprompt_jax.federated.client import finite_owners
from fedprompt_jax.federated.mesh import to_host
from fedprompt_jax.models import export, source
from fedprompt_jax.peft import hf_adapter

_LOG = logging.getLogger(__name__)


def save_prompts(
    experiment: Experiment, folder: Path, params, bank, writes: bool
) -> None:
    """Writes initial/, global/ and client-<id>/, an adapter each.

    A client that turned non-finite has no prompt to save. Every process has
    to bring its part of the prompts, and one of them `writes`.
    """
    initial, params, bank = jax.tree.map(
        to_host, (experiment.params, params, bank)
    )
    if not writes:
        return
    # What a killed start left, half-written files of safetensors too.
    shutil.rmtree(folder, ignore_errors=True)
    sizes = experiment.lm.config
    base_model = str(experiment.folder.absolute())

    def save(name, tree):
        if experiment.model.kind.whole:
            dtype = experiment.config.model.dtype
            names = source.read_names(experiment.folder)
            path = folder / name
            export.save(path, tree, names, experiment.folder, dtype)
            return
        try:
            hf_adapter.save(
                folder / name,
                experiment.model.kind,
                tree,
                base_model,
                sizes,
            )
        except ValueError as error:  # PEFT has no such adapter
            if name == 'global':
                _LOG.info('%s: params.safetensors instead. %s', folder, error)
            hf_adapter.save_plain(folder / name, tree, str(error))

    if not experiment.model.kind.whole:  # that is the base itself
        save('initial', initial)
    save('global', params)
    finite = finite_owners(bank)
    for i, client in enumerate(experiment.data.held_out.clients):
        if finite[i]:
            save(f'client-{client}', jax.tree.map(lambda x, i=i: x[i], bank))
