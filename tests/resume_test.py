"""Where a run resumes, by laws on folders that no run had to make."""

import json
from pathlib import Path

import pytest

from fedprompt_jax.experiment import integrity, resume
from fedprompt_jax.experiment.run_folder import RunFolder
from fedprompt_jax.files import write_json

CONFIG = {
    'rounds': 4,
    'client': {'schedule': 'constant'},
    'server': {'schedule': 'constant'},
    'personalization': {'epochs': 2, 'alphas': [0.5]},
    'evaluation': {'choices': 'sum', 'max_new_tokens': 8},
}
IDENTITY = {'tokens': 'abc'}


class Folder:
    """A run folder; `run` is what the last start opened."""

    def __init__(self, path: Path, **info) -> None:
        self.path, self.root = path, path / 'checkpoints'
        self.run = RunFolder(path, CONFIG, IDENTITY)
        self.run.update_info(fingerprints=IDENTITY, **info)

    def reach(self, stage: str, steps=(), damaged=()) -> None:
        """Logs a line and makes a checkpoint for each step of a stage."""
        unit = 'epoch' if stage == 'personalize' else 'round'
        for step in steps:
            self.run.log(stage=stage, **{unit: step})
            folder = self.root / stage / f'{step}'
            folder.mkdir(parents=True)
            (folder / 'arrays').write_text(f'{stage} {step}')
            write_json(folder / 'notes.json', self.run.notes())
            integrity.seal(folder)
            if step in damaged:
                (folder / 'arrays').write_text('?')

    def start(self, **changes) -> RunFolder:
        """What a start does before it computes anything.

        Args:
          **changes: of the config; a key has __ for its dot.
        """
        config = json.loads(json.dumps(CONFIG))
        for key, value in changes.items():
            *part, name = key.split('__')
            (config[part[0]] if part else config)[name] = value
        self.run = None  # it lets go of the folder
        self.run = RunFolder(self.path, config, IDENTITY)
        resume.prepare(self.run)
        return self.run

    def steps(self, stage: str) -> list[str]:
        folder = self.root / stage
        return (
            sorted(p.name for p in folder.iterdir()) if folder.exists() else []
        )

    def content(self) -> dict[Path, bytes]:
        return {p: p.read_bytes() for p in self.path.rglob('*') if p.is_file()}

    def refuses(self, match: str, **changes) -> None:
        """Asserts that a start is an error that changes nothing."""
        before = self.content()
        with pytest.raises(ValueError, match=match):
            self.start(**changes)
        assert self.content() == before


def last_line(run: RunFolder) -> tuple[str, int]:
    line = run.metrics()[-1]
    return line['stage'], line.get('round', line.get('epoch'))


@pytest.mark.parametrize(
    ('rounds', 'damaged', 'epochs', 'lost', 'point'),
    [
        ((0, 1, 2), (), (), (), ('train', 2)),
        ((0, 1, 2), (2,), (), (), ('train', 1)),
        ((0, 1, 2), (0, 1), (), (), ('train', 2)),
        ((9, 10), (), (), (), ('train', 10)),  # numbers, not words
        ((0, 4), (), (0, 1), (), ('personalize', 1)),
        ((0, 4), (4,), (0, 1), (1,), ('personalize', 0)),
        ((0, 4), (0,), (0, 1), (0, 1), ('train', 4)),
    ],
)
def test_a_run_resumes_at_the_latest_checkpoint_that_is_whole(
    rounds, damaged, epochs, lost, point, tmp_path
):
    """Its log ends there, and what is damaged is out of the way."""
    folder = Folder(tmp_path)
    folder.reach('train', rounds, damaged)
    folder.reach('personalize', epochs, lost)
    run = folder.start()
    assert last_line(run) == point
    for stage, steps, bad in (
        ('train', rounds, damaged), ('personalize', epochs, lost)
    ):  # fmt: skip
        whole = sorted(str(step) for step in steps if step not in bad)
        assert folder.steps(stage) == whole
    aside = [f'train-{i}' for i in damaged] + [f'personalize-{i}' for i in lost]
    assert folder.steps('damaged') == sorted(aside)
    assert len(run.info.get('warnings', [])) == len(aside)


def test_what_came_after_the_checkpoint_is_cut_off(tmp_path):
    folder = Folder(tmp_path)
    folder.reach('train', (0, 2))
    folder.run.log(stage='train', round=3)
    assert last_line(folder.start()) == ('train', 2)


def test_damage_to_the_same_step_is_kept_apart(tmp_path):
    folder = Folder(tmp_path)
    folder.reach('train', (0, 1), (1,))
    folder.start()
    folder.reach('train', (1,), (1,))
    folder.start()
    assert folder.steps('damaged') == ['train-1', 'train-1-2']


def test_nothing_but_damage_is_refused(tmp_path):
    folder = Folder(tmp_path)
    folder.reach('train', (0, 1), (0, 1))
    folder.refuses('No checkpoint of the run is whole')


def test_a_first_save_that_was_killed_is_none(tmp_path):
    """Nothing is lost by starting over."""
    folder = Folder(tmp_path)
    folder.reach('train', (0,), (0,))
    assert folder.start().metrics() == []
    assert folder.steps('damaged') == ['train-0']


def test_lost_rounds_are_reported(tmp_path):
    folder = Folder(tmp_path)
    folder.run.log(stage='train', round=1)
    run = folder.start()
    assert run.metrics() == []
    (warning,) = run.info['warnings']
    assert 'has no checkpoint: the run starts over' in warning
    assert 'warnings' not in Folder(tmp_path / 'new').start().info


def test_a_log_that_was_changed_is_refused(tmp_path):
    folder = Folder(tmp_path)
    folder.reach('train', (0, 1))
    log = tmp_path / 'metrics.jsonl'
    log.write_text(log.read_text().replace('"round": 1', '"round": 7'))
    folder.refuses('was changed: its first')


@pytest.fixture
def complete(tmp_path):
    """A run of four rounds and two epochs that is complete."""
    folder = Folder(tmp_path, chosen_round=2, seconds=9.5, finished='now')
    folder.run.log(stage='validation', round=2)
    folder.reach('train', (2, 4))
    folder.reach('personalize', (0, 2))
    (tmp_path / 'prompts').mkdir()
    (tmp_path / 'prompts' / 'global').write_text('a prompt')
    folder.run.complete()
    return folder


def info_of(run: RunFolder, *keys: str) -> dict:
    return {key: run.info[key] for key in keys if key in run.info}


KEYS = ('complete', 'sha256', 'seconds', 'finished', 'chosen_round')
KEYS = (*KEYS, 'kept_choice')


def test_more_rounds_resume_after_the_last_and_choose_again(complete):
    run = complete.start(rounds=6)
    assert last_line(run) == ('train', 4)
    assert complete.steps('train') == ['2', '4']
    assert complete.steps('personalize') == []
    assert info_of(run, *KEYS) == {}
    assert not run.finished and not run.changes
    stored = json.loads((complete.path / 'config.json').read_text())
    assert stored['rounds'] == 6
    (entry,) = run.info['continued']
    assert entry['changed'] == {'rounds': [4, 6]} and entry['from'] == 'round'


@pytest.mark.parametrize(
    ('changes', 'start'),
    [
        ({'personalization__epochs': 3}, 'epoch'),
        ({'personalization__alphas': [0.25]}, 'averages'),
    ],
)
def test_more_epochs_resume_after_the_last_with_the_same_prompt(
    complete, changes, start
):
    run = complete.start(**changes)
    assert last_line(run) == ('personalize', 2)
    assert complete.steps('personalize') == ['0', '2']
    assert info_of(run, *KEYS) == {'chosen_round': 2}
    assert run.info['continued'][0]['from'] == start


@pytest.mark.parametrize(('before', 'kept'), [({}, 2), ({'kept_choice': 4}, 4)])
def test_another_evaluation_starts_stage_2_with_the_same_prompt(
    complete, before, kept
):
    """Validations under other settings are not compared."""
    if before:
        complete.run.update_info(['complete', 'sha256'], **before)
        complete.run.complete()
    run = complete.start(evaluation__max_new_tokens=9)
    assert last_line(run) == ('train', 4)
    assert complete.steps('personalize') == []
    assert info_of(run, *KEYS) == {'chosen_round': 2, 'kept_choice': kept}
    (warning,) = run.info['warnings']
    assert 'Validations of the rounds up to 2' in warning


def test_two_changes_start_where_the_earlier_asks(complete):
    complete.start(rounds=5, personalization__epochs=4)
    assert complete.steps('personalize') == []


def test_a_changed_file_of_a_complete_run_is_refused(complete):
    (complete.path / 'prompts' / 'global').write_text('another')
    complete.refuses('complete run of which', rounds=6)


def test_a_complete_run_without_checkpoints_cannot_be_continued(complete):
    for path in complete.root.rglob('*'):
        if path.is_file():
            path.unlink()
    for stage in ('train', 'personalize'):
        for folder in (complete.root / stage).iterdir():
            folder.rmdir()
    complete.refuses('has no checkpoint from which it can continue', rounds=6)
