"""Claims of Profit: verdicts by intervals, over clients that runs share."""

import math
from pathlib import Path
import types

import numpy as np
import pytest

from configs import fedavg_adam
from fedprompt_jax.report import trajectory as trajectory_lib
from fedprompt_jax.study import claims, outputs, points, runs, table, verdicts
from fedprompt_jax.tradeoff import bootstrap, frontier
from fedprompt_jax.tradeoff.bootstrap import Interval

FOLDER = Path(__file__).parents[1] / 'configs/studies/profit'
EIGHT = ['1', '2', '3a', '3b', '4', '5', '6', '7', '8']
CLIENTS = 6


def row(prompt, seed, client, split, score, epoch=0, alpha=math.nan) -> dict:
    return {
        'run': 'run', 'prompt': prompt, 'seed': seed, 'client': client,
        'client_name': '', 'epoch': epoch, 'alpha': alpha, 'split': split,
        'rouge_l': score, 'exact_match': score, 'loss': 1.0,
    }  # fmt: skip


def rows(seed: int, gain: float, loss: float = 1.0) -> list[dict]:
    """A run whose clients gain locally, and lose globally, in two epochs.

    Clients differ by far more than what they gain.
    """
    found = []
    for client in range(CLIENTS):
        own = 20 + 5 * client + 3 * seed
        for split, start, step in (('local', own, gain), ('global', 30, -loss)):
            found += [
                row('bare', seed, client, split, 5),
                row('few-shot', seed, client, split, 8),
                row('global', seed, client, split, start),
                *(
                    row('personalized', seed, client, split, start + e * step,
                        e, 1.0)
                    for e in (1, 2)
                ),
                row('averaged', seed, client, split, start + step, 2, 0.5),
            ]  # fmt: skip
    return found


def run_of(name: str, seed: int, gain: float, loss: float = 1.0):
    return types.SimpleNamespace(
        name=name,
        rows=rows(seed, gain, loss),
        selection='rouge_l',
        folder=Path('nowhere'),
    )


def trajectory(gain: float, loss: float = 1.0, seeds=(0, 1)):
    found = [run_of(f'run {seed}', seed, gain, loss) for seed in seeds]
    return trajectory_lib.of_runs(found, 'rouge_l', averaged=True)


@pytest.mark.parametrize(
    ('low', 'high', 'clients', 'said'),
    [
        (0.1, 0.3, 4, verdicts.REPRODUCED),
        (-0.3, -0.1, 4, verdicts.CONTRADICTED),
        (-0.1, 0.3, 4, verdicts.UNDECIDED),
        (0.0, 0.3, 4, verdicts.UNDECIDED),
        (-0.3, 0.0, 4, verdicts.UNDECIDED),
        (math.nan, math.nan, 1, verdicts.UNDECIDED),
        (math.nan, math.nan, 0, verdicts.NO_RUNS),
    ],
)
def test_the_interval_decides(low, high, clients, said):
    assert verdicts.verdict(Interval(0.1, low, high, 1, clients)) == said


def test_a_claim_of_no_change_has_a_margin():
    nothing = Interval(0.0, 0.0, 0.0, 1, 4)
    assert verdicts.verdict(nothing) == verdicts.UNDECIDED
    assert verdicts.verdict(nothing, 1.0) == verdicts.REPRODUCED
    fell = Interval(-2.0, -3.0, -1.5, 1, 4)
    assert verdicts.verdict(fell, 1.0) == verdicts.CONTRADICTED
    assert verdicts.verdict(fell, 5.0) == verdicts.REPRODUCED


def test_a_claim_is_judged_with_its_margin():
    nothing = Interval(0.0, 0.0, 0.0, 1, 4)
    claim = verdicts.Claim('1', 'a', 'b', 'c', nothing, 1.0)
    assert claim.verdict == verdicts.REPRODUCED


def test_lost_clients_are_not_absent_runs():
    lost = Interval(math.nan, math.nan, math.nan, 0, 0, dropped=3)
    assert verdicts.verdict(lost) == verdicts.NO_SCORES


def test_a_verdict_of_few_seeds_says_so():
    claim = verdicts.Claim('1', 'a', 'b', 'c', Interval(1.0, 0.5, 2.0, 1, 4, 2))
    assert verdicts.cells([claim])[1][-2:] == ['2', 'reproduced (1 seed)']
    many = claim._replace(interval=claim.interval._replace(seeds=5))
    assert verdicts.cells([many])[1][-1] == 'reproduced'
    absent = claim._replace(interval=verdicts.NOTHING)
    whole = verdicts.summary([claim, many, absent])[1]
    assert whole[-1] == 'undecided (1 seed)'
    assert verdicts.summary([claim, many])[1][-1] == 'reproduced (1 seed)'


def test_averages_are_as_many_as_epochs():
    """More prompts have the larger hypervolume by themselves."""
    found = verdicts.contrast(
        [verdicts.Term(1.0, trajectory(2.0), verdicts.hypervolume_of_averages)]
    )
    # Two epochs: the global prompt, one average and the last prompt.
    one = trajectory(2.0)
    places = [one.path[0], *one.places('averaged'), one.path[-1]]
    means = one.scores.mean(0)
    area = frontier.hypervolume(means[places], means[one.bare])
    assert found.estimate == pytest.approx(float(area))
    # Of three averages one, in their middle: it is the worst of them here.
    half = one.places('averaged')[0]
    more = one._replace(
        prompts=(
            *one.prompts,
            one.prompts[half]._replace(alpha=0.7),
            one.prompts[half]._replace(alpha=0.9),
        ),
        scores=np.concatenate(
            [one.scores, 0 * one.scores[:, [half]], one.scores[:, [half]] + 50],
            1,
        ),
    )
    value = verdicts.hypervolume_of_averages(more)
    ends = means[[one.path[0], one.path[-1]]]
    without = frontier.hypervolume(ends, means[one.bare])
    assert value(more.scores.mean(0)[None])[0] == pytest.approx(float(without))
    last = one._replace(
        prompts=(*one.prompts[:3], *one.prompts[4:]),
        scores=np.delete(one.scores, 3, 1),
    )
    with pytest.raises(LookupError):
        verdicts.hypervolume_of_averages(last)


@pytest.mark.parametrize(
    ('parts', 'whole'),
    [
        ('RR', 'reproduced'), ('RC', 'contradicted'), ('RU', 'undecided'),
        ('RN', 'undecided'), ('UU', 'undecided'), ('NN', 'no runs'),
        ('CN', 'contradicted'),
    ],
)  # fmt: skip
def test_a_claim_is_what_its_comparisons_are(parts, whole):
    words = {
        'R': verdicts.REPRODUCED, 'C': verdicts.CONTRADICTED,
        'U': verdicts.UNDECIDED, 'N': verdicts.NO_RUNS,
    }  # fmt: skip
    assert verdicts.of_all(words[p] for p in parts) == whole


def test_clients_are_paired():
    """What all clients gain alike has no spread, however they differ."""
    found = verdicts.difference(
        trajectory(3.0), trajectory(1.0), verdicts.last_mean
    )
    # Two epochs of 2 more, in one of both scores.
    assert found[:3] == pytest.approx((2.0, 2.0, 2.0))
    assert (found.seeds, found.clients) == (2, 2 * CLIENTS)


def test_a_contrast_is_that_of_plain_means():
    one, other = trajectory(3.0, 0.5), trajectory(1.0, 2.0)
    found = verdicts.contrast(
        [
            verdicts.Term(2.0, one, verdicts.hypervolume),
            verdicts.Term(-1.0, other, verdicts.last_global),
        ]
    )
    means = [t.scores.mean(0) for t in (one, other)]
    area = frontier.hypervolume(means[0][one.path], means[0][one.bare])
    assert found.estimate == pytest.approx(
        2 * area - means[1][other.path[-1]][1]
    )
    same = bootstrap.interval(
        lambda x: (
            2 * frontier.hypervolume(x[:, one.path], x[:, one.bare])
            - x[:, len(one.prompts) + other.path[-1], 1]
        ),
        np.concatenate([one.scores, other.scores], 1),
        one.seeds,
    )
    assert found[:3] == pytest.approx(same[:3])


def test_levels_count_alike():
    first, second = (trajectory(4.0), trajectory(1.0)), (trajectory(2.0),) * 2
    found = verdicts.mean_difference([first, second], verdicts.last_mean)
    assert found.estimate == pytest.approx((3.0 + 0.0) / 2)


def test_clients_that_one_group_lacks_are_left_out():
    found = verdicts.difference(
        trajectory(3.0), trajectory(1.0, seeds=(1,)), verdicts.last_mean
    )
    assert (found.seeds, found.clients) == (1, CLIENTS)
    nobody = verdicts.difference(
        trajectory(3.0, seeds=(0,)),
        trajectory(1.0, seeds=(1,)),
        verdicts.last_mean,
    )
    assert nobody == verdicts.NOTHING


def test_a_contrast_of_clients_in_another_order():
    one, other = trajectory(3.0), trajectory(1.0)
    back = other._replace(
        scores=other.scores[::-1],
        seeds=other.seeds[::-1],
        clients=other.clients[::-1],
        names=other.names[::-1],
    )
    assert verdicts.difference(
        one, back, verdicts.last_mean
    ) == verdicts.difference(one, other, verdicts.last_mean)


def test_what_was_not_scored_is_no_comparison():
    one = trajectory(3.0)
    lacking = one._replace(
        prompts=one.prompts[1:], scores=one.scores[:, 1:]
    )  # without the bare model
    found = verdicts.difference(one, lacking, verdicts.hypervolume)
    assert found == verdicts.NOTHING
    assert verdicts.difference(one, None, verdicts.last_mean).clients == 0


def test_a_decile_s_fall_is_above_0():
    fell = verdicts.decile_change(trajectory(1.0, 2.0), 'global', 10, sign=-1)
    assert fell[:3] == pytest.approx((4.0, 4.0, 4.0))
    rose = verdicts.decile_change(trajectory(1.0, 2.0), 'global', 90)
    assert rose[:3] == pytest.approx((-4.0, -4.0, -4.0))
    assert verdicts.decile_change(None, 'global', 10) == verdicts.NOTHING


def results_of(name: str, gain) -> list[outputs.Result]:
    """A study's results; gain(overrides) -> of each run, None without one."""
    found = points.read(
        FOLDER / f'{name}.py', fedavg_adam.get_config(), files=False
    )
    results = []
    for number, point in enumerate(found):
        by, run = gain(point.overrides), None
        if by is not None:
            seed = point.overrides.get('seed', 0)
            run = run_of(f'{number}', seed, *np.ravel(by))
        results.append(
            outputs.Result(point.name, point.overrides, run, table.COMPLETE)
        )
    return results


def judged(name: str, gain) -> dict[str, set[str]]:
    """Number of a claim -> the verdicts of its comparisons."""
    found: dict[str, set[str]] = {}
    for claim in points.load(FOLDER / f'{name}.py').claims(
        results_of(name, gain)
    ):
        found.setdefault(claim.number, set()).add(claim.verdict)
    return found


STUDIES = [path.stem for path in claims.files_of(FOLDER)]


@pytest.mark.parametrize('name', STUDIES)
def test_without_runs_nothing_is_said(name):
    for verdict in judged(name, lambda o: None).values():
        assert verdict == {verdicts.NO_RUNS}


def test_all_eight_are_judged():
    numbers = {n for name in STUDIES for n in judged(name, lambda o: None)}
    assert sorted(numbers) == EIGHT


def is_adam(overrides) -> bool:
    return 'algorithm' not in overrides and 'client.optimizer' not in overrides


# Study -> gain that each run has so that its claims are true.
TRUE = {
    'figure_3_left': lambda o: (
        3.0 if o['personalization.learning_rate'] < 0.02 else 1.0
    ),
    'figure_3_center': lambda o: 3.0 if 'rounds' not in o else 1.0,
    'figure_5': lambda o: 3.0 if o['personalization.l2'] == 1e-3 else 1.0,
    'figure_13': lambda o: 1.0 if 'batch_size' in o else 3.0,
    'figure_14': lambda o: 3.0 if o['prompt.length'] == 10 else 1.0,
    'figure_19': lambda o: 1.0 if 'personalization.rows' in o else 3.0,
}


@pytest.mark.parametrize('name', TRUE)
def test_a_claim_that_is_true_is_reproduced_and_its_contrary_contradicted(name):
    true = TRUE[name]
    right = judged(name, true)
    wrong = judged(name, lambda o: 4.0 - true(o))
    for number in right:
        assert verdicts.REPRODUCED in right[number]
        assert verdicts.CONTRADICTED in wrong[number]


def test_adam_against_sgd_and_fedsgd():
    """And more so at low heterogeneity."""

    def gain(o):
        low = 2.0 if o['data.partition'] == 'low' else 0.0
        return (3.0 + low, 0.5) if is_adam(o) else (1.0, 1.0)

    assert judged('figure_4', gain) == {
        '3a': {verdicts.REPRODUCED},
        '3b': {verdicts.REPRODUCED},
    }
    contrary = judged('figure_4', lambda o: (1.0, 2.0 - gain(o)[1]))
    assert verdicts.CONTRADICTED in contrary['3b']


@pytest.fixture
def workdir(tmp_path, monkeypatch):
    """Runs of figure 5 at high heterogeneity alone."""
    for result in results_of('figure_5', lambda o: None):
        if result.overrides['data.partition'] == 'high':
            (tmp_path / result.name).mkdir()

    def results(chosen, folders, ends):
        return [
            outputs.Result(
                point.name,
                point.overrides,
                run_of(point.name, 0, 1 + point.overrides['personalization.l2'])
                if end == table.COMPLETE
                else None,
                end,
            )
            for point, end in zip(chosen, ends, strict=True)
        ]

    def status(point, folder):
        return table.COMPLETE if folder.is_dir() else 'not complete'

    monkeypatch.setattr(outputs, 'results', results)
    monkeypatch.setattr(table, 'status', status)
    monkeypatch.setattr(
        runs, 'folders_of', lambda p, w: [w / x.name for x in p]
    )
    return tmp_path


def test_the_tables_of_what_is_there(workdir):
    found = claims.judge(
        [FOLDER / 'figure_5.py'], fedavg_adam.get_config(), workdir
    )
    counts = {v: sum(c.verdict == v for c in found) for v in ('no runs',)}
    assert (len(found), counts['no runs']) == (6, 4)
    text = claims.write(found, workdir / 'results')
    assert 'λ = 0.001 against no penalty, high heterogeneity' in text
    assert '4 no runs' in text
    left = {path.name for path in (workdir / 'results').iterdir()}
    assert left == {'claims.csv', 'claims.md', 'report.html'}
    lines = (workdir / 'results/claims.csv').read_text().splitlines()
    assert len(lines) == 7 and lines[0].startswith('claim,of the paper,')


def test_without_any_run_the_folder_is_named(tmp_path):
    with pytest.raises(ValueError, match=f'--workdir={tmp_path} has no comple'):
        claims.judge(
            [FOLDER / 'figure_13.py'], fedavg_adam.get_config(), tmp_path
        )


def test_a_study_without_claims_is_refused(tmp_path):
    with pytest.raises(ValueError, match='has no claims'):
        claims.files_of(FOLDER / 'table_1.py')
    with pytest.raises(ValueError, match='has no claims'):
        claims.files_of(tmp_path)
