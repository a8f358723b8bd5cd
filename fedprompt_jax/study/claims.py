"""The claims of a paper in one table, from the runs that its studies have left.

A study's file may have claims(results); see verdicts.py.
"""

from collections.abc import Sequence
import logging
from pathlib import Path
import re

from ml_collections import config_dict

from fedprompt_jax import files
from fedprompt_jax.report import markup
from fedprompt_jax.study import outputs, points, runs, table, verdicts
from fedprompt_jax.study.verdicts import Claim

_LOG = logging.getLogger(__name__)
FILE, MARKDOWN, REPORT = 'claims.csv', 'claims.md', 'report.html'


def files_of(studies: Path) -> list[Path]:
    """The files of a folder, or the one file, that judge claims.

    Raises:
      ValueError: none of them has claims(results), or one is at fault.
    """
    found = sorted(studies.glob('*.py')) if studies.is_dir() else [studies]
    judged = []
    for path in found:
        # settings.py and the like are no studies, and are not executed.
        judges = re.search(r'^(def )?claims\b', path.read_text('utf-8'), re.M)
        if studies.is_dir() and not judges:
            continue
        if callable(getattr(points.load(path), 'claims', None)):
            judged.append(path)
    if not judged:
        raise ValueError(
            f'--study={studies} has no claims(results); with --claims give a '
            'study that has one, or a folder such as configs/studies/profit.'
        )
    return judged


def judge(
    studies: Sequence[Path], config: config_dict.ConfigDict, workdir: Path
) -> list[Claim]:
    """The claims of studies, by the runs of theirs that are complete.

    Args:
      studies: their files.
      config: the config that they change.
      workdir: the folder of their runs.

    Raises:
      ValueError: no run of any of them is there, or a file is at fault.
    """
    found: list[Claim] = []
    complete = 0
    for path in studies:
        chosen = points.read(path, config, files=False)
        folders = runs.folders_of(chosen, workdir)
        ends = list(map(table.status, chosen, folders))
        results = outputs.results(chosen, folders, ends)
        complete += sum(r.run is not None for r in results)
        found += points.load(path).claims(results)
    if not complete:
        raise ValueError(
            f'--workdir={workdir} has no complete run of these studies; run '
            'them without --claims first, or give the folder of their runs.'
        )
    return sorted(found, key=lambda claim: claim.number)


def write(claims: Sequence[Claim], folder: Path) -> str:
    """Writes the tables of claims; returns them as text.

    Args:
      claims: all comparisons.
      folder: where claims.csv, claims.md and report.html go.
    """
    folder.mkdir(parents=True, exist_ok=True)
    whole, each = verdicts.summary(claims), verdicts.cells(claims)
    notes = list(verdicts.NOTES)
    rows = [dict(zip(each[0], line, strict=True)) for line in each[1:]]
    narrow = [[number, *cells] for number, _, *cells in each]
    text = table.text(narrow, [], []) + '\n' + table.text(whole, notes, [])
    markdown = '\n'.join(
        [table.markdown(whole, [], []), table.markdown(each, notes, [])]
    )
    body = [
        '<h2>Claims</h2>',
        markup.table(whole, 'words'),
        '<h2>Comparisons</h2>',
        markup.table(each, 'words'),
        *(markup.paragraph(note, 'note') for note in notes),
    ]
    files.write_whole(folder / FILE, table.as_csv(rows))
    files.write_whole(folder / MARKDOWN, markdown)
    files.write_whole(folder / REPORT, markup.document('Claims', body))
    return text
