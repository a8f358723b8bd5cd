"""Families that are unlike the others, each by a whole run of main.py.

`python -m tests.every_family` runs them all with every kind.
"""

import pytest

from tests.every_family import Families


@pytest.fixture(scope='module')
def project(tmp_path_factory) -> Families:
    return Families(tmp_path_factory.mktemp('families'))


@pytest.mark.parametrize(
    ('family', 'kind'),
    [('roberta', 'prompt'), ('t5_v1_1', 'lora')],
)
def test_a_run_of_rounds(project, family, kind, monkeypatch):
    monkeypatch.setenv('JAX_DISABLE_MOST_OPTIMIZATIONS', '1')
    result = project.train(family, kind)
    assert result['after'] < result['before']


def test_a_masked_model_refuses_free_text(project):
    project.train('roberta', 'prompt')
    done = project.run('free', '--config.data.separator= {mask}')
    assert done.returncode != 0
    assert 'a masked language model chooses' in done.stderr
    assert not (project.folder / 'free').exists()
