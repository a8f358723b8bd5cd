"""What the documents say is so: links, commands, keys, files and messages."""

import ast
import contextlib
import functools
import inspect
import io
import itertools
from pathlib import Path
import re
import runpy
import shlex
import tokenize
import tomllib
from typing import NamedTuple
from unittest import mock

from absl import flags
import pytest

from configs import fedavg_adam
from docs import module_map
from fedprompt_jax import algorithms, stats
from fedprompt_jax.experiment import command_line
from fedprompt_jax.experiment import config as config_lib
from fedprompt_jax.study import claims, points
from tests import quadratics

ROOT = Path(__file__).parents[1]
README = ROOT / 'README.md'
PAGES = sorted((ROOT / 'docs').glob('*.md'))
OTHERS = (ROOT / 'CONTRIBUTING.md', ROOT / 'launch/README.md')
DOCUMENTS = [README, *OTHERS, *PAGES]
BLOCK = re.compile(
    r'(?:^<!-- needs: (?P<needs>.+) -->\n)?'
    r'^ *```(?P<language>\w*)\n(?P<text>.*?)^ *```$',
    re.M | re.S,
)
LANGUAGES = ('sh', 'text', 'python', 'mermaid')
SUFFIXES = ('.py', '.md', '.sh', '.sbatch', '.yaml', '.toml', '.ipynb')


class Block(NamedTuple):
    """A fenced block of a document."""

    needs: str  # what a reader has to have before it can be run, or ''
    language: str
    text: str


class Command(NamedTuple):
    """A line of a shell block."""

    document: str
    words: tuple[str, ...]
    needs: str

    def __str__(self) -> str:
        return f'{self.document}: {shlex.join(self.words)}'


def blocks(document: Path) -> list[Block]:
    found = BLOCK.finditer(document.read_text('utf-8'))
    return [Block(m['needs'] or '', m['language'], m['text']) for m in found]


def prose(document: Path) -> str:
    """A document without its fenced blocks."""
    return BLOCK.sub('', document.read_text('utf-8'))


def spans(text: str) -> list[str]:
    """Its code in the text, between backticks."""
    return re.findall(r'`([^`\n]+)`', text)


def commands() -> list[Command]:
    found = []
    for document in DOCUMENTS:
        name = document.relative_to(ROOT).as_posix()
        shell = [b for b in blocks(document) if b.language == 'sh']
        for needs, _, text in shell:
            for line in text.replace('\\\n', ' ').splitlines():
                words = shlex.split(line, comments=True)
                for bar, part in itertools.groupby(words, '|'.__eq__):
                    if not bar:
                        found.append(Command(name, tuple(part), needs))
    return found


def names(paths: list[Path]) -> list[str]:
    return [path.relative_to(ROOT).as_posix() for path in paths]


every_document = pytest.mark.parametrize(
    'document', DOCUMENTS, ids=names(DOCUMENTS)
)
every_page = pytest.mark.parametrize('page', PAGES, ids=names(PAGES))


# Form.


def test_the_readme_is_read_in_five_minutes():
    assert 120 <= len(README.read_text('utf-8').splitlines()) <= 150


@every_page
def test_a_page_begins_with_its_question(page):
    title, empty, first, *_ = page.read_text('utf-8').splitlines()
    assert title.startswith('# ') and not empty
    assert first.startswith('This page '), first


@pytest.mark.parametrize('index', [README, ROOT / 'docs/README.md'])
def test_every_page_is_listed(index):
    text = index.read_text('utf-8')
    others = [page for page in PAGES if page.name != 'README.md']
    assert [p.name for p in others if f'{p.name})' not in text] == []


@every_document
def test_lines_have_80_columns(document):
    """But for tables and links, which cannot be broken."""
    for line in prose(document).splitlines():
        unbroken = line.startswith(('|', '![')) or '](http' in line
        assert len(line) <= 80 or unbroken, line


@every_document
def test_every_block_names_its_language(document):
    for _, language, text in blocks(document):
        assert language in LANGUAGES, text
        shell = re.match(r'(\.venv/bin/)?(python3?|pip|make|launch)\b', text)
        assert language == 'sh' or not shell, text


# Links and paths.


@every_document
def test_every_link_leads_somewhere(document):
    for target in re.findall(r'\]\(([^)\s]+)\)', prose(document)):
        if not target.startswith('https://'):
            path, _, anchor = target.partition('#')
            found = (document.parent / path).resolve() if path else document
            assert found.exists(), target
            assert not anchor or anchor in anchors(found), target


def anchors(document: Path) -> set[str]:
    """Its headings, as GitHub names them in links."""
    heads = re.findall(r'^#+ (.*)', document.read_text('utf-8'), re.M)
    words = (re.sub(r'[^\w -]', '', head).lower() for head in heads)
    return {word.replace(' ', '-') for word in words}


@functools.cache
def repository() -> set[str]:
    """Paths of its files and folders, as documents may write them."""
    made = ('runs', 'site', 'build')
    tops = [p for p in ROOT.iterdir() if p.name not in made]
    tops = [p for p in tops if not p.name.startswith('.')]
    inside = [q for p in tops if p.is_dir() for q in p.rglob('*')]
    return {f'/{path.relative_to(ROOT).as_posix()}' for path in tops + inside}


def is_path(span: str) -> bool:
    """Whether it names a file of the repository: by its folder, or suffix."""
    if re.search(r'[^\w./-]', span) or span.startswith(('.', '/')):
        return False
    first, slash, _ = span.partition('/')
    tops = [ROOT / first, ROOT / 'fedprompt_jax' / first]
    return span.endswith(SUFFIXES) or bool(
        slash and any(top.is_dir() for top in tops)
    )


@every_document
def test_every_path_exists(document):
    for span in spans(prose(document)):
        if is_path(span):
            ends = f'/{span.rstrip("/")}'
            assert any(p.endswith(ends) for p in repository()), span


def test_the_map_of_the_readme_is_that_of_the_repository():
    (text,) = [b.text for b in blocks(README) if b.text.startswith('main.py')]
    inside = set(re.findall(r'^  (\w+)/', text, re.M))
    package = ROOT / module_map.PACKAGE
    assert inside == {p.parent.name for p in package.glob('*/__init__.py')}
    for name in re.findall(r'^(\w\S*)', text, re.M):
        assert (ROOT / name).exists(), name


# Commands.


@pytest.mark.parametrize('command', commands(), ids=str)
def test_every_command_is_accepted(command):
    """Its flags parse; without `needs`, its config can also be run here."""
    program, *rest = command.words
    program = program.removeprefix('.venv/bin/')
    if program == 'make':
        makefile = (ROOT / 'Makefile').read_text()
        targets = [word for word in rest if '=' not in word]
        assert targets
        for target in targets:
            assert re.search(rf'^{re.escape(target)}:', makefile, re.M), target
    elif program in ('python', 'python3') and rest[0] == '-m':
        module(rest[1], rest[2:], command.needs)
    elif program in ('python', 'python3'):
        check_config(rest[0], rest[1:], command.needs)
    elif program.startswith('launch/'):
        script = ROOT / program
        assert script.exists()
        arguments = [w for w in rest if w.startswith('--')]
        check_config('main.py', arguments, command.needs)
    elif program == 'pre-commit':
        assert (ROOT / '.pre-commit-config.yaml').exists()
    else:
        assert command.needs, f'neither checked nor marked: {command}'


def module(name: str, arguments: list[str], needs: str) -> None:
    """Checks the arguments of python -m NAME."""
    if name in ('venv', 'pytest'):
        return
    if name == 'pip':
        pip(arguments)
    elif name == 'fedprompt_jax.stats':
        stats._parser().parse_args(arguments)
    elif name.startswith('fedprompt_jax.'):
        path = ROOT / name.replace('.', '/')
        if path.is_dir():
            assert (path / '__main__.py').exists()
        if '--config' in ' '.join(arguments):
            file = path / '__main__.py' if path.is_dir() else Path(f'{path}.py')
            check_config(str(file), arguments, needs)
    else:
        path = ROOT / name.replace('.', '/')
        assert path.with_suffix('.py').exists() or path.is_dir(), name


def pip(arguments: list[str]) -> None:
    """Extras are those of pyproject.toml, versions those of the Makefile."""
    assert arguments[0] == 'install'
    project = tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']
    for word in arguments[1:]:
        if extra := re.fullmatch(r'\.\[([\w-]+)\]', word):
            assert extra[1] in project['optional-dependencies']
        elif '==' in word:
            assert word in (ROOT / 'Makefile').read_text()
        else:
            assert word in ('--editable', '--no-deps', '.'), word


def check_config(file: str, arguments: list[str], needs: str) -> None:
    """Parses the flags of a program, and checks the config that they give.

    Raises:
      SystemExit: a flag or a key is unknown.
      ValueError: the config has faults.
    """
    arguments = [a for a in arguments if not a.isupper()]
    # The programs define the same flags: each gets an empty set of its own.
    alone = flags.FlagValues().__dict__
    with (
        mock.patch.dict(flags.FLAGS.__dict__, alone, clear=True),
        # From which ml_collections reads --config.KEY.
        mock.patch('sys.argv', [file, *arguments]),
    ):
        runpy.run_path(str(ROOT / file), run_name='checked')
        assert command_line.parse([file, *arguments]) == [file]
        given = flags.FLAGS.flag_values_dict()
        config = flags.FLAGS['config'].value
    if config is None:
        return
    # A plan is made for models and data that are not here.
    files = not needs and 'chip' not in given
    if given.get('study'):
        study = ROOT / given['study']
        named = claims.files_of(study) if given.get('claims') else [study]
        assert all(points.read(path, config, files=files) for path in named)
    config_lib.check(config, files=files)


def test_a_wrong_flag_is_noticed():
    with pytest.raises(SystemExit, match='no such key'):
        wrong = ['--config=configs/fedavg_adam.py', '--config.round=1']
        check_config('main.py', wrong, '')


def test_the_statistics_are_those_printed():
    """The page shows a command and, after it, what it prints."""
    (text,) = [
        b.text
        for b in blocks(ROOT / 'docs/data.md')
        if b.text.startswith('split ')
    ]
    (command,) = [c for c in commands() if '--data=embedded' in c.words]
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        stats.main(command.words[3:])
    assert printed.getvalue() == text


def test_python_blocks_compile():
    for document in DOCUMENTS:
        for _, language, text in blocks(document):
            if language == 'python':
                compile(text, str(document), 'exec')


# Keys of the config.


def keys(tree, prefix='config') -> set[str]:
    """All keys, sections too."""
    found = {prefix}
    for key, value in tree.items():
        name = f'{prefix}.{key}'
        found |= keys(value, name) if hasattr(value, 'items') else {name}
    return found


@every_document
def test_every_key_exists(document):
    # Configs of algorithms add sections of their own.
    known = {
        key
        for name in algorithms.names()
        for key in keys(quadratics.config_of(name))
    }
    text = document.read_text('utf-8')
    for key in re.findall(r'\bconfig(?:\.[a-z_][a-z_0-9]*)+', text):
        if not key.endswith(('.json', '.py')):
            assert key in known, key


def test_every_key_is_explained():
    """By a comment on its line, or above it and its neighbours."""
    source = inspect.getsource(fedavg_adam)
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = {t.start[0] for t in tokens if t.type == tokenize.COMMENT}
    lines = source.splitlines()
    unexplained, above = [], False
    for number, line in enumerate(lines, start=1):
        if line.strip().startswith('#'):
            above = True
        elif not line.strip() or 'return' in line:
            above = False
        elif re.match(r'    c\.[\w.]+ = (?!config_dict)', line):
            if not above and number not in comments:
                unexplained.append(line)
        if 'def _quickstart' in line:
            break
    assert unexplained == []


# What a run leaves, and what it says.


@functools.cache
def strings() -> tuple[str, ...]:
    """Texts of the code; what is filled in later is '…'."""
    found = []
    folders = [ROOT / 'configs', ROOT / 'fedprompt_jax']
    paths = [path for folder in folders for path in folder.rglob('*.py')]
    for path in [ROOT / 'main.py', *paths]:
        for node in ast.walk(ast.parse(path.read_text('utf-8'))):
            if isinstance(node, ast.JoinedStr):
                parts = [getattr(v, 'value', None) for v in node.values]
                texts = [p if isinstance(p, str) else '…' for p in parts]
                found.append(''.join(texts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return tuple(found)


def test_every_documented_field_is_written_by_the_code():
    text = (ROOT / 'docs/run_folder.md').read_text('utf-8')
    source = '\n'.join(
        p.read_text('utf-8') for p in (ROOT / 'fedprompt_jax').rglob('*.py')
    )
    for cell in re.findall(r'^\| ([^|]+) \|', text, re.M):
        for name in spans(cell):
            name = name.removesuffix('.json')  # f'{stage.name}.json'
            written = rf'\b{re.escape(name.rstrip("/"))}\b'
            # f'{metric}_se', f'{view}_loss'
            pieces = name.endswith('_se') or name.startswith(
                ('own_', 'global_')
            )
            assert re.search(written, source) or pieces, name


def test_every_message_is_one_of_the_code():
    text = (ROOT / 'docs/troubleshooting.md').read_text('utf-8')
    messages = [
        span
        for cell in re.findall(r'^\| ([^|]+) \|', text, re.M)
        for span in spans(cell)
    ]
    assert len(messages) > 50
    for message in messages:
        parts = map(re.escape, message.split('…'))
        pattern = re.compile('.*'.join(parts), re.S)
        assert any(map(pattern.search, strings())), message


# The modules.


def test_the_map_of_modules_is_that_of_the_code():
    same = module_map.PAGE.read_text('utf-8') == module_map.page()
    assert same, f'docs/modules.md is out of date: run {module_map.COMMAND}'


def test_shortcuts_are_left_out():
    edges = {'a': {'b', 'c'}, 'b': {'c'}, 'c': set()}
    drawn = {'a': {'b'}, 'b': {'c'}, 'c': set()}
    assert module_map.without_shortcuts(edges) == drawn
    assert module_map.importers_first(edges) == ['a', 'b', 'c']


def functions(tree: ast.AST):
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return (node for node in ast.walk(tree) if isinstance(node, kinds))


@pytest.mark.parametrize('name', module_map.MODULES)
def test_docstrings_explain_arguments_that_exist(name):
    tree = ast.parse(module_map.MODULES[name].read_text('utf-8'))
    for function in functions(tree):
        doc = ast.get_docstring(function) or ''
        section = re.search(r'^Args:\n((?:  .*\n?|\n)*)', doc, re.M)
        if section:
            own = function.args
            every = [*own.posonlyargs, *own.args, *own.kwonlyargs]
            every += [a for a in (own.vararg, own.kwarg) if a]
            known = {a.arg for a in every}
            said = re.findall(r'^  \**(\w+):', section[1], re.M)
            assert set(said) <= known, function.name
