"""Every source of data on a small scale, in the schema it really has."""

import importlib.resources
import json
from pathlib import Path
import sys
from unittest import mock

import datasets

from configs import fedavg_adam
from tests import tiny_data

NLI = ('entailment', 'not_entailment')


def config(source: str, path: Path, **data):
    """The shipped config with a source."""
    c = fedavg_adam.get_config()
    c.data.update(data | {'source': source, 'path': str(path)})
    return c


def sni(folder: Path):
    return config('sni', tiny_data.make_data(folder / 'sni', instances=6))


def read_sni(folder: Path) -> list[tuple[str, dict]]:
    """Name and JSON object of the task files under a folder."""
    files = sorted(folder.glob('tasks/*.json'))
    return [(f.stem, json.loads(f.read_text())) for f in files]


def hub_rows(files) -> list[dict]:
    """Rows of Muennighoff/natural-instructions: a row a reference."""
    return [
        {
            'task_name': name,
            'id': x['id'],
            'definition': raw['Definition'][0],
            'inputs': x['input'],
            'targets': output,
        }
        for name, raw in files
        for x in raw['Instances']
        for output in x['output']
    ]


def natural_instructions(folder: Path):
    """Two splits of parquet files with tasks in no order."""
    tiny_data.make_data(folder / 'sni', instances=6)
    files = read_sni(folder / 'sni')
    (folder / 'hub' / 'data').mkdir(parents=True)
    for split, part in (('train', files[:2:-1]), ('test', files[:3])):
        table = datasets.Dataset.from_list(hub_rows(part))
        name = f'{split}-00000-of-00001.parquet'
        table.to_parquet(folder / 'hub' / 'data' / name)
    return config('natural_instructions', folder / 'hub')


def tfds(folder: Path):
    """tfds's own builder prepares it, from files on disk; no TensorFlow."""
    sys.modules.setdefault('importlib_resources', importlib.resources)
    from tensorflow_datasets.datasets.natural_instructions import (
        natural_instructions_dataset_builder as module,
    )

    tiny_data.make_data(folder / 'sni', instances=6)
    files = (folder / 'sni' / 'tasks').glob('*.json')
    paths = {f.stem: f for f in files}

    def local(self, dl_manager):  # where tfds would download
        del dl_manager
        return {'train': self._generate_examples(paths)}

    with mock.patch.object(module.Builder, '_split_generators', local):
        builder = module.Builder(
            data_dir=folder / 'tfds', file_format='array_record'
        )
        builder.download_and_prepare()
    return config('tfds', folder / 'tfds')


def jsonl(folder: Path, clients: int = 8, each: int = 6):
    """The lines of `clients` clients, who differ in their tasks."""
    words = ('river', 'name', 'passage')
    lines = [
        {
            'client': f'client {c}',
            'task': f'task {(c + i % 2) % 3}',
            'input': f'what is {words[i % 3]} {i} of {c}?',
            'output': [f'{words[c % 3]}', 'a name'] if i % 2 else 'the river',
        }
        for i in range(each)
        for c in range(clients)
    ]
    folder.mkdir(parents=True, exist_ok=True)
    write_lines(folder / 'mine.jsonl', lines)
    return config('jsonl', folder / 'mine.jsonl', splits='clients')


def write_lines(path: Path, rows: list[dict]) -> Path:
    path.write_text(''.join(json.dumps(row) + '\n' for row in rows))
    return path


def sst2(folder: Path, rows: int = 96) -> Path:
    """GLUE's SST-2 as the hub has it: a parquet file with a ClassLabel."""
    names = datasets.ClassLabel(names=['negative', 'positive'])
    text = datasets.Value('string')
    table = datasets.Dataset.from_dict(
        {
            'sentence': [
                f'review {i} is {"good" * (i % 2)}' for i in range(rows)
            ],
            'label': [i % 2 for i in range(rows)],
            'idx': list(range(rows)),
        },
        features=datasets.Features(
            sentence=text, label=names, idx=datasets.Value('int32')
        ),
    )
    folder.mkdir(parents=True, exist_ok=True)
    table.to_parquet(folder / 'sst2.parquet')
    return folder / 'sst2.parquet'


def classification(folder: Path):
    return config(
        'classification',
        sst2(folder),
        columns=('text=sentence',),
        labels=('terrible', 'great'),
        splits='clients',
        target=' {output} .',
    )


def nli(folder: Path):
    """GLUE's RTE in its .tsv form: two texts, labels in words."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [['index', 'sentence1', 'sentence2', 'label']]
    lines += [[str(i), f'"Quoted {i}', 'NA', NLI[i % 2]] for i in range(6)]
    text = ''.join('\t'.join(line) + '\n' for line in lines)
    (folder / 'rte.tsv').write_text(text)
    return config(
        'classification',
        folder / 'rte.tsv',
        columns=('text=sentence1', 'text_pair=sentence2'),
        labels=('entailment=Yes', 'not_entailment=No'),
        splits='clients',
        template='{input} ? {mask} , {pair}',
    )


def multiple_choice(folder: Path, rows: int = 96):
    """Like SciQ: the right option stands anywhere."""
    folder.mkdir(parents=True, exist_ok=True)
    options = ['the river', 'a passage', 'name']
    lines = [
        {
            'question': f'what is the name of {i}',
            'options': options[i % 3 :] + options[: i % 3],
            'answer': i % 2,
            'context': f'passage {i}' * (i % 2),
        }
        for i in range(rows)
    ]
    path = write_lines(folder / 'quiz.jsonl', lines)
    return config(
        'multiple_choice',
        path,
        splits='clients',
        template='{pair}\nQuestion: {input}',
        separator='\nAnswer:',
        target=' {output}',
    )


def open_questions(folder: Path, rows: int = 48):
    """Like WebQuestions: some answers are several, one begins another."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        {
            'question': f'what is the name of {i}',
            'answers': ['the river', 'the river 2', 'name'][: 1 + i % 3],
        }
        for i in range(rows)
    ]
    path = write_lines(folder / 'questions.jsonl', lines)
    return config(
        'open_questions',
        path,
        splits='clients',
        template='Question: {input}',
        separator='\nAnswer:',
        target=' {output}',
    )


def hellaswag(folder: Path, rows: int = 48):
    """As the hub has it, without what nobody reads."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        {
            'activity_label': 'Name' * (i % 2),
            'ctx_a': f'The river {i} is [title] a name.',
            'ctx_b': 'the Passage',
            'ctx': f'The river {i} is [title] a name. the Passage',
            'endings': ['is [step] a name.', 'is  the river.', 'is.'],
            'label': str(i % 3),
        }
        for i in range(rows)
    ]
    path = write_lines(folder / 'endings.jsonl', lines)
    return config(
        'hellaswag', path, splits='clients', separator='', target=' {output}'
    )


def race(folder: Path, articles: int = 24):
    """Two or three questions an article, a row each."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        {
            'example_id': f'high{i}.txt',
            'article': f'The river {i} is a name.',
            'question': ['What is it?', 'It is  _  .', 'Is it?'][k],
            'options': ['a river', 'a name', 'the passage'],
            'answer': 'ABC'[(i + k) % 3],
        }
        for i in range(articles)
        for k in range(2 + i % 2)
    ]
    path = write_lines(folder / 'articles.jsonl', lines)
    return config(
        'race',
        path,
        splits='clients',
        template='Article: {pair}\n\n{input}',
        separator='',
        target=' {output}',
    )


ALL = {
    f.__name__: f
    for f in (
        sni,
        natural_instructions,
        tfds,
        jsonl,
        classification,
        multiple_choice,
        open_questions,
        hellaswag,
        race,
    )
}
