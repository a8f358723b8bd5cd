"""Prompt, prefix, LoRA, IA3 and adapters at equal trials, tokens and bytes.

    python -m fedprompt_jax.study \\
        --study=configs/studies/profit/equal_budget.py \\
        --config=configs/fedavg_adam.py

The paper has prompts alone. Every kind is tried with the same learning rates,
reads the same batches, and validation chooses its rate. First each kind has the
size of the config; then all have about as many numbers as IA3, which has no
size to choose.
"""

from pathlib import Path

from configs.studies.profit import settings
from fedprompt_jax.planning.plan import trained_numbers
from fedprompt_jax.report import statistics
from fedprompt_jax.report import trajectory as trajectory_lib
from fedprompt_jax.study import trajectories, tuning

# Kind -> the key of its size.
SIZES = {
    'prompt': 'prompt.length',
    'prefix': 'prefix.length',
    'lora': 'lora.rank',
    'ia3': '',
    'adapter': 'adapter.width',
}
# Adapters behind the MLP alone: of width 1 at both places they send more.
SMALL = {'adapter': {'adapter.places': 'mlp'}}
CACHE = Path('~/.cache/fedprompt_jax').expanduser()
RATES = (0.01, 0.03, 0.1)  # of clients and server; see SHARE
SHARE = 0.3  # of that rate at which clients personalize, as the config has it
RATE = 'client.learning_rate'
SHIPPED, EQUAL = "each kind's own size", 'as many bytes as IA3'
COLUMNS = ('hypervolume', 'best_local', 'local_gain', 'global_gain')
CAPTION = (
    'Kinds of trained parameters at equal trials and tokens: trajectories of '
    'personalization at the learning rate that validation clients chose among '
    'three, high heterogeneity. Left, the sizes of the config; right, those '
    'with which a client sends about as many bytes as with IA3.'
)


def points(config, cache_dir=CACHE):
    """The overrides of each run."""
    budget = numbers(config, {'peft': 'ia3'}, cache_dir)
    for kind, key in SIZES.items():
        sizes = [{}]
        if key:
            small = SMALL.get(kind, {})
            size = size_of(config, {'peft': kind} | small, budget, cache_dir)
            sizes.append(small | {key: size})
        for size in sizes:
            for rate in RATES:
                found = settings.overrides(
                    config,
                    'high',
                    client__learning_rate=rate,
                    server__learning_rate=rate,
                    personalization__learning_rate=SHARE * rate,
                )
                yield found | {RATE: rate, 'peft': kind} | size


def numbers(config, overrides, cache_dir) -> int:
    """How many numbers a client trains with some keys overridden."""
    changed = config.copy_and_resolve_references()
    changed.update_from_flattened_dict(overrides)
    return trained_numbers(changed, cache_dir)


def size_of(config, overrides, budget, cache_dir) -> int:
    """The size at which a kind has the number of its budget, or nearly.

    All kinds grow by the same number with each unit of their size.
    """
    key = SIZES[overrides['peft']]
    one, two = (
        numbers(config, overrides | {key: size}, cache_dir) for size in (1, 2)
    )
    return max(1, 1 + round((budget - one) / (two - one)))


def budget_of(overrides) -> str:
    """The title of a run's panel. IA3 is in both."""
    key = SIZES[overrides['peft']]
    return EQUAL if key in overrides else SHIPPED


def chosen(results):
    """Of each budget and kind the run that validation prefers."""
    groups = {}
    for result in results:
        kind = result.overrides['peft']
        budgets = [budget_of(result.overrides)]
        if not SIZES[kind]:
            budgets = [SHIPPED, EQUAL]
        for budget in budgets:
            groups.setdefault((budget, kind), []).append(result)
    best = {}
    for group, members in groups.items():
        scored = [(tuning.validation_score(r.run), r) for r in members if r.run]
        ranked = [pair for pair in scored if pair[0] == pair[0]]  # no NaN
        if ranked:
            best[group] = max(ranked, key=lambda pair: pair[0])[1]
    return dict(sorted(best.items(), key=lambda item: item[0][0] == EQUAL))


def tabulate(results):
    """A line for each budget and kind, at the rate that validation chose."""
    titles = [statistics.SHOWN[name][0] for name in COLUMNS]
    lines = [['budget', 'kind', 'size', 'kB up', 'rate', *titles]]
    for (budget, kind), result in chosen(results).items():
        run, key = result.run, SIZES[kind]
        of_kind, _, field = key.partition('.')
        size = str(run.config[of_kind][field]) if key else '–'
        up = next(
            (x['bytes_up'] for x in run.stage('train') if 'bytes_up' in x), 0
        )
        clients = run.config['clients_per_round']
        found = trajectory_lib.read(run.rows, run.selection)
        shown = statistics.statistics(found) if found else {}
        lines.append(
            [
                budget,
                kind,
                size,
                f'{up / clients / 1000:.1f}',
                f'{result.overrides[RATE]:g}',
                *(
                    ' '.join(statistics.show(name, shown[name]))
                    if name in shown
                    else '–'
                    for name in COLUMNS
                ),
            ]
        )
    return lines


def draw(results):
    """A panel for each budget, a line for each kind."""
    drawn = [
        result._replace(overrides=result.overrides | {'budget': budget})
        for (budget, _), result in chosen(results).items()
    ]
    return trajectories.draw(drawn, lambda o: o['budget'], lambda o: o['peft'])
