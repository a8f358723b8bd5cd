"""How unlike the clients of a run are, by several measures."""

from collections.abc import Sequence
import json
import math
from typing import TYPE_CHECKING, Any

from fedprompt_jax.report import canvas
from fedprompt_jax.report.run import Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FILE = 'heterogeneity.json'
CAPTION = (
    'Left: mean divergence of a training client from all of them, with '
    'standard errors over clients; the mark is that of clients of the same '
    'sizes whose instances were drawn from all. Right: dispersion of the '
    "training clients' gradients at the global prompt, and of the evaluated "
    "clients' prompts after personalization; see docs/measures.md."
)
# Key of the record -> name. The first three are of gradients.
RIGHT = {
    ('gradients', 'dispersion'): 'gradients',
    ('gradients', 'noise'): 'gradients, sampling alone',
    ('gradients', 'corrected'): 'gradients, corrected',
    ('prompts', 'moved'): 'prompts, distance moved',
    ('prompts', 'dispersion'): 'prompts, dispersion',
}


def read(run: Run) -> dict[str, Any] | None:
    """heterogeneity.json of a run; None where it has none."""
    path = run.folder / FILE
    return json.loads(path.read_text('utf-8')) if path.is_file() else None


def draw(runs: Sequence[Run]) -> 'Figure | None':
    """Two panels, of one run that has measured its clients."""
    if len(runs) != 1 or (record := read(runs[0])) is None:
        return None
    figure = canvas.blank(9.2, 4.4)
    left, right = figure.subplots(1, 2)
    kinds = {f'KL, {name}': x for name, x in record['kl'].items()}
    kinds['JS, words'] = record['vocabulary']
    names = list(kinds)
    left.barh(
        names,
        [_number(x['mean']) for x in kinds.values()],
        xerr=[_number(x['se']) for x in kinds.values()],
        color=canvas.BLUE,
    )
    left.plot(
        [_number(x['shuffled']) for x in kinds.values()],
        names,
        'D',
        color=canvas.ORANGE,
        label='clients drawn from all',
    )
    left.set_xlabel('divergence from all clients (nats)')
    left.set_title('Training clients')
    left.legend(loc='best', fontsize=8)
    found = {n: _number(record[a][b]) for (a, b), n in RIGHT.items()}
    right.barh(list(found), list(found.values()), color=canvas.GREEN)
    right.set_xlabel('of ‖g‖² (gradients) or ‖P‖ (prompts)')
    right.set_title('Dispersion')
    return figure


def _number(value: float | None) -> float:
    """A number of a JSON file, in which NaN is null."""
    return math.nan if value is None else value
