"""Laws of a whole run on stand-ins: which of its prompts goes to stage 2."""

import types

import numpy as np
import pytest
from safetensors import numpy as safetensors

from tests import recorders, tiny_run

# ROUGE-L after round 0, 1, ...: the best trained prompt is not the last.
SCORES = (0.9, 0.1, 0.8, 0.3, 0.4, 0.3, 0.2)
CHOSEN = 2
CHANGES = {
    'rounds': len(SCORES) - 1,
    'validation__every': 1,
    'client__optimizer': 'sgd',
    'client__learning_rate': 0.5,
    'server__optimizer': 'sgd',
    'server__learning_rate': 1.0,
    'checkpoint__keep': 3,
}


class Scorer(recorders.Scorer):
    """Validations score as SCORES says."""

    def __init__(self, *args) -> None:
        super().__init__(*args)
        self.left = iter(SCORES)

    def rouge_l(self, progress, prompts, requests):
        if progress == 'validation':
            return np.full(len(requests), next(self.left))
        return super().rouge_l(progress, prompts, requests)


@pytest.fixture(scope='module')
def done(tmp_path_factory):
    """The folder of a run, and its simulation."""
    folder = tmp_path_factory.mktemp('chosen')
    path = folder / 'run'
    with recorders.in_place(Scorer) as simulations:
        tiny_run.Runs(folder).start(path, **CHANGES)
    (simulation,) = simulations
    return types.SimpleNamespace(path=path, simulation=simulation)


def saved(done, name: str) -> np.ndarray:
    path = done.path / 'prompts' / name / 'adapter_model.safetensors'
    (prompt,) = safetensors.load_file(path).values()
    return prompt


def test_the_prompt_of_the_best_validated_round_goes_to_stage_2(done):
    """Else validation has no effect, and the report says that it has."""
    assert tiny_run.info(done.path)['chosen_round'] == CHOSEN
    # A round of two clients moves it by 0.5 times the mean of 1 and 2.
    expected = saved(done, 'initial') - 0.75 * CHOSEN
    np.testing.assert_allclose(saved(done, 'global'), expected, atol=1e-5)
    bank = done.simulation.banks[-1]
    for prompt in bank['prompt']:
        np.testing.assert_array_equal(prompt, saved(done, 'global'))


def test_the_latest_checkpoints_that_the_config_keeps_and_the_best_are_there(
    done,
):
    steps = [p.name for p in (done.path / 'checkpoints' / 'train').iterdir()]
    latest = range(CHANGES['rounds'], 0, -1)[: CHANGES['checkpoint__keep']]
    assert sorted(map(int, steps)) == sorted([CHOSEN, *latest])
