"""FedPepTAO's studies: every run of them has a config without faults."""

import json

import pytest

from configs.fedpeptao import settings as tasks_settings
from configs.studies.fedpeptao import (
    ablation_ratio,
    ablation_score,
    ablation_server,
    heterogeneity,
    main,
    settings,
)
from fedprompt_jax.experiment import config as config_lib
from tests.exhaustive import beyond

ABLATIONS = (ablation_ratio, ablation_score, ablation_server, heterogeneity)
SCALES = ('quickstart', *tasks_settings.MODELS)


def points(study, scale: str) -> list[dict]:
    return list(study.points(tasks_settings.config('sst2', scale)))


def check(scale: str, some: list[dict]) -> None:
    for overrides in some:
        config = tasks_settings.config('sst2', scale)
        config.update_from_flattened_dict(overrides)
        config_lib.check(config, files=False)


@pytest.mark.parametrize(
    ('study', 'scale'),
    beyond(
        [(study, scale) for study in ABLATIONS for scale in SCALES],
        [(s, scale) for s in (*ABLATIONS, main) for scale in SCALES],
    ),
)
def test_every_point_is_a_config_without_faults(study, scale):
    check(scale, points(study, scale))


@pytest.mark.parametrize('scale', ['quickstart', 'roberta_large'])
def test_every_method_on_every_task_is_a_config_without_faults(scale):
    """With one of the main study's rates and seeds."""
    some = [
        overrides
        for overrides in points(main, scale)
        if overrides['seed'] == main.SEEDS[0]
        and overrides[settings.RATE]
        == settings.rates(settings.method_of(overrides))[0]
    ]
    assert len(some) == len(main.TASKS) * len(settings.METHODS)
    check(scale, some)


def test_a_centralized_run_reads_as_many_examples_as_the_devices(tmp_path):
    """Of the data that are here; the official set has 27 times as many."""
    folder = tmp_path / 'sst2'
    folder.mkdir()
    for split, rows in (('train', 2500), ('validation', 3), ('test', 3)):
        line = json.dumps({'sentence': 'good', 'label': 1}) + '\n'
        (folder / f'{split}.jsonl').write_text(line * rows)
    config = tasks_settings.config('sst2', 'quickstart')
    config.local_epochs, config.rounds = 1, 8

    def examples(path) -> int:
        config.data.path = str(path)
        found = settings.overrides(config, 'centralized')
        assert found['server.schedule'] == config.client.schedule
        return found['rounds'] * found['local_steps'] * found['batch_size']

    # 10 of 100 devices a round, in steps of 80 examples.
    assert examples(folder) == pytest.approx(8 * 10 * 25, rel=0.05)
    absent = 8 * 10 * config.data.client_size
    assert examples(tmp_path / 'absent') == pytest.approx(absent, rel=0.05)


def test_the_main_study_has_every_method_on_every_task():
    """Once with each device learning rate and seed."""
    found = [
        (
            settings.task_of(overrides),
            settings.method_of(overrides),
            overrides[settings.RATE],
            overrides['seed'],
        )
        for overrides in points(main, 'quickstart')
    ]
    assert len(set(found)) == len(found)
    assert set(found) == {
        (task, method, rate, seed)
        for task in main.TASKS
        for method in settings.METHODS
        for rate in settings.rates(method)
        for seed in main.SEEDS
    }
    assert set(main.TARGETS) == set(main.TASKS)
    tried = {len(settings.rates(method)) for method in settings.METHODS}
    assert tried == {len(settings.RATES)}
