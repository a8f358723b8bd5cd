"""Settings are chosen on validation clients; test clients only judge."""

import copy
import inspect
import math

import numpy as np
import pytest

from configs.studies.profit import selection as study
from fedprompt_jax.report import trajectory
from fedprompt_jax.report.run import Run
from fedprompt_jax.report.trajectory import GLOBAL, Prompt
from fedprompt_jax.study import selection
from fedprompt_jax.study.outputs import Result
from tests import tiny_report
from tests.profit_studies_test import read
from tests.tiny_report import rows_of

NAN = math.nan
# Setting -> (local, global) after epochs 1 and 2, and of the average.
VALIDATION = {
    'a': [(22, 26), (30, 10), (25, 25)],
    'b': [(21, 30), (28, 14), (24, 24)],
}
TEST = {
    'a': [(21, 23), (27, 12), (31, 20)],
    'b': [(29, 20), (33, 13), (22, 29)],
}


def rows(scores, seed=0, spread=(-1, 0, 1)):
    """Rows of three clients about these means; the global prompt is (20, 25).

    The bare model is better than all: no one may choose it.
    """
    (x1, y1), (x2, y2), (x, y) = scores
    s = np.array(spread)
    found = [
        *rows_of('bare', 90 + s, 90 + s),
        *rows_of('global', 20 + 3 * s, 25),
        *rows_of('personalized', x1 + s, y1 - s, 1, 1.0),
        *rows_of('personalized', x2 + s, y2 + 2 * s, 2, 1.0),
        *rows_of('averaged', x + s, y - s, 2, 0.5),
    ]
    return [row | {'seed': seed} for row in found]


def scored(table):
    """Setting -> trajectory."""
    return {
        name: trajectory.read(rows(scores), 'rouge_l', averaged=True)
        for name, scores in table.items()
    }


def chosen(table, criterion, **more):
    found = selection.choose(scored(table), criterion, **more)
    return found.name, found.score


def test_the_best_candidate_by_each_criterion():
    assert chosen(VALIDATION, 'local') == ('a, epoch 2', 30)
    assert chosen(VALIDATION, 'mean') == ('b, epoch 1', 25.5)
    assert chosen(VALIDATION, 'no_loss') == ('a, α = 0.5', 25)
    with pytest.raises(ValueError, match="criterion='best' must be one of loc"):
        selection.choose(scored(VALIDATION), 'best')


def test_only_allowed_candidates_and_the_global_prompt_are_chosen():
    def only(setting, prompt):
        return setting == 'b' and prompt.label == 'personalized'

    assert chosen(VALIDATION, 'local', allowed=only) == ('b, epoch 2', 28)
    worse = {'b': [(11, 26), (12, 27), (13, 28)]}
    for criterion, score in ('local', 20), ('no_loss', 20), ('mean', 22.5):
        assert chosen(worse, criterion, allowed=lambda s, p: False) == (
            'global prompt', score,
        )  # fmt: skip
    assert selection.choose({}, 'local') is None


def test_the_first_of_equal_candidates_is_chosen():
    same = dict.fromkeys(('x', 'y'), VALIDATION['a'])
    assert chosen(same, 'local')[0] == 'x, epoch 2'


def test_a_candidate_that_lost_a_client_is_not_chosen():
    """A mean of the others is no comparison."""
    found = scored(VALIDATION)
    found['a'].scores[1, 3, 1] = NAN  # at epoch 2
    assert selection.choose(found, 'local').name == 'b, epoch 2'
    for t in found.values():
        t.scores[0] = NAN
    assert selection.choose(found, 'local') is None


def test_seeds_count_alike_in_a_choice():
    """Of epoch 1 seed 0 scores 10 and seed 1, of twice the clients, 40."""
    some = rows([(10, 25), (24, 25), (0, 0)], 0)
    twice = [row | {'run': 'q', 'seed': 1} for row in rows(
        [(40, 25), (24, 25), (0, 0)]
    )]  # fmt: skip
    twice += [row | {'client': row['client'] + 9} for row in twice]
    found = trajectory.read([*some, *twice], 'rouge_l')
    assert selection.choose({'a': found}, 'local').score == pytest.approx(25)


def test_what_a_choice_is_worth_by_hand():
    test = scored(TEST)
    choice = selection.choose(scored(VALIDATION), 'local')
    oracle = selection.choose(test, 'local')
    assert oracle[:2] == ('b', Prompt('personalized', 2))
    found = selection.judge(choice, oracle, test, 'local')
    assert found.local.estimate == pytest.approx(27)
    assert found.common.estimate == pytest.approx(12)
    assert found.change.estimate == pytest.approx(12 - 25)
    # Each client is 6 below the oracle, so the paired gap has no width.
    assert found.gap[:3] == pytest.approx((6, 6, 6))
    assert found.local.low < 27 < found.local.high
    assert found.gap.clients == 3
    # The mean of both scores: 23.5 of the oracle, which is 'a, α = 0.5'.
    best = selection.choose(test, 'mean')
    found = selection.judge(choice, best, test, 'mean')
    assert found.gap.estimate == pytest.approx((31 + 20) / 2 - (27 + 12) / 2)


def test_clients_are_paired_by_seed_and_id_and_not_by_their_order():
    test = scored(TEST)
    spread = rows(TEST['b'])[::-1]
    test['b'] = trajectory.read(spread, 'rouge_l', averaged=True)
    choice = selection.choose(scored(VALIDATION), 'local')
    oracle = selection.choose(test, 'local')
    found = selection.judge(choice, oracle, test, 'local')
    assert found.gap[:3] == pytest.approx((6, 6, 6))


def test_a_choice_without_test_runs_is_not_judged():
    test = scored({'b': TEST['b']})
    oracle = selection.choose(test, 'local')
    choice = selection.choose(scored(VALIDATION), 'local')
    assert selection.judge(choice, oracle, test, 'local') is None
    only_late = copy.deepcopy(scored(TEST))
    for name, t in only_late.items():
        keep = [i for i, p in enumerate(t.prompts) if p.epoch != 2]
        only_late[name] = t._replace(
            prompts=tuple(t.prompts[i] for i in keep),
            scores=t.scores[:, keep],
        )
    assert selection.judge(choice, oracle, only_late, 'local') is None


def results(tmp_path, validation=VALIDATION, test=TEST, missing=()):
    """Runs of two seeds of each setting and split."""
    found = []
    tmp_path.mkdir(exist_ok=True)
    for split, table in ('validation', validation), ('test', test):
        for name, scores in table.items():
            for seed in (0, 1):
                point = f'{split}{name}{seed}'
                made = tiny_report.make_run(
                    tmp_path / point, lambda s=scores, n=seed: rows(s, n)
                )
                run = None if point in missing else Run(made, point)
                overrides = {'level': 'x', 'setting': name, 'seed': seed}
                if split == 'validation':  # 'test' is the config's own value
                    overrides['personalization.split'] = split
                found.append(Result(point, overrides, run, ''))
    return found


def table(runs, **more):
    return selection.table(
        runs,
        ('level',),
        lambda o: (o['level'],),
        lambda o: o['setting'],
        **more,
    )


def test_the_table_has_the_choice_its_worth_and_the_oracle(tmp_path):
    header, *lines = table(results(tmp_path))
    assert [line[2] for line in lines] == list(selection.CRITERIA)
    local = dict(zip(header, lines[0], strict=True))
    assert local['chosen'] == 'a, epoch 2' and local['valid. score'] == '30.00'
    assert local['test local'].startswith('27.00 [')
    assert local['test global'].startswith('12.00 [')
    assert local['global change'].startswith('-13.00 [')
    assert local['oracle'] == 'b, epoch 2' and local['oracle score'] == '33.00'
    assert local['gap'] == '+6.00 [+6.00, +6.00]' and local['runs'] == '8/8'
    no_loss = dict(zip(header, lines[2], strict=True))
    # On test clients the choice loses 5 of global, and gains 11 of local: more
    # than any candidate that keeps the global score.
    assert no_loss['chosen'] == 'a, α = 0.5'
    assert no_loss['oracle'] == 'b, α = 0.5'
    assert no_loss['gap'].startswith('-9.00 [')


def test_families_have_candidates_of_their_own(tmp_path):
    lines = table(
        results(tmp_path),
        families={
            'epochs': lambda s, p: p.label == 'personalized',
            'b': lambda s, p: s == 'b',
        },
        criteria=['mean', 'local'],
    )[1:]
    assert [line[1:4] for line in lines] == [
        ['epochs', 'mean', 'b, epoch 1'],
        ['epochs', 'local', 'a, epoch 2'],
        ['b', 'mean', 'b, epoch 1'],
        ['b', 'local', 'b, epoch 2'],
    ]


def test_missing_runs_leave_dashes(tmp_path):
    gone = [f'testa{seed}' for seed in (0, 1)]
    line = table(results(tmp_path, missing=gone))[1]
    assert line[3] == 'a, epoch 2' and line[-1] == '6/8'
    assert line[5:8] == ['–', '–', '–'] and line[8] == 'b, epoch 2'
    nothing = table([r._replace(run=None) for r in results(tmp_path / 'none')])
    assert nothing[1][3:11] == ['–'] * 8 and nothing[1][-1] == '0/8'


def poisoned(kind):
    """Test scores that are absent, absurd, or another table."""
    table = copy.deepcopy(TEST)
    for name, scores in table.items():
        if kind == 'nan':
            table[name] = [(NAN, NAN)] * 3
        elif kind == 'absurd':
            table[name] = [(1e9, -1e9), (-1e9, 1e9), (1e9, 1e9)]
        else:
            table[name] = [xy[::-1] for xy in scores]
    return table


@pytest.mark.parametrize('kind', ['nan', 'absurd', 'swapped'])
def test_no_test_score_moves_a_choice(kind, tmp_path):
    header, *clean = table(results(tmp_path / 'clean'))
    _, *other = table(results(tmp_path / kind, test=poisoned(kind)))
    end = header.index('test local')
    assert [x[:end] for x in other] == [x[:end] for x in clean]
    # The poison is seen by the columns that report test scores.
    assert [x[end:] for x in other] != [x[end:] for x in clean]
    _, *none = table(results(tmp_path / 'none', test={}))
    assert [x[:end] for x in none] == [x[:end] for x in clean]


def test_what_chooses_is_given_no_test_score():
    parameters = inspect.signature(selection.choose).parameters
    assert list(parameters) == ['validation', 'criterion', 'allowed']


def test_the_best_of_many_equal_settings_is_too_good_on_those_who_chose():
    """Forty settings of one worth: the chosen one's score is no such thing."""
    rng = np.random.default_rng(0)
    prompts = (GLOBAL, Prompt('personalized', 1))
    above = []
    for _ in range(30):
        both = []
        for _ in range(2):
            noise = rng.normal(30, 8, (40, 20, 2, 2))
            both.append(
                {
                    f'{i}': trajectory.Trajectory(
                        prompts,
                        scores,
                        np.zeros(20, int),
                        tuple(('', 0, j) for j in range(20)),
                        ('',) * 20,
                    )
                    for i, scores in enumerate(noise)
                }
            )
        validation, test = both
        choice = selection.choose(validation, 'local')
        oracle = selection.choose(test, 'local')
        place = prompts.index(choice.prompt)
        honest = test[choice.setting].scores[:, place, 0].mean()
        above.append((choice.score - 30, oracle.score - 30, honest - 30))
    seen, by_oracle, honest = np.mean(above, axis=0)
    assert seen > 3 and by_oracle > 3 and abs(honest) < 1


# The study


def test_the_study_has_each_setting_on_both_splits():
    found = read('selection')
    by_split = {
        split: [
            (p.config.data.partition, study.setting_of(p.overrides))
            for p in found
            if p.config.personalization.split == split
        ]
        for split in ('validation', 'test')
    }
    assert by_split['validation'] == by_split['test']
    assert len(set(by_split['test'])) == len(by_split['test']) == 3 * 6 * 4
    for point in found:
        p = point.config.personalization
        o = point.overrides
        assert o['personalization.learning_rate'] == p.learning_rate
        assert p.every == 1 and len(p.alphas) == 9
        remedy = study.setting_of(o).partition(', rate')[0]
        frozen = {'freeze-first': 'last(count=2)',
                  'freeze-last': 'first(count=2)'}  # fmt: skip
        assert p.rows == frozen.get(remedy, 'all')
        assert remedy in frozen or remedy == f'λ = {p.l2:g}'


def test_families_of_the_study():
    candidates = [
        ('λ = 0, rate 0.1', Prompt('personalized', 1)),
        ('λ = 0.001, rate 0.1', Prompt('personalized', 1)),
        ('λ = 0, rate 0.1', Prompt('averaged', 2, 0.5)),
        ('λ = 0.001, rate 0.1', Prompt('averaged', 2, 0.5)),
        ('freeze-last, rate 0.1', Prompt('personalized', 1)),
        ('freeze-first, rate 0.1', Prompt('averaged', 2, 0.5)),
    ]
    found = {
        name: [allowed(*c) for c in candidates]
        for name, allowed in study.FAMILIES.items()
    }
    yes, no = True, False
    assert found == {
        'rate, epochs': [yes, no, no, no, no, no],
        '+ λ': [yes, yes, no, no, no, no],
        '+ α': [yes, no, yes, no, no, no],
        '+ λ, α': [yes, yes, yes, yes, no, no],
        'frozen rows': [no, no, no, no, yes, no],
        'all': [yes] * 6,
    }
