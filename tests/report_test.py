"""The report of a run folder: means by hand, figures and one safe page."""

import csv
import html.parser
import json
import math
import re
import subprocess
import sys
import warnings

import numpy as np
import pytest

from fedprompt_jax.report import (
    __main__ as command,
)
from fedprompt_jax.report import (
    costs,
    drawing,
    page,
    points,
    records,
    summary,
)
from fedprompt_jax.report.run import Run

NAN = math.nan
EVIL = '<script>alert("x")</script>'


def _rows(prompt, local, common, epoch=0, alpha=0.0):
    """A row a client x split; `common` is one score or one a client."""
    common = np.broadcast_to(common, len(local))
    return [
        {
            'run': 'r',
            'prompt': prompt,
            'seed': 0,
            'client': 100 + i,
            'client_name': f'clinic {i}' if i else '',
            'epoch': epoch,
            'alpha': alpha,
            'lambda': 0.0,
            'split': split,
            'rouge_l': float(score),
            'exact_match': float(score) / 2,
            'loss': 1.0,
            'n': 8,
        }
        for i, pair in enumerate(zip(local, common, strict=True))
        for split, score in zip(('local', 'global'), pair, strict=True)
    ]


def _scores():
    return [
        *_rows('bare', [1, 2, 3], 5),
        *_rows('initial', [2, 3, 4], 4),
        *_rows('global', [10, 20, 30], 25),
        *_rows('personalized', [11, 22, 33], [24, 24, 24], 1, 1.0),
        *_rows('personalized', [14, NAN, 38], [20, NAN, 23], 2, 1.0),
        *_rows('averaged', [13, NAN, 35], [22, NAN, 24], 2, 0.75),
        *_rows('averaged', [12, NAN, 33], [23, NAN, 24], 2, 0.5),
    ]


def _metrics(rounds=3):
    yield {'stage': 'validation', 'round': 0, 'rouge_l': 4.0, 'seconds': 1.0}
    for r in range(1, rounds + 1):
        yield {
            'stage': 'train',
            'round': r,
            'loss': 5.0 - r,
            'prompt_norm': 40.0,
            'client_grad_norm': None if r == 2 else 0.5,
            'update_norm': 1.0 / r,
            'bytes_up': 2048,
            'bytes_down': 4096,
            'tokens': 1000,
            'flops': 2e12,
            'seconds': 6.0,
            'clients_dropped': int(r == 2),
        }
        score = {1: 6.0, 2: 8.0, 3: 8.0}[r]
        yield {'stage': 'validation', 'round': r, 'rouge_l': score}
    yield {'stage': 'personalize', 'epoch': 1, 'loss': 2.0, 'seconds': 2.0}
    yield {'stage': 'score', 'prompt': 'bare', 'epoch': 0, 'seconds': 3.0}


def _write_scores(folder, rows):
    with open(folder / 'tradeoff.csv', 'w', newline='') as file:
        writer = csv.DictWriter(file, records.TRADEOFF_FIELDS)
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def make(tmp_path):
    """Makes a run folder; what is None is not written."""

    def make_run(name='run', scores=_scores, rounds=3, **info):
        folder = tmp_path / name
        folder.mkdir()
        config = {
            'name': 'fedavg',
            'loss': 'sequence',
            'clients_per_round': 2,
            'prompt': {'text': EVIL},
        }
        (folder / 'config.json').write_text(json.dumps(config))
        info = {'command': f'main.py {EVIL}', 'seconds': 40.0} | info
        (folder / 'run.json').write_text(json.dumps(info))
        lines = (json.dumps(x) + '\n' for x in _metrics(rounds))
        (folder / 'metrics.jsonl').write_text(''.join(lines))
        if scores:
            _write_scores(folder, scores())
        return folder

    return make_run


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
    rows = _scores()
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
    shared = _row(_scores(), 'global prompt')
    assert shared['global']['rouge_l'].mean == 25
    assert math.isnan(shared['global']['rouge_l'].se)
    assert shared['local']['rouge_l'].se == pytest.approx(10 / math.sqrt(3))


def test_gains_are_paired_and_a_dropped_client_is_in_neither_side():
    gain = summary.paired_gain(_scores(), 'local')
    assert (gain.mean, gain.clients) == (6, 2)  # 14 - 10 and 38 - 30
    assert (gain.low, gain.high) == (4, 8)
    assert gain == summary.paired_gain(_scores()[::-1], 'local')


def test_gains_without_spread_or_without_pairs_are_told_quietly():
    same = _rows('global', [1, 2], 5) + _rows('personalized', [2, 3], 5, 1)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        assert summary.paired_gain(same, 'local') == (1, 1, 1, 2)
        one = summary.paired_gain(same[:2] + same[4:6], 'local')
        text = summary.text_table(same[:2])
    assert (one.mean, one.clients) == (1, 1) and math.isnan(one.low)
    assert 'no client' in text


def test_the_printed_tables_say_the_same_in_80_columns():
    rows = _scores()
    text, markdown = summary.text_table(rows), summary.markdown_table(rows)
    assert max(map(len, text.splitlines())) <= 80
    for table in (text, markdown):
        assert '26.00 ± 12.00' in table and '2 of 3' in table
        assert 'local +6.00 [+4.00 to +8.00, n = 2]' in ' '.join(table.split())
    assert '25.00 ±' not in text


def test_scores_survive_the_disk(make):
    back = records.read_tradeoff(make())
    assert json.dumps(back) == json.dumps(
        [{k: r[k] for k in back[0]} for r in _scores()]
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
    rows = _rows('global', [10, 20], 25) + _rows('personalized', [5, 9], 3, 1)
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
    names = ['tradeoff', 'clients', 'training', 'norms']
    assert [d.name for d in first] == names and not failures
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
        one = _rows('personalized', [2], 4, 3, 1.0)
        return _rows('bare', [0], 1) + _rows('global', [1], 5) + one

    def anchors():
        return _rows('bare', [0, 1], 1) + _rows('global', [1, 2], 5)

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
        found = [p.stem for p in (folder / 'figures').glob('*.png')]
        assert sorted(found) == sorted(figures), name
        assert text.count('<img') == len(figures), name


def test_costs_by_hand(make):
    lines = records.read_metrics(make())
    _, up, down = costs.traffic(lines, 2)
    assert up[1:] == ['1.0 KiB', '2.0 KiB', '6.0 KiB']
    assert down[1:] == ['2.0 KiB', '4.0 KiB', '12.0 KiB']
    table = {row[0]: row[1:] for row in costs.computation(lines, 40.0)}
    assert table['training'] == ['18.0', '45.0 %', '3,000', '6e+12']
    assert table['evaluation'][:2] == ['4.0', '10.0 %']  # validation, scores
    assert table['in all'][0] == '40.0'
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
    assert len(sources) == 4
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
