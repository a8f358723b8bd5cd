"""Laws of hub names: the cache is enough, and a hub is asked as it expects.

A tiny server speaks the hub's protocol for one repository. The hub's package
reads its settings when it is imported, so each case is a process of its own.
"""

import fnmatch
import hashlib
from http import server
import json
import os
import subprocess
import sys
import threading

import huggingface_hub
import pytest

from fedprompt_jax.models import hub, source
from tests import tiny

COMMIT = 'c0ffee' * 6 + 'c0ff'
NAME = 'somebody/tiny-llama'
CODE = (
    'import sys; from fedprompt_jax.models import source\n'
    'try: print(source.resolve(sys.argv[1], "."))\n'
    'except ValueError as error: print("refused:", error)'
)
NOWHERE = 'http://127.0.0.1:9'  # nobody listens there


def _resolve(tmp_path, spec=NAME, **env):
    """What a fresh process says of a name, its cache in tmp_path."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith('HF_')}
    ours = {
        'HF_HOME': str(tmp_path / 'home'),
        'HF_HUB_DISABLE_TELEMETRY': '1',
        'HF_HUB_DISABLE_XET': '1',
        'NO_PROXY': '127.0.0.1',
    }
    done = subprocess.run(
        [sys.executable, '-c', CODE, spec],
        env=clean | ours | env,
        capture_output=True,
        check=True,
        text=True,
    )
    return done.stdout.strip().splitlines()[-1]


def _fill_cache(tmp_path, **kwargs):
    """The hub's own layout: refs name a commit, snapshots hold its files."""
    root = tmp_path / 'home' / 'hub' / 'models--somebody--tiny-llama'
    snapshot = tiny.make_checkpoint(root / 'snapshots' / COMMIT, **kwargs)
    (root / 'refs').mkdir()
    (root / 'refs' / 'main').write_text(COMMIT)
    return snapshot


@pytest.mark.parametrize(
    'spec, name',
    [
        ('HuggingFaceTB/SmolLM2-135M', ('HuggingFaceTB/SmolLM2-135M', None)),
        ('a/b@v1.0', ('a/b', 'v1.0')),
        ('a/b_c.d@refs/pr/1', ('a/b_c.d', 'refs/pr/1')),
        ('gpt2', None),
        ('./a', None),
        ('../a', None),
        ('/a/b', None),
        ('~/a', None),
        ('a/b/c', None),
        ('a/b.gguf', None),
        ('a/b--c', None),
        ('a/', None),
        ('a/b c', None),
        ('a/b@', None),
    ],
)
def test_names_are_told_from_paths(spec, name):
    assert hub.parse(spec) == name


def test_a_revision_and_its_files_are_asked_for(monkeypatch, tmp_path):
    asked = []

    def snapshot_download(repository, *, revision, allow_patterns):
        asked.append((repository, revision, allow_patterns))
        return tmp_path

    tiny.make_checkpoint(tmp_path)
    monkeypatch.setattr(huggingface_hub, 'snapshot_download', snapshot_download)
    assert hub.download(f'{NAME}@v2') == tmp_path
    assert hub.download_config(NAME) == tmp_path
    (whole, config) = asked
    assert whole[:2] == (NAME, 'v2') and config[:2] == (NAME, None)

    def wanted(name, patterns):
        return any(fnmatch.fnmatch(name, pattern) for pattern in patterns)

    for name in (
        'added_tokens.json', 'config.json', 'generation_config.json',
        'merges.txt', 'model-00001-of-00002.safetensors',
        'model.safetensors', 'model.safetensors.index.json',
        'special_tokens_map.json', 'tokenizer.json', 'tokenizer.model',
        'tokenizer_config.json', 'vocab.json',
    ):  # fmt: skip
        assert wanted(name, whole[2]), name
        assert wanted(name, config[2]) == (name == 'config.json')
    for name in (
        'README.md', 'adapter_model.safetensors', 'flax_model.msgpack',
        'model.gguf', 'onnx/model.onnx', 'pytorch_model.bin', 'tf_model.h5',
    ):  # fmt: skip
        assert not wanted(name, whole[2]), name


def test_checking_a_name_asks_nobody(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(hub, 'download', None)  # would fail
    assert source.check(NAME) == []
    (tmp_path / NAME).mkdir(parents=True)  # a folder comes first
    assert 'has no config.json' in source.check(NAME)[0]


@pytest.mark.parametrize(
    'env', [{'HF_HUB_OFFLINE': '1'}, {'HF_ENDPOINT': NOWHERE}]
)
def test_the_cache_is_enough(tmp_path, env):
    snapshot = _fill_cache(tmp_path, shards=2)
    assert _resolve(tmp_path, **env) == str(snapshot)
    source.load(snapshot, 'float32')


def test_a_commit_is_found_in_the_cache(tmp_path):
    snapshot, spec = _fill_cache(tmp_path), f'{NAME}@{COMMIT}'
    assert _resolve(tmp_path, spec, HF_HUB_OFFLINE='1') == str(snapshot)


@pytest.mark.parametrize(
    'env, why',
    [
        ({'HF_HUB_OFFLINE': '1'}, 'HF_HUB_OFFLINE is set'),
        ({'HF_ENDPOINT': NOWHERE}, f'{NOWHERE}/{NAME} not reached'),
    ],
)
def test_an_empty_cache_is_refused_with_the_fix(tmp_path, env, why):
    said = _resolve(tmp_path, f'{NAME}@v2', **env)
    assert said.startswith('refused:') and why in said
    assert f'hf download {NAME} --revision v2' in said
    assert str(tmp_path / 'home' / 'hub') in said and 'HF_HUB_CACHE' in said


def test_half_a_cache_is_refused(tmp_path):
    snapshot = _fill_cache(tmp_path, shards=2)
    (snapshot / 'model-00002-of-00002.safetensors').unlink()
    said = _resolve(tmp_path, HF_HUB_OFFLINE='1')
    assert 'not there: model-00002-of-00002.safetensors' in said
    (snapshot / 'tokenizer.json').unlink()
    assert 'has no tokenizer.json' in _resolve(tmp_path, HF_HUB_OFFLINE='1')


class Hub(server.ThreadingHTTPServer):
    """A hub with one repository; remembers what was asked for."""

    def __init__(self, folder):
        super().__init__(('127.0.0.1', 0), _Handler)
        self.folder = folder
        self.asked = []
        self.refusal = None  # (status, X-Error-Code) of every answer

    @property
    def url(self):
        return f'http://127.0.0.1:{self.server_port}'

    def files(self):
        for path in sorted(self.folder.iterdir()):
            content = path.read_bytes()
            yield path.name, content, hashlib.sha1(content).hexdigest()


class _Handler(server.BaseHTTPRequestHandler):
    def do_GET(self):
        path = self.path.partition('?')[0]
        self.server.asked.append(path)
        if self.server.refusal:
            status, code = self.server.refusal
            return self._answer(status, b'{}', {'X-Error-Code': code})
        if path.startswith(f'/api/models/{NAME}/revision/'):
            return self._json({'id': NAME, 'sha': COMMIT, 'siblings': []})
        if path.startswith(f'/api/models/{NAME}/tree/{COMMIT}'):
            return self._json(
                [
                    {'type': 'file', 'path': n, 'size': len(c), 'oid': oid}
                    for n, c, oid in self.server.files()
                ]
            )
        for name, content, oid in self.server.files():
            if path == f'/{NAME}/resolve/{COMMIT}/{name}':
                headers = {'ETag': f'"{oid}"', 'X-Repo-Commit': COMMIT}
                return self._answer(200, content, headers)
        return self._answer(404, b'{}', {'X-Error-Code': 'EntryNotFound'})

    do_HEAD = do_GET

    def _json(self, content):
        self._answer(200, json.dumps(content).encode(), {})

    def _answer(self, status, content, headers):
        self.send_response(status)
        self.send_header('Content-Length', str(len(content)))
        self.send_header('Content-Type', 'application/json')
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == 'GET':
            self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def served(tmp_path):
    folder = tiny.make_checkpoint(tmp_path / 'repository', shards=2)
    for name in ('README.md', 'pytorch_model.bin', 'adapter.safetensors'):
        (folder / name).write_text('not wanted')
    with Hub(folder) as found:
        threading.Thread(target=found.serve_forever).start()
        yield found
        found.shutdown()


def test_a_name_is_downloaded_once(tmp_path, served):
    folder = _resolve(tmp_path, HF_ENDPOINT=served.url)
    wanted = {
        'config.json', 'generation_config.json', 'tokenizer.json',
        'tokenizer_config.json', 'model.safetensors.index.json',
        'model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors',
    }  # fmt: skip
    assert set(os.listdir(folder)) == wanted
    assert folder.startswith(str(tmp_path / 'home'))
    source.load(folder, 'float32')
    served.asked.clear()
    assert _resolve(tmp_path, HF_ENDPOINT=served.url) == folder
    assert not [path for path in served.asked if '/resolve/' in path]
    assert _resolve(tmp_path, HF_HUB_OFFLINE='1') == folder


def test_only_pickles_are_refused_with_the_command(tmp_path, served):
    for path in served.folder.glob('model*'):
        path.unlink()
    said = _resolve(tmp_path, HF_ENDPOINT=served.url)
    assert 'has no model.safetensors' in said
    assert f"f, to = '{NAME}', 'tiny-llama'" in said
    assert not [path for path in served.asked if path.endswith('.bin')]


@pytest.mark.parametrize(
    'status, code, message',
    [
        (401, 'GatedRepo', 'is gated: accept its terms on'),
        (401, 'RepoNotFound', 'is no repository that you may see'),
        (404, 'RepoNotFound', 'is no repository that you may see'),
        (404, 'RevisionNotFound', "has no revision 'v9'"),
        (500, 'Whatever', 'not reached'),
    ],
)
def test_refusals_of_the_hub_are_explained(
    tmp_path, served, status, code, message
):
    served.refusal = status, code
    said = _resolve(tmp_path, f'{NAME}@v9', HF_ENDPOINT=served.url)
    assert said.startswith('refused:') and message in said


def test_a_proxy_that_refuses_is_explained(tmp_path, served):
    said = _resolve(tmp_path, HTTPS_PROXY=served.url, NO_PROXY='')
    assert said.startswith('refused:') and 'not reached (' in said
    assert f'hf download {NAME}' in said
