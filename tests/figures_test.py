"""The contract of every figure of the report, whoever adds it.

A file in fedprompt_jax/report/figures is tested here unasked.
"""

import html
import json
import re
import sys
import warnings

import numpy as np
import pytest

from fedprompt_jax.experiment import run as run_lib
from fedprompt_jax.experiment.run_folder import RunFolder
from fedprompt_jax.report import canvas, figures, page
from fedprompt_jax.report.figures import tradeoff
from fedprompt_jax.report.run import Run
from tests.tiny_report import make_run, metrics, rows_of, scores

NEW = ('chosen by example', 'mean of neighbours')


def with_new_labels():
    return [
        *scores(),
        *rows_of(NEW[0], [15, 20, 25], [23, 24, 25], 1, 1.0),
        *rows_of(NEW[1], [9, 8, 7], 6),
    ]


@pytest.fixture(scope='module')
def folders(tmp_path_factory):
    """Two runs, one of which has labels that the package does not know."""
    place = tmp_path_factory.mktemp('runs')
    make_run(place / 'plain')
    make_run(place / 'new', with_new_labels, selection='exact_match')
    (place / 'nothing').mkdir()
    return place


def of(folders, *names: str) -> list[Run]:
    return [Run(folders / name) for name in names]


@pytest.fixture(params=figures.names())
def figure(request):
    return figures.get(request.param)


def test_its_captions_are_text_that_names_the_score(figure):
    captions = [figure.CAPTION, getattr(figure, 'CAPTION_OF_SEVERAL', 'x')]
    for caption in captions:
        assert isinstance(caption, str)
        assert caption.format(score='ROUGE-L').strip()


def test_without_data_there_is_no_figure(figure, folders):
    for names in ((), ('nothing',), ('nothing', 'nothing')):
        assert figure.draw(of(folders, *names)) is None


@pytest.mark.parametrize('names', [('plain',), ('new',), ('plain', 'new')])
def test_it_draws_the_same_bytes_again_and_raises_nothing(
    figure, folders, names
):
    import matplotlib
    from matplotlib.figure import Figure

    drawn = []

    def draw(runs):
        drawn.append(figure.draw(runs))
        return drawn[-1]

    with warnings.catch_warnings():
        warnings.simplefilter('error')
        first = canvas.png(draw, of(folders, *names))
        with matplotlib.rc_context({'font.size': 30}):
            assert canvas.png(draw, of(folders, *names)) == first
    assert all(isinstance(x, Figure) for x in drawn) == (first is not None)
    assert all(x is None for x in drawn) == (first is None)


def test_a_run_without_data_changes_nothing_but_the_form(figure, folders):
    """It is neither a line nor a name in the legend."""
    with_it = figure.draw(of(folders, 'nothing', 'plain'))
    if with_it is not None:
        texts = {t.get_text() for box in with_it.legends for t in box.texts}
        assert not any('nothing' in text for text in texts)
        assert any('plain' in text for text in texts)


def test_two_runs_are_told_apart_by_name_colour_and_marker(folders):
    runs = [Run(folders / 'plain', name) for name in ('a', 'b', 'c')]
    for name in ('tradeoff', 'training'):
        drawing = figures.get(name).draw(runs)
        handles, labels = drawing.axes[0].get_legend_handles_labels()
        styles = {
            label[0]: style_of(handle)
            for handle, label in zip(handles, labels, strict=True)
            if label[0] in 'abc'
        }
        assert len(set(styles.values())) == 3, name


def test_a_run_has_one_style_in_all_figures(folders):
    """Also where one before it lacks what a figure shows."""
    runs = [Run(folders / 'nothing', 'a'), Run(folders / 'plain', 'b')]
    for name in ('tradeoff', 'training'):
        drawing = figures.get(name).draw(runs)
        handles, labels = drawing.axes[0].get_legend_handles_labels()
        (style,) = [
            style_of(handle)
            for handle, label in zip(handles, labels, strict=True)
            if label[0] == 'b'
        ]
        assert style == canvas.style_of(1), name


def test_56_runs_have_56_styles():
    assert len({canvas.style_of(n) for n in range(56)}) == 56


def style_of(handle) -> tuple[str, str]:
    line = getattr(handle, 'lines', [handle])[0]
    return line.get_color(), line.get_marker()


def test_a_new_label_is_drawn_in_a_style_of_its_own(folders):
    (run,) = of(folders, 'new')
    drawing = tradeoff.draw([run])
    left, right = (ax.get_legend_handles_labels() for ax in drawing.axes)
    both = [left[0][left[1].index(label)] for label in NEW]
    assert len({style_of(handle) for handle in both}) == 2
    known = {marker for marker, _ in tradeoff._MARKERS.values()}
    assert not known & {style_of(handle)[1] for handle in both}
    x, y = both[0].lines[0].get_xydata()[0]
    assert (x, y) == (10, 12)  # exact match, the half of ROUGE-L
    shown = {text.get_text() for text in drawing.legends[0].get_texts()}
    assert shown >= set(NEW)
    # A shared prompt may be far away from those that clients train.
    assert NEW[0] in right[1] and NEW[1] not in right[1]


def test_the_line_of_a_run_is_its_training_loss(folders):
    drawing = figures.get('training').draw(of(folders, 'plain', 'new'))
    left, right = drawing.axes
    expected = [x['loss'] for x in metrics() if x['stage'] == 'train']
    for line in left.lines:
        np.testing.assert_array_equal(line.get_ydata(), expected)
    assert len(left.lines) == len(right.lines) == 2


def one_run_has(folders) -> list[str]:
    """The figures of the package that one run has."""
    runs = of(folders, 'plain')
    shipped = [n for n in figures.names() if n not in ('faulty', 'zz_new')]
    return [n for n in shipped if figures.get(n).draw(runs) is not None]


@pytest.fixture
def add(tmp_path, monkeypatch):
    """Adds files to the figures."""
    place = tmp_path / 'added'
    place.mkdir()
    monkeypatch.setattr(figures, '__path__', [*figures.__path__, str(place)])

    def add_file(name: str, text: str) -> None:
        (place / f'{name}.py').write_text(text)
        module = f'{figures.__name__}.{name}'
        monkeypatch.setitem(sys.modules, module, None)
        del sys.modules[module]  # at the end of the test once more

    return add_file


RAISES = "CAPTION = ''\n\n\ndef draw(runs):\n    raise KeyError('loss')\n"
DRAWS = """CAPTION = 'Of {score}.'

from fedprompt_jax.report import canvas

def draw(runs):
    return canvas.blank(1, 1)
"""


def test_a_new_file_is_on_the_page_behind_the_others(add, folders):
    add('zz_new', DRAWS)
    text = page.write(folders / 'plain').read_text('utf-8')
    *_, last = re.findall(r'alt="([^"]*)"><figcaption>([^<]*)<', text)
    assert last == ('zz_new', 'Of ROUGE-L.')
    assert (folders / 'plain' / 'figures' / 'zz_new.png').is_file()


@pytest.mark.parametrize(
    ('text', 'error'),
    [
        (RAISES, "KeyError: 'loss'"),
        (DRAWS.replace('CAPTION', 'TEXT'), 'AttributeError: '),
        (DRAWS.replace('score', 'sco'), "KeyError: 'sco'"),
        ('import nothing_like_it\n', 'ModuleNotFoundError: '),
    ],
    ids=['raises', 'no caption', 'another brace', 'an import'],
)
def test_a_faulty_figure_is_reported_and_the_run_is_complete(
    add, tmp_path, text, error
):
    add('faulty', text)
    run = RunFolder(tmp_path / 'run', {}, {})
    run.update_info(fingerprints={})
    run_lib.finish(run)
    assert run.finished
    run.check_complete()
    (warning,) = run.info['warnings']
    assert warning.startswith(f'The figure faulty could not be drawn: {error}')
    written = (tmp_path / 'run' / 'report.html').read_text('utf-8')
    assert f'<p class="warning">{html.escape(warning)}</p>' in written


def test_a_page_reports_the_failures_of_its_own_drawing(add, folders):
    """Others are drawn; and a figure that is repaired is not reported."""
    add('faulty', RAISES)
    reported = []
    text = page.write(folders / 'plain', reported.append).read_text('utf-8')
    sound = text.count('<img')
    assert len(reported) == 1 and sound == len(one_run_has(folders))
    assert text.count('could not be drawn') == 1
    info = json.loads((folders / 'plain' / 'run.json').read_text())
    make_run(folders / 'later', **info, warnings=['Other.', *reported])
    add('faulty', DRAWS)
    text = page.write(folders / 'later').read_text('utf-8')
    shown = re.findall(r'<p class="warning">([^<]*)<', text)
    assert shown[0] == 'Other.' and text.count('<img') == sound + 1
    assert not any('could not be drawn' in x for x in shown)
