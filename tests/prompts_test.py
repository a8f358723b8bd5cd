"""Laws of the prompts that a run leaves: whose they are, and which."""

from pathlib import Path
import types
from unittest import mock

import jax.numpy as jnp
import numpy as np
import pytest
from safetensors import numpy as safetensors

from fedprompt_jax.bank.kind import Kind
from fedprompt_jax.experiment import prompts
from fedprompt_jax.peft.full import Full
from fedprompt_jax.peft.prompt import Prompt

PROMPT = Prompt(2)
CLIENTS, NAMES = np.array([4, 9, 2]), ['a', '', 'c']


def prompt(value: float) -> dict:
    return {'prompt': jnp.full((2, 3), float(value))}


BANK = {'prompt': jnp.stack([prompt(v)['prompt'] for v in (10, 20, 30)])}
EXPECTED = {
    'initial': 1, 'global': 2, 'client-4-a': 10, 'client-9': 20,
    'client-2-c': 30,
}  # fmt: skip


def experiment(kind):
    sizes = types.SimpleNamespace(
        objective='causal_lm', num_layers=2, num_heads=4
    )
    return types.SimpleNamespace(
        params=prompt(1),
        lm=types.SimpleNamespace(config=sizes, folder=Path('the model')),
        model=types.SimpleNamespace(kind=kind),
        config=types.SimpleNamespace(
            model=types.SimpleNamespace(dtype='bfloat16')
        ),
        data=types.SimpleNamespace(
            held_out=types.SimpleNamespace(clients=CLIENTS, names=NAMES)
        ),
    )


def save(folder, kind=PROMPT, bank=BANK, writes=True):
    prompts.save_prompts(experiment(kind), folder, prompt(2), bank, writes)


def saved(folder, file='adapter_model.safetensors') -> dict[str, float]:
    """Folder -> the number that its prompt is full of."""
    values = {}
    for path in folder.iterdir():
        (x,) = safetensors.load_file(path / file).values()
        assert x.shape == (2, 3) and (x == x[0, 0]).all()
        values[path.name] = float(x[0, 0])
    return values


def test_every_folder_has_the_prompt_of_its_name(tmp_path):
    save(tmp_path / 'prompts')
    assert saved(tmp_path / 'prompts') == EXPECTED


@pytest.mark.parametrize('bad', [np.nan, np.inf])
def test_a_client_that_diverged_has_no_prompt(bad, tmp_path):
    save(tmp_path, bank={'prompt': BANK['prompt'].at[1, 1, 0].set(bad)})
    others = {k: v for k, v in EXPECTED.items() if k != 'client-9'}
    assert saved(tmp_path) == others


def test_what_a_killed_start_left_is_removed(tmp_path):
    (tmp_path / 'prompts' / 'client-7').mkdir(parents=True)
    save(tmp_path / 'prompts')
    assert saved(tmp_path / 'prompts') == EXPECTED


def test_other_processes_write_nothing(tmp_path):
    save(tmp_path / 'prompts', writes=False)
    assert not (tmp_path / 'prompts').exists()


class NotInPeft(Kind):
    def to_hf(self, params):
        raise ValueError('PEFT has none')


def test_what_peft_has_not_is_saved_all_the_same(tmp_path):
    save(tmp_path, NotInPeft())
    assert saved(tmp_path, 'params.safetensors') == EXPECTED


def test_a_whole_model_is_a_checkpoint_but_for_the_initial_one(tmp_path):
    """That is the base itself."""
    with (
        mock.patch.object(prompts.source, 'read_names', lambda folder: 'names'),
        mock.patch.object(prompts.export, 'save') as export,
    ):
        save(tmp_path, Full())
    values = {
        path.name: (float(tree['prompt'][0, 0]), *more)
        for path, tree, *more in (call.args for call in export.call_args_list)
    }
    same = 'names', Path('the model'), 'bfloat16'
    assert values == {
        name: (value, *same)
        for name, value in EXPECTED.items()
        if name != 'initial'
    }
