"""The report of a run folder: means by hand, figures and one safe page."""

import html.parser
import json
import math
import re
import subprocess
import sys
import warnings

import pytest

from fedprompt_jax.report import __main__ as command
from fedprompt_jax.report import (
    costs,
    drawing,
    page,
    points,
    records,
    summary,
)
from fedprompt_jax.report.run import Run
from tests.tiny_report import EVIL, NAN, make_run, rows_of, scores

# A new figure is another one; figures_test.py tests it.
SHIPPED = ['tradeoff', 'clients', 'training', 'norms']


@pytest.fixture
def make(tmp_path):
    """Makes a run folder in the test's folder."""

    def in_folder(name='run', **settings):
        return make_run(tmp_path / name, **settings)

    return in_folder


def _row(rows, label):
    return next(r for r in summary.table(rows) if r['label'] == label)


def test_a_mean_is_over_the_scores_there_are_and_counts_the_others():
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        assert summary.mean_of([10, 20, NAN, 30]) == (
            20,
            pytest.approx(10 / math.sqrt(3)),
            3,
            1,
        )
        one, none = summary.mean_of([7]), summary.mean_of([NAN])
    assert one.mean == 7 and math.isnan(one.se) and one.clients == 1
    assert math.isnan(none.mean) and (none.clients, none.dropped) == (0, 1)


def test_the_table_has_the_anchors_and_the_last_epoch():
    rows = scores()
    assert [r['label'] for r in summary.table(rows)] == [
        'bare model',
        'initial prompt',
        'global prompt',
        'personalized prompt',
        'averaged, α = 0.5',
        'averaged, α = 0.75',
    ]
    own = _row(rows, 'personalized prompt')
    assert own['epoch'] == 2
    assert own['local']['rouge_l'] == (26, pytest.approx(12), 2, 1)
    assert own['global']['rouge_l'] == (21.5, pytest.approx(1.5), 2, 1)
    assert own['local']['exact_match'].mean == 13


def test_one_score_of_a_shared_prompt_has_no_spread():
    shared = _row(scores(), 'global prompt')
    assert shared['global']['rouge_l'].mean == 25
    assert math.isnan(shared['global']['rouge_l'].se)
    assert shared['local']['rouge_l'].se == pytest.approx(10 / math.sqrt(3))


def test_a_new_label_follows_the_known_ones_by_its_own_words():
    rows = [
        *rows_of('chosen_by_example', [1, 2, 9], [5, 6, 7], 1),
        *rows_of('neighbours', [1, 2, 3], 5),
        *scores(),
        *rows_of('chosen_by_example', [1, 2, 3], [5, 6, 7], 2),
        *rows_of('mixed', [1, 2, 3], [5, 6, 7], 2, 0.5),
        *rows_of('mixed', [2, 3, 4], [5, 6, 7], 2, 0.25),
    ]
    labels = [r['label'] for r in summary.table(rows)]
    assert labels[:-4] == [r['label'] for r in summary.table(scores())]
    assert labels[-4:] == [
        'chosen by example',
        'neighbours',
        'mixed, α = 0.25',
        'mixed, α = 0.5',
    ]
    last = _row(rows, 'chosen by example')
    assert (last['epoch'], last['local']['rouge_l'].mean) == (2, 2)
    assert _row(rows, 'mixed, α = 0.25')['local']['rouge_l'].mean == 3
    assert 'global, neighbours) has one' in ' '.join(summary.footnotes(rows))


def test_a_long_label_leaves_columns_below_each_other():
    long = 'an average of the prompts of neighbours'
    rows = [*scores(), *rows_of(long, [1, 2, 3], [5, 6, 7], 2)]
    lines = summary.text_table(rows).splitlines()
    block = lines[1 : lines.index('')]
    assert any(line.startswith(f'{long}  ') for line in block)
    assert len({len(line) for line in block}) == 1


@pytest.mark.parametrize(
    ('common', 'epoch', 'clients', 'shared'),
    [
        (5, 0, 3, True),
        ([5, 5, 6], 0, 3, False),
        (5, 1, 3, False),  # trained by each client
        (5, 0, 1, False),  # of one client nothing can be said
    ],
)
def test_a_new_prompt_is_shared_if_its_global_scores_are_one(
    common, epoch, clients, shared
):
    local = [1, 2, 3][:clients]
    rows = rows_of('new', local, common, epoch)
    # Another run, or another seed, has another shared prompt.
    rows += [r | {'seed': 1} for r in rows_of('new', local, 7, epoch)]
    assert summary.is_shared('new', rows) == shared
    (row,) = summary.table(rows)
    assert row['shared'] == shared
    assert math.isnan(row['global']['rouge_l'].se) == shared


def test_gains_are_paired_and_a_dropped_client_is_in_neither_side():
    gain = summary.paired_gain(scores(), 'local')
    assert (gain.mean, gain.clients) == (6, 2)  # 14 - 10 and 38 - 30
    assert (gain.low, gain.high) == (4, 8)
    assert gain == summary.paired_gain(scores()[::-1], 'local')


def test_gains_without_spread_or_without_pairs_are_told_quietly():
    same = rows_of('global', [1, 2], 5) + rows_of('personalized', [2, 3], 5, 1)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        assert summary.paired_gain(same, 'local') == (1, 1, 1, 2)
        one = summary.paired_gain(same[:2] + same[4:6], 'local')
        text = summary.text_table(same[:2])
    assert (one.mean, one.clients) == (1, 1) and math.isnan(one.low)
    assert 'no client' in text


def test_the_printed_tables_say_the_same_in_80_columns():
    rows = scores()
    text, markdown = summary.text_table(rows), summary.markdown_table(rows)
    assert max(map(len, text.splitlines())) <= 80
    for table in (text, markdown):
        assert '26.00 ± 12.00' in table and '2 of 3' in table
        assert 'local +6.00 [+4.00 to +8.00, n = 2]' in ' '.join(table.split())
    assert '25.00 ±' not in text


def test_scores_survive_the_disk(make):
    back = records.read_tradeoff(make())
    assert json.dumps(back) == json.dumps(
        [{k: r[k] for k in back[0]} for r in scores()]
    )
    assert set(back[0]) == set(records.TRADEOFF_FIELDS)


@pytest.mark.parametrize(
    ('old', 'new', 'told'),
    [
        ('rouge_l', 'rouge', "lacks the column(s) ['rouge_l']"),
        ('bare,0', 'bare,x', ":2: seed='x' must be a number"),
        ('local', 'locale', ":2: split='locale' must be one of local, global"),
        ('r,bare', 'r,', ':2: prompt must not be empty'),
    ],
)
def test_a_faulty_score_names_its_place(make, old, new, told):
    path = make() / 'tradeoff.csv'
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(ValueError) as e:
        records.read_tradeoff(path.parent)
    assert told in str(e.value)


def test_a_line_cut_off_by_a_kill_is_left_out_and_no_other(make):
    path = make() / 'metrics.jsonl'
    whole = records.read_metrics(path.parent)
    assert math.isnan(whole[3]['client_grad_norm'])  # null
    path.write_text(path.read_text() + '{"stage": "tra')
    assert len(records.read_metrics(path.parent)) == len(whole)
    path.write_text(path.read_text() + '\n')
    with pytest.raises(ValueError, match=f':{len(whole) + 1} is no JSON'):
        records.read_metrics(path.parent)


def test_the_starred_round_is_the_one_that_goes_on(make):
    assert Run(make()).chosen_validation['round'] == 2  # of equals
    assert Run(make('told', chosen_round=3)).chosen_validation['round'] == 3
    assert Run(make('late', chosen_round=9)).chosen_validation is None


def _of_choices():
    """Scores whose accuracy and ROUGE-L disagree."""
    rows = rows_of('global', [10, 20], 25) + rows_of(
        'personalized', [5, 9], 3, 1
    )
    return [r | {'exact_match': 100 - r['rouge_l']} for r in rows]


def test_a_table_of_choices_begins_with_accuracy(make):
    rows = _of_choices()
    text = summary.text_table(rows, 'nats', 'exact_match')
    assert max(map(len, text.splitlines())) <= 80
    header = text.splitlines()[1].split()
    assert header == ['prompt', 'accuracy', 'loss', 'ROUGE-L', 'clients']
    notes = ' '.join(text.split())
    assert 'Accuracy and ROUGE-L are x100' in notes
    assert 'Paired gain in accuracy' in notes and 'local +8.00 [' in notes
    markdown = summary.markdown_table(rows, 'nats', 'exact_match')
    assert markdown.startswith('| prompt | local accuracy | local loss |')
    assert 'local -8.00 [' in ' '.join(summary.text_table(rows).split())


def test_figures_and_page_of_choices_show_accuracy(make):
    folder = make(scores=_of_choices, selection='exact_match')
    other = make('rouge', scores=_of_choices)
    text = page.write(folder).read_text('utf-8')
    for words in ('local accuracy while', 'and accuracy of the global prompt'):
        assert words.removeprefix('local ') in text
    page.write(other)
    for name in ('tradeoff', 'clients', 'training'):
        ours, theirs = (f / 'figures' / f'{name}.png' for f in (folder, other))
        assert ours.read_bytes() != theirs.read_bytes(), name
    assert points.axes('exact_match')['xlabel'].startswith('local accuracy')
    found = points.points(_of_choices(), 'global', 'exact_match')
    assert sorted(found.values()) == [(80, 75), (90, 75)]


def test_the_starred_round_of_choices_has_the_best_accuracy(make):
    scores = [(1, 9.0, 40.0), (2, 8.0, 60.0), (3, 7.0, 60.0)]
    lines = [
        {'stage': 'validation', 'round': r, 'rouge_l': x, 'exact_match': a}
        for r, x, a in scores
    ]
    for metric, best in (('exact_match', 2), ('rouge_l', 1)):
        folder = make(metric, selection=metric)
        text = ''.join(json.dumps(line) + '\n' for line in lines)
        (folder / 'metrics.jsonl').write_text(text)
        assert Run(folder).chosen_validation['round'] == best


def test_the_table_of_scores_can_break_its_lines(make):
    """Else it is wider than a page of 1,100 pixels."""
    text = page.write(make()).read_text('utf-8')
    assert '<th>local <span>exact match</span></th>' in text
    assert '<td>26.00 <span>± 12.00</span></td>' in text
    (table,) = re.findall(r'<table class="scores">.*?</table>', text, re.S)
    assert '<table' not in table[1:]


def test_the_same_data_gives_the_same_pictures(make):
    import matplotlib

    first, failures = drawing.draw_all([Run(make('a'))])
    names = [d.name for d in first]
    assert names[:4] == SHIPPED and not failures
    folder = make('b')
    with matplotlib.rc_context({'figure.facecolor': 'red', 'font.size': 30}):
        page.write(folder)
    for d in first:
        written = folder / 'figures' / f'{d.name}.png'
        assert d.png == written.read_bytes()
        assert b'matplotlib' not in d.png
    written = sorted(p.name for p in (folder / 'figures').iterdir())
    assert written == sorted(f'{name}.png' for name in names)


def test_what_a_run_does_not_have_is_left_out(make):
    def one_client():
        one = rows_of('personalized', [2], 4, 3, 1.0)
        return rows_of('bare', [0], 1) + rows_of('global', [1], 5) + one

    def anchors():
        return rows_of('bare', [0, 1], 1) + rows_of('global', [1, 2], 5)

    cases = {
        'untrained': ({'rounds': 0}, ['tradeoff', 'clients']),
        'killed': ({'scores': None}, ['training', 'norms']),
        'one client': (
            {'scores': one_client, 'rounds': 0},
            ['tradeoff', 'clients'],
        ),
        'no epochs': ({'scores': anchors, 'rounds': 0}, ['tradeoff']),
        'nothing': ({'scores': list, 'rounds': 0}, []),
    }
    for name, (settings, figures) in cases.items():
        folder = make(name, **settings)
        with warnings.catch_warnings():
            warnings.simplefilter('error')
            text = page.write(folder).read_text('utf-8')
        drawn = {p.stem for p in (folder / 'figures').glob('*.png')}
        assert drawn & {*SHIPPED} == {*figures}, name
        assert text.count('<img') == len(drawn), name


def test_costs_by_hand(make):
    lines = records.read_metrics(make())
    _, up, down = costs.traffic(lines, 2)
    assert up[1:] == ['1.0 KiB', '2.0 KiB', '6.0 KiB']
    assert down[1:] == ['2.0 KiB', '4.0 KiB', '12.0 KiB']
    table = {row[0]: row[1:] for row in costs.computation(lines, 40.0)}
    assert table['training'] == ['18.0', '45.0 %', '3,000', '6e+12']
    assert table['evaluation'][:2] == ['4.0', '10.0 %']  # validation, scores
    assert table['in all'][0] == '40.0'
    of_all = 4.0 / sum(line.get('seconds', 0.0) for line in lines)
    assert costs.evaluation_share(lines) == pytest.approx(of_all)
    assert f'Scoring took {100 * of_all:.0f} % of' in costs.evaluation(lines)
    # What comes before the rounds is no evaluation.
    more = [*lines, {'stage': 'distill', 'step': 1, 'seconds': 6.0}]
    table = {row[0]: row[1:] for row in costs.computation(more, 40.0)}
    assert table['evaluation'][0] == '4.0'
    assert table['before the rounds'][0] == '6.0'
    assert math.isnan(costs.evaluation_share([]))
    assert '1 client update(s)' in costs.dropped(lines)[0]
    assert costs.traffic([], None)[1][1:] == ['–', '–', '0 bytes']


class _Page(html.parser.HTMLParser):
    """Fails on a tag that is not closed in its place; keeps the rest."""

    def __init__(self):
        super().__init__()
        self.open, self.attributes, self.tags = [], [], set()
        self.words = ''

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs
        if tag not in ('meta', 'img'):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words += data


def test_the_page_is_whole_and_needs_nothing_beside_it(make):
    folder = make(warnings=[EVIL], versions={'jax': EVIL}, devices=[EVIL])
    text = page.write(folder).read_text('utf-8')
    parser = _Page()
    parser.feed(text)
    parser.close()
    assert parser.open == []
    assert not parser.tags & {'script', 'link', 'iframe'}
    sources = [v for k, v in parser.attributes if k in ('src', 'href')]
    assert len(sources) >= len(SHIPPED)
    assert all(s.startswith('data:image/png;base64,') for s in sources)
    assert 'http:' not in text and 'https:' not in text
    # Command, warning, config; and all of run.json once more.
    assert parser.words.count(EVIL) == 3 + 4
    for part in ('26.00 ± 12.00', 'Every round', 'validation rouge_l'):
        assert part in parser.words


def test_the_command_writes_a_report_again(make, capsys):
    folder = make()
    (folder / 'report.html').write_text('old')
    command.main([str(folder)])
    assert capsys.readouterr().out.strip() == str(folder / 'report.html')
    assert (folder / 'report.html').read_text('utf-8').startswith('<!doctype')


def contents(folder):
    files = (p for p in folder.rglob('*') if p.is_file())
    return {p: p.read_bytes() for p in files}


def test_the_command_compares_runs_and_changes_none(make, tmp_path, capsys):
    ends = ('a/one', 'a/two', 'b/two', 'killed')
    for end in ends:
        (tmp_path / end).parent.mkdir(exist_ok=True)
    folders = [make(end, scores=scores) for end in ends[:3]]
    folders.append(make('killed', scores=None))
    before = contents(tmp_path)
    output = tmp_path / 'out' / 'both'
    command.main([*map(str, folders), f'--output={output}'])
    path = output / 'report.html'
    assert capsys.readouterr().out.strip() == str(path)
    text = path.read_text('utf-8')
    assert re.findall('<h2>(.*?)</h2>', text) == list(
        'a/one a/two b/two x/killed'.replace('x', tmp_path.name).split()
    )
    assert text.count('<table class="scores">') == 3
    assert text.count('It has no scores yet.') == 1
    pictures = {p.stem for p in (output / 'figures').iterdir()}
    assert pictures & {*SHIPPED} == {'tradeoff', 'training'}
    assert text.count('<img') == len(pictures)
    after = contents(tmp_path)
    assert {p: after[p] for p in before} == before
    assert EVIL not in text


def test_what_cannot_be_compared_is_refused_and_nothing_written(
    make, tmp_path, capsys
):
    one, two, out = make('one'), make('two'), tmp_path / 'out'
    before = contents(tmp_path)
    for argv, message in (
        ([one, two], '2 runs need --output=DIR'),
        ([one, f'--output={out}'], 'leave out --output'),
        ([one, tmp_path / 'x', f'--output={out}'], 'x is no run folder'),
        ([one, f'{two}/../one', f'--output={out}'], 'is given twice'),
        ([one, two, f'--output={two}'], 'two is a run folder; give'),
        ([one, two, f'--output={one / "run.json"}'], 'File exists'),
    ):
        with pytest.raises(SystemExit) as e:
            command.main(list(map(str, argv)))
        assert e.value.code == 2
        assert message in ' '.join(capsys.readouterr().err.split())
    assert contents(tmp_path) == before and not out.exists()


def test_a_folder_of_something_else_ends_it_with_2(tmp_path, make, capsys):
    broken = make()
    (broken / 'run.json').write_text('[1')
    for folder, told in (
        (tmp_path / 'none', 'is no run folder'),
        (broken, 'run.json holds no JSON object'),
    ):
        with pytest.raises(SystemExit) as e:
            command.main([str(folder)])
        assert e.value.code == 2
        assert told in capsys.readouterr().err


def test_it_starts_without_the_slow_imports():
    code = (
        'import sys, fedprompt_jax.report.__main__;'
        'sys.exit(bool({"jax", "matplotlib", "scipy"} & set(sys.modules)))'
    )
    subprocess.run([sys.executable, '-c', code], check=True)


def test_an_empty_score_is_none(make):
    path = make() / 'tradeoff.csv'
    text = path.read_text()
    assert ',local,1.0,0.5,' in text
    path.write_text(text.replace(',local,1.0,0.5,', ',local,,0.5,', 1))
    row = records.read_tradeoff(path.parent)[0]
    assert math.isnan(row['rouge_l']) and row['exact_match'] == 0.5


def test_seconds_of_one_of_several_starts_are_not_those_of_the_run(make):
    """run.json has the seconds of the last start alone."""
    for starts, rest in ((['a'], '34.0'), (['a', 'b'], '–')):
        folder = make(f'{len(starts)}', scores=None, rounds=0, starts=starts)
        page.write(folder)
        text = (folder / 'report.html').read_text('utf-8')
        assert f'<td>rest: start, figures</td><td>{rest}</td>' in text


def test_a_loss_is_in_the_unit_of_the_config(make):
    folder = make()
    for loss, unit in (
        ('sequence', 'nats an example, summed over its target'),
        ('example', 'nats a target token, mean over examples'),
        ('token', 'nats a target token'),
    ):
        (folder / 'config.json').write_text(json.dumps({'loss': loss}))
        assert Run(folder).loss_unit == unit


def test_an_initial_prompt_is_never_the_starred_one(make):
    folder = make()
    lines = [
        {'stage': 'validation', 'round': r, 'rouge_l': x, 'loss': y}
        for r, x, y in ((0, 9.0, 1.0), (1, 8.0, 3.0), (2, 8.0, 2.0))
    ]
    text = ''.join(json.dumps(line) + '\n' for line in lines)
    (folder / 'metrics.jsonl').write_text(text)
    assert Run(folder).chosen_validation['round'] == 2


def test_the_lost_prompts_of_the_last_epoch_are_reported():
    lines = [
        {'stage': 'personalize', 'epoch': e, 'clients_dropped': n}
        for e, n in ((1, 2), (2, 3))
    ]
    (sentence,) = costs.dropped(lines)
    assert 'lost 3 client(s)' in sentence


def test_the_global_gain_is_of_global_scores():
    gain = summary.paired_gain(scores(), 'global')
    assert (gain.mean, gain.clients) == (-3.5, 2)  # 20 - 25 and 23 - 25
