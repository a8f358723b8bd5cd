"""FedPepTAO's studies: every run of them has a config without faults."""

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
