"""The plan of a run, from its config: as numbers and as text."""

import dataclasses
import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml_collections import config_dict
import numpy as np

from fedprompt_jax import algorithms
from fedprompt_jax.data import sources
from fedprompt_jax.experiment import config as config_lib
from fedprompt_jax.planning import chips

if TYPE_CHECKING:  # its imports take seconds
    from fedprompt_jax.bank.binding import TunedModel
    from fedprompt_jax.models.config import ModelConfig
    from fedprompt_jax.models.names import Name
    from fedprompt_jax.planning.workload import Workload

# Name -> config.json of a model that can be planned for without its folder.
KNOWN: dict[str, dict[str, Any]] = {
    'llama-8b': {
        'model_type': 'llama',
        'hidden_size': 4096,
        'intermediate_size': 14336,
        'num_hidden_layers': 32,
        'num_attention_heads': 32,
        'num_key_value_heads': 8,
        'vocab_size': 128256,
        'max_position_embeddings': 131072,
        'rms_norm_eps': 1e-5,
        'rope_theta': 500000.0,
        'tie_word_embeddings': False,
    },
}


def plan(
    config: config_dict.ConfigDict,
    chip_name: str,
    num_chips: int,
    lengths: tuple[int, int],
    cache_dir: Path,
    chip: chips.Chip | None = None,
    inputs: 'Inputs | None' = None,
) -> dict[str, Any]:
    """The forecast of a run as one JSON object, with what was assumed.

    Args:
      config: of the run.
      chip_name: a key of chips.CHIPS, or chips.CPU.
      num_chips: the number of chips in the mesh.
      lengths: mean tokens of a query and of a target, used where the data are
        not on this machine.
      cache_dir: converted models and token stores.
      chip: that chip, where it was measured before.
      inputs: what `read` returns, where it was read before.

    Returns:
      The fields of forecast.Forecast, in its units, and: `parameters` and
      `trained`, numbers of parameters; `chip_memory` and `needed_memory`,
      bytes of one chip; `fits` and `levers`, whether the run fits and what
      would save memory; `packing` and `assumed`, sentences.

    Raises:
      ValueError: the config, the mesh, the model or the data is at fault.
    """
    check(config, num_chips, chip_name)
    mesh = config.mesh
    import jax

    from fedprompt_jax.experiment import stage_one
    from fedprompt_jax.models.kernels import choice
    from fedprompt_jax.models.sizes import base_leaves, num_params
    from fedprompt_jax.planning import cost, forecast

    inputs = inputs or read(config, lengths, cache_dir)
    model, trained, workload = inputs.model, inputs.trained, inputs.workload
    machine = chips.machine(chip_name)
    model = model.with_kernel(
        choice.of_machine(config.model.attention, machine, chip_name)
    )
    model_config, assumed = model.transformer.config, [*inputs.assumed]
    chip = chip or chips.get(chip_name)
    rate = 'the rate measured' if chip.measured else "the vendor's rate"
    assumed.append(
        f'{chip.share:.0%} of {rate} of matrix products, '
        f'{chip.flops[config.model.dtype] / 1e12:.4g} TFLOP/s'
    )
    if config.model.quantization:
        assumed.append('integers become floats in no time where they are used')
    assumed.append('nothing is compiled or loaded')
    if num_chips > 1:
        assumed.append('communication between chips takes no time')
    base = base_leaves(
        model_config, config.model.dtype, config.model.quantization
    )
    on_mesh = {'data': mesh.data, 'model': mesh.model}
    if mesh.fsdp and not cost.gathered_bytes(base, on_mesh):
        assumed.append(
            f'config.mesh.data={mesh.data} divides no weights: '
            'config.mesh.fsdp does nothing'
        )
    if cost.sharing(model_config, mesh.model) < mesh.model:
        assumed.append(
            f'config.mesh.model={mesh.model} does not divide the layers: '
            'each of these chips computes all of them'
        )
    exchange = stage_one.exchange(
        config,
        trained,
        functools.partial(_other_shapes, config, cache_dir),
        functools.partial(_excerpt_shapes, model_config),
    )
    assumed += [
        f'what the stage {name!r} takes before the rounds is not counted'
        for name in exchange.stages
    ]
    if exchange.once:
        assumed.append(
            "clients' small models take as long as the model itself, and "
            "gradients of their parameters and the server's own steps no time"
        )
    result = forecast.forecast(config, model, trained, workload, chip, exchange)
    needed = forecast.needed(result.memory)
    return {
        'model': config.model.source,
        'parameters': num_params(model_config),
        'trained': sum(x.size for x in jax.tree.leaves(trained)),
        'dtype': config.model.dtype,
        'quantization': config.model.quantization,
        'chip': chip_name,
        'chips': num_chips,
        'mesh': [mesh.data, mesh.model],
        'chip_memory': chip.memory,
        'needed_memory': needed,
        'fits': needed <= chip.memory,
        'levers': levers(config),
        **result._asdict(),
        'rounds': config.rounds,
        'packing': workload.packing,
        'assumed': assumed,
    }


def check(
    config: config_dict.ConfigDict, num_chips: int, chip_name: str
) -> None:
    """Raises ValueError for a wrong key, or one that no such chips can run."""
    from fedprompt_jax.models.kernels import choice

    config_lib.check(config, files=False)
    choice.check_planned(
        config.model.attention, chip_name, chips.machine(chip_name)
    )
    mesh = config.mesh
    if mesh.data * mesh.model != num_chips:
        model = mesh.model if num_chips % mesh.model == 0 else 1
        raise ValueError(
            f'config.mesh.data={mesh.data} times config.mesh.model='
            f'{mesh.model} must be --chips={num_chips}; use '
            f'--config.mesh.data={num_chips // model} '
            f'--config.mesh.model={model}.'
        )


@dataclasses.dataclass(frozen=True)
class Inputs:
    """What a plan is made from, besides the config.

    Attributes:
      model: the model without its weights, and the kind of what is trained.
      names: rules for the tensors of its checkpoint.
      trained: shapes of one owner's trained parameters.
      workload: what the model will read.
      assumed: sentences about what is not on this machine.
    """

    model: 'TunedModel'
    names: 'tuple[Name, ...]'
    trained: Any
    workload: 'Workload'
    assumed: tuple[str, ...]


def read(
    config: config_dict.ConfigDict, lengths: tuple[int, int], cache_dir: Path
) -> Inputs:
    """Reads the model's config.json and the data, or assumes what is absent.

    Args:
      config: a checked one.
      lengths: mean tokens of a query and of a target, used where the data are
        not on this machine.
      cache_dir: converted models and token stores.

    Raises:
      ValueError: the model or the data is at fault.
    """
    from fedprompt_jax.planning import workload as workload_lib

    model_config, names, assumed = _read_model(config.model.source, cache_dir)
    config_lib.raise_all(list(algorithms.model_faults(config, model_config)))
    model, trained = _model(config, model_config, names)
    absent = list(sources.get(config.data.source).faults(config))
    if not assumed and not absent:
        workload = workload_lib.of_data(config, model, cache_dir)
    else:
        workload = workload_lib.assumed(config, model, *lengths)
        query, target = lengths
        assumed += absent
        assumed.append(
            f'queries of {query} and targets of {target} '
            f'tokens on average, cut at {config.data.max_query} and '
            f'{config.data.max_target}'
        )
    return Inputs(model, names, trained, workload, tuple(assumed))


def trained_numbers(config: config_dict.ConfigDict, cache_dir: Path) -> int:
    """How many numbers each client trains; reads the model's config.json alone.

    Args:
      config: a checked one.
      cache_dir: converted models.

    Raises:
      ValueError: the model is at fault.
    """
    import jax

    model_config, names, _ = _read_model(config.model.source, cache_dir)
    _, trained = _model(config, model_config, names)
    return sum(x.size for x in jax.tree.leaves(trained))


def levers(config: config_dict.ConfigDict) -> list[str]:
    """Lists changes of the config that take less memory on a chip."""
    several = config.mesh.data > 1 and not config.mesh.fsdp
    whole = config.model.quantization or config.peft == 'full'
    quantized = config.copy_and_resolve_references()
    quantized.model.quantization = 'int8'
    # Not every algorithm takes one.
    whole = whole or any(algorithms.faults(quantized))
    options = [
        'lower config.packing.max_tokens or config.evaluation.batch_size',
        'take more chips and raise config.mesh.model',
        '' if config.model.remat else 'set config.model.remat=True',
        ''
        if config.model.remat or config.model.remat_mlp
        else 'set config.model.remat_mlp=True (saves less, and costs less)',
        '' if whole else "set config.model.quantization='int8' (less exact)",
        'set config.mesh.fsdp=True' if several else '',
    ]
    return [lever for lever in options if lever]


def _read_model(
    spec: str, cache_dir: Path
) -> tuple['ModelConfig', 'tuple[Name, ...]', list[str]]:
    """The config of a model and the rules for its tensors; reads no weights.

    Args:
      spec: config.model.source.
      cache_dir: converted models.

    Returns:
      The two, and a note of what was assumed if the model is not local.

    Raises:
      ValueError: there is no config.json to read.
    """
    from fedprompt_jax.models import families, hub, source

    if spec in KNOWN and not Path(spec).exists():
        fields = KNOWN[spec]
        notes = [f'{spec}: the sizes of a Llama 3.1 8B']
        return families.model_config(fields), families.names(fields), notes
    if hub.parse(spec) is not None and not Path(spec).exists():
        folder = hub.download_config(spec)
        notes = [f'{spec}: its config.json alone was fetched']
    else:
        faults = source.check(spec)
        if faults and not (Path(spec) / 'config.json').is_file():
            raise ValueError(
                f'config.model.source={spec!r}: {faults[0]} A plan is content '
                f'with a config.json, or with {", ".join(KNOWN)}.'
            )
        notes = [f'{spec}: {faults[0]}'] if faults else []
        folder = Path(spec) if faults else source.resolve(spec, cache_dir)
    return source.read_config(folder), source.read_names(folder), notes


def _model(
    config: config_dict.ConfigDict,
    model_config: 'ModelConfig',
    names: 'tuple[Name, ...]',
) -> tuple['TunedModel', Any]:
    """The model without its weights, and the shapes of what an owner trains."""
    import flax.traverse_util
    import jax

    from fedprompt_jax import peft
    from fedprompt_jax.bank.binding import TunedModel
    from fedprompt_jax.bank.kind import ModelInfo, Start
    from fedprompt_jax.models.sizes import base_leaves, param_shapes
    from fedprompt_jax.models.transformer import Transformer

    shapes = param_shapes(model_config)
    kind = peft.get(config.peft).make(
        config, ModelInfo(model_config, names, shapes)
    )
    settings = config.model
    leaves = base_leaves(model_config, settings.dtype, settings.quantization)
    base = flax.traverse_util.unflatten_dict(leaves, sep='/')

    def init(base):
        # Traced for its shapes alone: random numbers and tokens do not matter.
        rng = np.random.default_rng(0)
        embedding = base['embed']['embedding']
        return kind.init(Start(rng, embedding, lambda text: [0], base))

    transformer = Transformer(model_config, remat=config.model.remat)
    return TunedModel(transformer, kind), jax.eval_shape(init, base)


def _other_shapes(
    config: config_dict.ConfigDict,
    cache_dir: Path,
    section: config_dict.ConfigDict,
) -> Any:
    """Shapes of what is trained of another model, by its config section."""
    other = config.copy_and_resolve_references()
    other.model.update(section)
    model_config, names, _ = _read_model(section.source, cache_dir)
    return _model(other, model_config, names)[1]


def _excerpt_shapes(
    model_config: 'ModelConfig', start: int, size: int, repeated: bool
) -> Any:
    """Shapes f32 of the parameters of some layers and what is around them."""
    import flax.traverse_util
    import jax.numpy as jnp

    from fedprompt_jax.models import auxiliary
    from fedprompt_jax.models.sizes import base_leaves

    part = auxiliary.config(model_config, start, size, repeated)
    leaves = base_leaves(part, jnp.dtype(jnp.float32).name)
    return flax.traverse_util.unflatten_dict(leaves, sep='/')


def text(plan: dict[str, Any]) -> str:
    """The plan as text for a terminal.

    Args:
      plan: as `plan` returns it.
    """
    f = plan
    total = f['needed_memory']
    layers = f' (layers {f["quantization"]})' if f['quantization'] else ''
    lines = [
        f'{f["model"]}: {f["parameters"] / 1e9:.2f} B parameters in '
        f'{f["dtype"]}{layers}, {f["trained"]:,} trained by each client',
        f'{f["chips"]} x {f["chip"]}, mesh {f["mesh"][0]} x {f["mesh"][1]} '
        '(data x model)',
        '',
        'memory of a chip, GB',
        *(
            f'  {part:22} {n / 1e9:9.2f}'
            for part, n in f['memory'].items()
            if n
        ),
        f'  {"at the worst moment":22} {total / 1e9:9.2f} of '
        f'{f["chip_memory"] / 1e9:.0f} (training and generation take turns)',
        *(
            []
            if f['fits']
            else [f'It does not fit: {"; or ".join(f["levers"])}.']
        ),
        '',
        'a round',
        f'  tokens                 {f["tokens"]:9,.0f}',
        f'  useful TFLOP           {f["useful_flops"] / 1e12:9.2f}',
        f'  computed TFLOP         {f["flops"] / 1e12:9.2f}',
        f'  seconds                {f["round_seconds"]:9.2f}',
        f'  bytes to a client        {f["bytes_down"]:,}, from it '
        f'{f["bytes_up"]:,}, kept by it {f["bytes_kept"]:,}',
        *(
            [f'  bytes to a client once   {f["bytes_once"]:,}']
            if f['bytes_once']
            else []
        ),
        '',
        f'a run of {f["rounds"]} rounds',
        *(f'  {part:22} {duration(n)}' for part, n in f['hours'].items()),
        f'  {"together":22} {duration(sum(f["hours"].values()))}',
        '',
        f'Packing: {f["packing"]}.',
    ]
    assumed = '; '.join(note.rstrip('.') for note in f['assumed'])
    lines.append(f'Assumed: {assumed}.')
    return '\n'.join(lines)


def duration(hours: float) -> str:
    """Formats hours in the largest fitting unit: h, min or s.

    >>> duration(0.5)
    '    30.00 min'
    """
    for unit, size in (('h', 1.0), ('min', 60.0)):
        if hours * size >= 1:
            return f'{hours * size:9.2f} {unit}'
    return f'{hours * 3600:9.2f} s'
