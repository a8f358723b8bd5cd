"""Damage to any file of a run folder is reported, or changes no result.

The suite tries one damage to each file, more to logs and JSON files, and some
of them on whole runs; `DAMAGES=all pytest tests/run_folder_damage_test.py`
tries them all.
"""

import hashlib
import os
from pathlib import Path
import random
import shutil

import pytest

from fedprompt_jax.experiment import integrity, resume
from fedprompt_jax.experiment.run_folder import LOGS, RunFolder
from tests.damage import PAGE, POINTER
from tests.exhaustive import beyond
from tests.tiny_run import Runs, info, results

SEED, WHOLE_RUNS, CUTS = 0, 4, 20
ALL = os.environ.get('DAMAGES') == 'all'
CHANGES = {'rounds': 3, 'personalization__epochs': 2}
# Nothing that a run computes is in them.
FREE = ('figures', 'report.html')


def damages(content: bytes, rng: random.Random) -> list[tuple[str, bytes]]:
    """Name and content of every damage to a file that changes it."""
    found = [('emptied', b''), ('pointer', POINTER), ('page', PAGE)]
    if content:
        place = rng.randrange(len(content))
        changed = bytearray(content)
        changed[place] ^= 1 << rng.randrange(8)
        found.append((f'byte {place}', bytes(changed)))
        places = {len(content) * i // CUTS for i in range(CUTS)}
        found += [(f'cut at {i}', content[:i]) for i in sorted(places)]
    return [(name, new) for name, new in found if new != content]


class Subject:
    """A run folder, and what it must lead to."""

    def __init__(self, runs: Runs, path: Path, whole: Path) -> None:
        self.runs, self.path, self.whole = runs, path, whole
        files = sorted(p for p in path.rglob('*') if p.is_file())
        self.files = {str(p.relative_to(path)): p.read_bytes() for p in files}
        rng = random.Random(SEED)
        self.damages = []
        for file, content in self.files.items():
            found = damages(content, rng)
            chosen = found if ALL else [rng.choice(found)]
            if '/' not in file and file not in FREE and not ALL:
                bytes_ = [x for x in found if x[0].startswith('byte')]
                chosen = [*bytes_, *rng.sample(found, 3)]
            self.damages += [(file, name, new) for name, new in chosen]

    def damaged(self, path: Path, file: str, new: bytes) -> Path:
        if not file.startswith(FREE):  # else a start does not read it
            left_out = shutil.ignore_patterns(*FREE)
            shutil.copytree(self.path, path, ignore=left_out)
        else:
            shutil.copytree(self.path, path)
        (path / file).write_bytes(new)
        return path

    def open(self, path: Path) -> RunFolder:
        """What a start does before it computes anything."""
        config = self.runs.config(**CHANGES).to_dict()
        run = RunFolder(path, config, info(self.path)['fingerprints'])
        if run.finished and not run.changes:
            run.check_complete()
        else:
            resume.prepare(run)
        return run


@pytest.fixture(scope='module')
def runs(tmp_path_factory):
    return Runs(tmp_path_factory.mktemp('runs'))


@pytest.fixture(scope='module')
def finished(runs):
    path = runs.folder / 'whole'
    runs.start(path, **CHANGES)
    return Subject(runs, path, path)


@pytest.fixture(scope='module')
def in_stage_1(runs, finished):
    path = runs.folder / 'stage-1'
    runs.start(path, 2, **CHANGES)
    return Subject(runs, path, finished.path)


@pytest.fixture(scope='module')
def in_stage_2(runs, finished):
    path = runs.folder / 'stage-2'
    runs.start(path, 5, **CHANGES)
    return Subject(runs, path, finished.path)


@pytest.fixture(
    params=beyond(['in_stage_1'], ['finished', 'in_stage_1', 'in_stage_2'])
)
def subject(request):
    return request.getfixturevalue(request.param)


def names_it(message: str, path: Path, file: str) -> bool:
    """Whether a message says which file, or else which run, is at fault."""
    return str(path) in message or Path(file).name in message


def test_every_damage_is_found_before_anything_is_computed(subject, tmp_path):
    """What a run resumes from is, to the byte, what it was."""
    refused = 0
    for number, (file, name, new) in enumerate(subject.damages):
        path = subject.damaged(tmp_path / f'{number}', file, new)
        try:
            run = subject.open(path)
        except ValueError as error:
            assert names_it(str(error), path, file), (file, name, error)
            refused += 1
            shutil.rmtree(path)
            continue
        for log in LOGS:
            left = (path / log).read_bytes() if (path / log).exists() else b''
            assert subject.files.get(log, b'').startswith(left), (file, name)
        if run.finished:  # it would say that it is complete
            unsealed = file.startswith(('checkpoints', *FREE))
            same = file == 'run.json' and run.info == info(subject.path)
            assert unsealed or same, (file, name)
        else:
            for folder in sorted((path / 'checkpoints').glob('[tp]*/*')):
                assert integrity.fault(folder) == ''
                for left in filter(Path.is_file, folder.rglob('*')):
                    own = left.read_bytes()
                    assert own == subject.files[str(left.relative_to(path))]
        del run
        shutil.rmtree(path)
    print(f'{len(subject.damages)} damages, {refused} refused')
    assert 0 < refused < len(subject.damages)


def test_a_damaged_run_ends_as_the_undamaged_or_is_refused(subject, tmp_path):
    chosen = subject.damages
    if not ALL:
        kept = [d for d in chosen if not d[0].startswith(FREE)]
        chosen = random.Random(SEED).sample(kept, WHOLE_RUNS)
    for number, (file, name, new) in enumerate(chosen):
        path = subject.damaged(tmp_path / f'{number}', file, new)
        try:
            subject.runs.start(path, **CHANGES)
        except ValueError as error:
            assert names_it(str(error), path, file), (file, name, error)
        else:
            assert results(path) == results(subject.whole), (file, name)
        shutil.rmtree(path)


def newest(path: Path, stage: str) -> Path:
    folders = (path / 'checkpoints' / stage).iterdir()
    return max(folders, key=lambda p: int(p.name))


def test_the_one_before_is_named_and_nothing_is_removed(in_stage_1, tmp_path):
    path = in_stage_1.damaged(
        tmp_path / 'run', 'checkpoints/train/2/notes.json', b'{}'
    )
    in_stage_1.runs.start(path, **CHANGES)
    (warning,) = (w for w in info(path)['warnings'] if 'damaged' in w)
    assert f'{path}/checkpoints/train/2 is damaged (notes.json was' in warning
    assert 'resumes after round 1.' in warning
    aside = path / 'checkpoints' / 'damaged' / 'train-2' / 'notes.json'
    assert str(aside.parent) in warning and aside.read_bytes() == b'{}'
    assert results(path) == results(in_stage_1.whole)


def test_all_of_stage_2_damaged_falls_back_to_stage_1(in_stage_2, tmp_path):
    path = tmp_path / 'run'
    shutil.copytree(in_stage_2.path, path)
    for folder in (path / 'checkpoints' / 'personalize').iterdir():
        (folder / integrity.SUMS).unlink()
    in_stage_2.runs.start(path, **CHANGES)
    assert results(path) == results(in_stage_2.whole)


def test_only_damaged_checkpoints_are_an_error_that_changes_nothing(
    in_stage_1, tmp_path
):
    path = tmp_path / 'run'
    shutil.copytree(in_stage_1.path, path)
    for file in (path / 'checkpoints').rglob('manifest.ocdbt'):
        file.write_bytes(b'')
    files = {p: p.read_bytes() for p in path.rglob('*') if p.is_file()}
    with pytest.raises(ValueError, match='No checkpoint of the run is whole'):
        in_stage_1.runs.start(path, **CHANGES)
    after = {p: p.read_bytes() for p in path.rglob('*') if p.is_file()}
    assert after == files
    # What the message says to do.
    shutil.rmtree(path / 'checkpoints')
    in_stage_1.runs.start(path, **CHANGES)
    assert results(path) == results(in_stage_1.whole)
    (warning,) = (w for w in info(path)['warnings'] if 'starts over' in w)
    assert f'{path}/checkpoints has no checkpoint' in warning


def test_a_save_that_was_killed_before_the_first_round(
    runs, finished, tmp_path
):
    """Nothing was trained: it starts over, and says so."""
    path = tmp_path / 'run'
    runs.start(path, 1, **CHANGES)
    shutil.rmtree(newest(path, 'train'))
    (newest(path, 'train') / integrity.SUMS).unlink()
    runs.start(path, **CHANGES)
    assert results(path) == results(finished.path)
    assert any('starts over' in w for w in info(path)['warnings'])


def test_a_sealed_folder_is_what_sha256sum_checks(tmp_path):
    (tmp_path / 'deep').mkdir()
    for name in ('a', 'deep/b'):
        (tmp_path / name).write_text(name)
    integrity.seal(tmp_path)
    assert integrity.fault(tmp_path) == ''
    (tmp_path / '.DS_Store').write_text('a copy adds it')
    assert integrity.fault(tmp_path) == ''
    (tmp_path / 'c').write_text('c')
    assert integrity.fault(tmp_path) == 'c is not in SHA256SUMS'
    (tmp_path / 'c').unlink()
    (tmp_path / 'a').unlink()
    assert integrity.fault(tmp_path) == 'a is missing'
    (tmp_path / 'a').write_text('b')
    assert integrity.fault(tmp_path) == 'a was changed: its sha256 differs'
    (tmp_path / 'a').write_text('a')
    assert integrity.fault(tmp_path) == ''
    lines = (tmp_path / integrity.SUMS).read_text().splitlines()
    assert lines == [
        f'{hashlib.sha256(name.encode()).hexdigest()}  {name}'
        for name in ('a', 'deep/b')
    ]
    (tmp_path / integrity.SUMS).unlink()
    assert 'was not saved completely' in integrity.fault(tmp_path)


def test_the_digest_of_a_part_is_that_of_its_bytes(tmp_path):
    content = random.Random(0).randbytes((1 << 20) + 100)
    path = tmp_path / 'log'
    path.write_bytes(content)
    for size in (0, 1, 1 << 20, (1 << 20) + 7, len(content)):
        expected = hashlib.sha256(content[:size]).hexdigest()
        assert integrity.sha256(path, size) == expected
    assert integrity.sha256(path) == hashlib.sha256(content).hexdigest()
