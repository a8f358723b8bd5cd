"""Every notebook of colabs/, executed with a tiny model and tiny data."""

import os
from pathlib import Path
import sys

import nbclient
import nbformat
import pytest

from tests import main_test, studies_test

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / 'colabs').glob('*.ipynb'))
# Notebook -> a part of what its cells must show.
SHOWN = {
    'quickstart': ('personalized prompt', 'image/png', 'mean over client'),
    'study': ('epoch 1: local', 'image/png', 'valid. ROUGE-L', '<td>'),
}


@pytest.fixture(scope='module')
def commands(tmp_path_factory) -> studies_test.Commands:
    return studies_test.Commands(tmp_path_factory.mktemp('notebooks'))


def with_parameters(book, folder: Path):
    """The notebook with other paths, which installs nothing."""
    for cell in book.cells:
        tags = cell.metadata.get('tags', [])
        if 'install' in tags:
            cell.source = ''
        if 'parameters' in tags:
            assert 'CONFIG' in cell.source
            for name, path in (
                ('CONFIG', folder / 'tiny.py'),
                ('RUN', folder / 'run'),
                ('WORKDIR', folder / 'study'),
                ('STUDY', studies_test.FOLDER / 'figure_17.py'),  # one run
            ):
                cell.source += f'\n{name} = {str(path)!r}'
    return book


@pytest.mark.parametrize('path', NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_its_first_to_its_last_cell(
    path, commands, monkeypatch
):
    for name, value in main_test.environment().items():
        monkeypatch.setenv(name, value)
    # Where a notebook's `python` is that of the tests.
    python = Path(sys.executable).parent
    monkeypatch.setenv('PATH', f'{python}{os.pathsep}{os.environ["PATH"]}')
    monkeypatch.setenv('PYTHONPATH', str(ROOT))
    monkeypatch.setenv('XDG_CACHE_HOME', str(commands.folder))
    book = nbformat.read(path, as_version=4)
    assert not any(c.get('outputs') for c in book.cells), 'clear its outputs'
    book = with_parameters(book, commands.folder)
    client = nbclient.NotebookClient(
        book, timeout=300, resources={'metadata': {'path': str(ROOT)}}
    )
    client.execute()  # raises what a cell raises
    text = str([c.get('outputs') for c in book.cells])
    for part in SHOWN[path.stem]:
        assert part in text, part
    # An error of a command is no error of its cell.
    assert 'Traceback' not in text and 'error:' not in text
