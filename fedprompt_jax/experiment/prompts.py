"""The prompts that a run leaves, as Hugging Face PEFT's adapters.

Whole models, where those were trained, are checkpoints of transformers.
"""

import logging
from pathlib import Path
import re
import shutil
import unicodedata

import jax

from fedprompt_jax.bank import hf_adapter
from fedprompt_jax.bank.owners import finite_owners
from fedprompt_jax.experiment.build import Experiment
from fedprompt_jax.mesh import to_host
from fedprompt_jax.models import export, source

_LOG = logging.getLogger(__name__)

_NAME_BYTES = 60  # of a client's name in UTF-8, in the name of a folder


def save_prompts(
    experiment: Experiment, folder: Path, params, bank, writes: bool
) -> None:
    """Writes initial/, global/ and a folder a client, an adapter each.

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
    model_config = experiment.lm.config
    base_model = str(experiment.lm.folder.absolute())

    def save(name, tree):
        if experiment.model.kind.is_full_model:
            dtype = experiment.config.model.dtype
            names = source.read_names(experiment.lm.folder)
            path = folder / name
            export.save(path, tree, names, experiment.lm.folder, dtype)
            return
        try:
            hf_adapter.save(
                folder / name,
                experiment.model.kind,
                tree,
                base_model,
                model_config,
            )
        except ValueError as error:  # PEFT has no such adapter
            if name == 'global':
                _LOG.info('%s: params.safetensors instead. %s', folder, error)
            hf_adapter.save_plain(folder / name, tree, str(error))

    if not experiment.model.kind.is_full_model:  # that is the base itself
        save('initial', initial)
    save('global', params)
    finite = finite_owners(bank)
    held_out = experiment.data.held_out
    named = zip(held_out.clients, held_out.names, strict=True)
    for i, (client, name) in enumerate(named):
        if finite[i]:
            params = jax.tree.map(lambda x, i=i: x[i], bank)
            save(client_folder(int(client), name), params)


def client_folder(client: int, name: str) -> str:
    """A name for the folder of a client that every file system takes.

        >>> client_folder(3, '../St. Mary')
        'client-3-.._St._Mary'

    The id comes first: it keeps names apart that differ only in their case or
    after the cut, and no name becomes a reserved one such as CON.

    Args:
      client: its id.
      name: its name; '' for none.
    """
    safe = re.sub(r'[^\w.-]', '_', unicodedata.normalize('NFC', name))
    # A cut through a character drops the whole of it; Windows drops a last dot.
    safe = safe.encode()[:_NAME_BYTES].decode(errors='ignore').rstrip('.')
    return f'client-{client}-{safe}' if safe else f'client-{client}'
