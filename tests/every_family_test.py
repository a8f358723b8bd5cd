"""Families that are unlike the others, each by a whole run.

`python -m tests.every_family` runs them all with every kind.
"""

import pytest

from tests.every_family import Families
from tests.exhaustive import beyond


@pytest.fixture(scope='module')
def project(tmp_path_factory) -> Families:
    return Families(tmp_path_factory.mktemp('families'))


@pytest.mark.parametrize(
    ('family', 'kind'),
    beyond(
        [('roberta', 'prompt')], [('roberta', 'prompt'), ('t5_v1_1', 'lora')]
    ),
)
def test_a_run_of_rounds(project, family, kind):
    result = project.train(family, kind)
    assert result['after'] < result['before']


def test_a_masked_model_refuses_free_text(project):
    model = project.changes('roberta', 'prompt')['model__source']
    changes = {'model__source': model, 'data__separator': ' {mask}'}
    with pytest.raises(ValueError, match='a masked language model chooses'):
        project.start(project.folder / 'free', **changes)
    assert not (project.folder / 'free').exists()
