"""Which releases the comparisons with PyTorch allow, and what breaks first."""

import subprocess

from packaging.specifiers import SpecifierSet
from packaging.version import Version
import pytest

from tests.parity import newest, versions

BOUNDS = {
    'transformers': SpecifierSet('>=5.1,<5.4'),
    'peft': SpecifierSet('>=0.2,<0.3'),
}


def releases(**minors):
    """Releases 5.0, 5.1, ... of transformers and 0.0, 0.1, ... of PEFT."""
    return {
        'transformers': [Version(f'5.{i}') for i in range(minors['t'])],
        'peft': [Version(f'0.{i}') for i in range(minors['p'])],
    }


def first_broken(available, breaks):
    """What newest finds, and how often it asks, where `breaks` says so."""
    asked = []

    def ask(pair):
        pair = tuple(str(r) for r in pair.values())
        asked.append(pair)
        return newest.Answer(not breaks(*pair), [])

    found = newest.first_broken(available, BOUNDS, ask)
    names = {name: str(release) for name, release in found.releases.items()}
    return names, found.together, asked


def test_both_packages_are_bounded_on_both_sides():
    bounds = versions.bounds()
    assert bounds.keys() == {'transformers', 'peft'}
    for specifier in bounds.values():
        assert {s.operator for s in specifier} == {'>=', '<'}


def test_an_untested_release_is_named_with_the_fix(monkeypatch):
    installed = {'transformers': '5.3.1', 'peft': '0.2.7'}
    monkeypatch.setattr(versions, 'bounds', lambda: BOUNDS)
    monkeypatch.setattr(versions.metadata, 'version', installed.__getitem__)
    assert versions.untested() == ''
    installed['transformers'] = '5.4.0'
    said = versions.untested()
    assert 'transformers 5.4.0' in said and '<5.4' in said
    assert 'pip install' in said and 'peft' not in said


def test_nothing_breaks_where_the_newest_pass():
    found, _, asked = first_broken(releases(t=9, p=4), lambda t, p: False)
    assert found == {} and asked == [('5.8', '0.3')]


@pytest.mark.parametrize('first', range(2, 9))
def test_the_first_release_that_breaks_is_named(first):
    """Inside the bounds (5.1 to 5.3) as outside."""
    found, together, _ = first_broken(
        releases(t=9, p=3), lambda t, p: int(t.split('.')[1]) >= first
    )
    assert found == {'transformers': f'5.{first}'} and not together


def test_each_package_is_tried_beside_a_tested_release_of_the_other():
    found, together, asked = first_broken(
        releases(t=7, p=6), lambda t, p: t >= '5.5' or p >= '0.4'
    )
    assert found == {'transformers': '5.5', 'peft': '0.4'} and not together
    newest_pair, *others = asked
    assert newest_pair == ('5.6', '0.5')
    assert all(t == '5.3' or p == '0.2' for t, p in others)


def test_a_pair_is_named_where_only_together_they_fail():
    found, together, _ = first_broken(
        releases(t=6, p=4), lambda t, p: (t, p) == ('5.5', '0.3')
    )
    assert together and found == {'transformers': '5.5', 'peft': '0.3'}


def test_a_pair_is_named_where_every_tested_release_fails():
    found, together, _ = first_broken(releases(t=6, p=4), lambda t, p: True)
    assert together and found == {'transformers': '5.3', 'peft': '0.2'}


@pytest.mark.parametrize(
    'broken, status',
    [
        ({'transformers': '5.4'}, 0),
        ({'transformers': '5.3'}, 1),
        ({'transformers': '5.4', 'peft': '0.2'}, 1),
    ],
)
def test_only_a_release_inside_the_bounds_is_an_error(broken, status, capsys):
    found = {name: Version(release) for name, release in broken.items()}
    answer = newest.Broken(found, False)
    assert newest.report(releases(t=6, p=3), BOUNDS, answer) == status
    said = capsys.readouterr().out
    for name, release in broken.items():
        assert f'{name} that breaks is {release}' in said


@pytest.mark.parametrize('pair, status', [('5.4 0.2', 0), ('5.3 0.2', 1)])
def test_a_pair_is_allowed_where_both_are(pair, status, capsys):
    found = dict(zip(BOUNDS, map(Version, pair.split()), strict=True))
    answer = newest.Broken(found, True)
    assert newest.report(releases(t=6, p=3), BOUNDS, answer) == status
    assert pair.split()[0] in capsys.readouterr().out


def test_without_a_network_it_says_so_and_claims_nothing(monkeypatch, capsys):
    def run_pip(*args):
        return subprocess.CompletedProcess(
            args, 1, '', 'WARNING: retrying\nERROR: No matching distribution\n'
        )

    monkeypatch.setattr(newest, 'run_pip', run_pip)
    assert newest.main() == 2
    said = capsys.readouterr()
    assert 'No matching distribution' in said.err
    assert 'package index' in said.err and not said.out
