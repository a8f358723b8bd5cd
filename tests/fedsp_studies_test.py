"""FedSP's studies: their points, and the table that they make."""

import json

import numpy as np
import pytest

from configs.fedsp import settings as tasks_settings
from configs.studies.fedsp import heterogeneity, main, settings, size
from fedprompt_jax.experiment import config as config_lib
from fedprompt_jax.report.run import Run
from fedprompt_jax.study import answers_table
from fedprompt_jax.study.outputs import Result
from tests import fedsp_run_test
from tests.fedsp_run_test import SMALL, lines, runs, whole

assert runs and whole  # fixtures
STUDIES = (main, size, heterogeneity)
SCALES = ('quickstart', *tasks_settings.MODELS)


@pytest.mark.parametrize('scale', SCALES)
@pytest.mark.parametrize('study', STUDIES)
def test_every_point_is_a_config_without_faults(study, scale):
    task = 'arc_easy' if study is heterogeneity else 'sciq'
    for overrides in study.points(tasks_settings.config(task, scale)):
        config = tasks_settings.config(task, scale)
        config.update_from_flattened_dict(overrides)
        config_lib.check(config, files=False)


def test_baselines_have_the_settings_of_their_scripts():
    """B.8 of the specification."""
    base = tasks_settings.config('sciq', 'gpt2_xl')
    config = tasks_settings.config('sciq', 'gpt2_xl')
    config.update_from_flattened_dict(settings.overrides(base, 'FedPrompt'))
    assert (config.rounds, config.local_steps) == (100, 10)
    assert config.client.learning_rate == 5e-2
    assert config.server.learning_rate == 5e-3
    single = settings.overrides(base, 'FedPrompt-Single')
    assert single['rounds'] == 50 and single['fedsp.turn'] == 'prompt'
    central = settings.overrides(base, 'prefix tuning (centralized)')
    assert central['rounds'] == 100 * 100  # of one step each
    alone = settings.overrides(base, "FedPrompt w/o the server's step")
    assert alone['rounds'] == 100 and alone['client.learning_rate'] == 5e-2
    fine = settings.overrides(base, 'full fine-tuning (centralized)')
    assert fine['server.learning_rate'] == 2e-5
    assert 'eps' not in fine['server.optimizer']


def test_studies_start_from_fedsp_alone():
    base = tasks_settings.config('sciq', 'quickstart')
    base.algorithm = 'fedavg'
    with pytest.raises(ValueError, match='configs/fedsp/sciq.py'):
        settings.overrides(base, 'FedSP')


def result(path, name: str, **overrides) -> Result:
    return Result(path.name, {'name': name} | overrides, Run(path), 'complete')


@pytest.fixture(scope='module')
def full(runs):
    path = runs.folder / 'full model'
    changes = {'fedsp__client_model': 'full', 'fedsp__turn': 'prompt'}
    runs.start(path, **SMALL | changes)
    return path


def predictions(path, prompt: str) -> list[dict]:
    text = (path / 'predictions.jsonl').read_text()
    found = map(json.loads, text.splitlines())
    return [line for line in found if line['prompt'] == prompt]


def test_the_table_is_of_the_run_s_answers_and_messages(whole, full):
    header, zero, ours, theirs = answers_table.table(
        [result(whole, 'sciq: FedSP'), result(full, 'sciq: FedPrompt')],
        settings.task_of,
        settings.method_of,
    )
    assert [line[1] for line in (zero, ours, theirs)] == [
        'zero-shot', 'FedSP', 'FedPrompt'
    ]  # fmt: skip
    at = header.index
    answers = predictions(whole, 'global')
    right = [
        line['choices'][int(np.argmin(line['choice_losses']))]
        in line['references']
        for line in answers
    ]
    per_character = [
        line['choices'][int(np.argmin(np.divide(line['choice_losses'], n)))]
        in line['references']
        for line in answers
        for n in [[len(text) for text in line['choices']]]
    ]
    assert len(answers) == 8  # the whole test split
    for name, values in (
        ('accuracy', right), ('per character', per_character)
    ):  # fmt: skip
        mean = 100 * np.mean(values)
        half = 1.96 * np.sqrt(mean * (100 - mean) / len(values))
        assert ours[at(name)] == f'{mean:.1f} ± {half:.1f}'
    messages = json.loads((whole / 'messages.json').read_text())
    once = fedsp_run_test.bytes_of(messages['down_once'])
    assert ours[at('MB once')] == f'{once / 1e6:.1f}'
    assert ours[at("client's model M")] == f'{once / 4 / 1e6:.1f}'
    base = Run(full).info['parameters']['base']
    assert theirs[at('MB once')] == f'{4 * base / 1e6:.1f}'
    assert theirs[at('full / client')] == '1.00'
    near = json.loads((whole / 'distill.json').read_text())
    assert ours[at('KL')] == f'{near["kl"]:.2f}'
    assert ours[at('agreement %')] == f'{100 * near["agreement"]:.1f}'
    assert theirs[at('KL')] == '–' and ours[at('questions')] == '8'
    up = fedsp_run_test.bytes_of(messages['up'])
    assert ours[at('kB up')] == f'{up / 1e3:,.1f}'
    server = np.mean([x['server_flops'] for x in lines(whole, 'train')])
    assert ours[at('server TFLOP')] == f'{server / 1e12:.3f}'
    assert zero[at('MB once')] == '–'


def test_the_loss_and_the_clients_mean_are_those_of_the_run(whole):
    header, _, ours = answers_table.table(
        [result(whole, 'sciq: FedSP')], settings.task_of, settings.method_of
    )
    rows = [r for r in Run(whole).rows if r['prompt'] == 'global']
    loss = np.mean([r['loss'] for r in rows if r['split'] == 'global'])
    assert ours[header.index('loss')] == f'{loss:.3f}'
    local = [r['exact_match'] for r in rows if r['split'] == 'local']
    cell = ours[header.index('over clients')]
    assert cell.startswith(f'{np.mean(local):.1f}')


def test_answers_are_of_one_prompt_and_by_two_rules(tmp_path):
    lines_of = [
        # The right one has more log p in all, the wrong one per character.
        ('global', ['no', 'certainly'], [2.0, 3.0], 'no', 1.0),
        ('global', ['yes', 'no'], [1.0, 9.0], 'yes', 1.0),
        ('bare', ['yes', 'no'], [9.0, 1.0], 'yes', 0.0),
    ]
    with (tmp_path / 'predictions.jsonl').open('w') as file:
        for prompt, texts, losses, right, match in lines_of:
            line = {
                'prompt': prompt, 'choices': texts, 'choice_losses': losses,
                'references': [right], 'exact_match': match,
                'loss': 1.0, 'target_tokens': 1,
            }  # fmt: skip
            file.write(json.dumps(line) + '\n')
    found = answers_table.answered(Run(tmp_path), 'global')
    assert found.right.tolist() == [1.0, 1.0]
    assert found.per_character.tolist() == [0.0, 1.0]
    assert answers_table.answered(Run(tmp_path), 'bare').right.tolist() == [0.0]


def test_seeds_share_the_error_of_their_questions():
    one = np.array([1.0, 1.0, 0.0, 0.0] * 25)
    other = np.array([1.0, 1.0, 1.0, 0.0] * 25)
    same = answers_table.over_seeds([one, one])
    assert same == answers_table.over_seeds([one])
    both = answers_table.over_seeds([one, other])
    of_questions = np.sqrt(0.625 * 0.375 / 100) * 100
    of_seeds = np.std([50, 75], ddof=1) / np.sqrt(2)
    assert both.mean == 62.5
    assert both.half == pytest.approx(1.96 * np.hypot(of_questions, of_seeds))


def test_steps_of_a_centralized_run_are_no_rounds(whole):
    run = Run(whole)
    run.config = run.config | {'algorithm': 'centralized'}
    cells = dict(
        zip(
            answers_table.HEADER[-len(answers_table.costs([run])) :],
            answers_table.costs([run]),
            strict=True,
        )
    )
    assert cells['s a round'] == cells['kB up'] == cells['client TFLOP'] == '–'


def test_a_method_without_a_run_has_no_numbers():
    none = Result('x', {'name': 'sciq: FedSP'}, None, 'not begun')
    header, line = answers_table.table(
        [none], settings.task_of, settings.method_of
    )
    assert line[2] == '0/1' and set(line[3:]) == {'–'}
    assert len(line) == len(header)


def test_the_figure_has_a_point_for_each_size(whole, full):
    named = [
        result(whole, 'sciq: FedSP', **{'fedsp.num_layers': 1}),
        result(full, 'sciq: FedPrompt'),
    ]
    figure = size.draw(named)
    left, right = figure.axes
    record = json.loads((whole / 'distill.json').read_text())
    x, y = right.lines[0].get_data()
    assert x[0] == pytest.approx(record['parameters'] / 1e6)
    assert y[0] == pytest.approx(100 * record['agreement'])
    assert size.draw([]) is None
    assert isinstance(named[0].overrides, dict) and left.get_xlabel()


def test_sizes_have_names_in_words():
    assert size.size_of({'fedsp.num_layers': 2}) == '2 layers'
    assert size.size_of({'fedsp.num_layers': 1}) == '1 layer'
    assert size.size_of({}) == 'all layers'
