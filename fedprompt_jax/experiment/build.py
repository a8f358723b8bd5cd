"""Makes the parts of an experiment from its config and its data."""

import dataclasses
import functools
from pathlib import Path
from typing import Any, NamedTuple, Protocol, cast

import jax
import jax.numpy as jnp
from ml_collections import config_dict
import numpy as np

from fedprompt_jax import algorithms, peft, personalization
from fedprompt_jax.bank.bare import Nothing
from fedprompt_jax.bank.binding import TunedModel
from fedprompt_jax.bank.kind import Kind, ModelInfo, Params, Start
from fedprompt_jax.bank.layer_states import layer_states
from fedprompt_jax.bank.whole_and_prompt import WholeAndPrompt
from fedprompt_jax.data.examples import Example
from fedprompt_jax.data.randomness import generator
from fedprompt_jax.data.sampling import (
    Cohort,
    Pooled,
    Population,
    sample_cohort,
    shuffled_passes,
)
from fedprompt_jax.evaluation.generation import Generator
from fedprompt_jax.evaluation.scoring import Evaluator, Scorer
from fedprompt_jax.experiment import config as config_lib
from fedprompt_jax.experiment import data as data_lib
from fedprompt_jax.experiment import packers, stage_one
from fedprompt_jax.experiment.last_loaded import LastLoaded
from fedprompt_jax.federated.algorithm import (
    Algorithm,
    Auxiliary,
    Excerpt,
    Probe,
    Simulation,
    Steps,
)
from fedprompt_jax.federated.packed import PackedSimulation
from fedprompt_jax.federated.vmapped import VmappedSimulation
from fedprompt_jax.mesh import (
    Devices,
    Gather,
    base_sharding,
    copies,
    make_mesh,
)
from fedprompt_jax.models import auxiliary, source
from fedprompt_jax.models.input_embeddings import InputEmbeddings
from fedprompt_jax.models.kernels import choice as kernel_choice
from fedprompt_jax.models.shards import checkpoint_fingerprint
from fedprompt_jax.models.sizes import base_leaves, param_shapes
from fedprompt_jax.models.tokenizer import Tokenizer
from fedprompt_jax.models.transformer import Transformer


class Together(Protocol):
    """A run's part in a computation that it shares with other runs of a study.

    Attributes:
      size: the number of runs that are computed together.
      number: of this run, from 0.
    """

    @property
    def size(self) -> int: ...

    @property
    def number(self) -> int: ...

    def simulation(self, alone: Any) -> Simulation: ...

    def evaluator(self, alone: Evaluator) -> Scorer: ...


@dataclasses.dataclass(frozen=True)
class Cast:
    """Parameters in another dtype; equal for all runs of a process."""

    dtype: str

    def __call__(self, params: Params) -> Params:
        return jax.tree.map(lambda x: x.astype(self.dtype), params)


class OtherModel(NamedTuple):
    """A model that an algorithm has loaded besides config.model.

    Attributes:
      fingerprints: of its weights and of the data in its tokens.
      warnings: about the data in its tokens.
    """

    fingerprints: dict[str, str]
    warnings: list[str]


@dataclasses.dataclass(frozen=True, eq=False)
class Experiment:
    """Everything that the two stages use.

    Attributes:
      config: the checked config.
      data: token store and clients.
      lm: the frozen model, its tokenizer and its folder.
      model: the frozen model and the kind of what is trained.
      devices: places arrays on devices.
      simulation: computes cohorts of stage 1.
      personal: computes the clients of stage 2.
      evaluator: scores prompts.
      few_shot: scores the bare model with solved examples before each query;
        None where it is not asked for.
      algorithm: the algorithm of stage 1.
      params: what is trained, before any training.
      packing: the row shapes in words.
      packing_of_rounds: those that the rounds of this run have where it is
        computed alone, and its validation.
      other_models: those that the algorithm has loaded besides, by source.
    """

    config: config_dict.ConfigDict
    data: data_lib.FederatedData
    lm: source.LanguageModel
    model: TunedModel
    devices: Devices
    simulation: Simulation
    personal: Simulation
    evaluator: Scorer
    few_shot: Evaluator | None
    algorithm: Algorithm
    params: Params
    packing: str
    packing_of_rounds: str
    other_models: dict[str, 'OtherModel']

    @property
    def pooled(self) -> bool:
        """Whether the algorithm trains on all data as one client's."""
        return algorithms.pooled(self.config.algorithm)

    @functools.cached_property
    def population(self) -> Population:
        """The training clients as the algorithm sees them."""
        return population(self.config, self.data)

    def cohort(self, round: int) -> Cohort:
        """The cohort of a round of stage 1."""
        return cohort(
            self.config,
            self.data,
            self.population,
            self.config.clients_per_round,
            round,
        )


def load_data(
    config: config_dict.ConfigDict,
    cache_dir: Path,
    loaded: LastLoaded | None = None,
) -> tuple[Path, data_lib.FederatedData]:
    """Resolves the model's folder and reads the data; uses no device.

    Args:
      config: the checked config.
      cache_dir: converted models and token stores.
      loaded: what earlier runs of this process have opened.
    """
    loaded = loaded or LastLoaded()
    folder = loaded.get(
        'folder',
        (config.model.source, cache_dir),
        lambda: source.resolve(config.model.source, cache_dir),
    )
    tokenizer = Tokenizer.from_folder(folder)
    kind = make_kind(config, folder)  # its faults come before data is read
    model_config = source.read_config(folder)
    config_lib.raise_all(
        [
            *algorithms.model_faults(config, model_config),
            *personalization.model_faults(config, model_config, kind),
        ]
    )
    return folder, data_lib.load(
        config, tokenizer, model_config, cache_dir, loaded
    )


def build(
    config: config_dict.ConfigDict,
    folder: Path,
    data: data_lib.FederatedData,
    loaded: LastLoaded | None = None,
    together: Together | None = None,
    cache_dir: Path | None = None,
) -> Experiment:
    """Puts the model on the devices and makes the parts of the stages.

    Args:
      config: the checked config.
      folder: of the model; this and the data are from load_data.
      data: the data.
      loaded: what earlier runs of this process have loaded.
      together: the runs that are computed as one bank; None for a run alone.
      cache_dir: converted models and token stores, for an algorithm with
        another model; None where there is none.
    """
    # Else a GPU or TPU multiplies f32 numbers in fewer bits.
    exact = 'highest' if config.model.dtype == 'float32' else None
    jax.config.update('jax_default_matmul_precision', exact)
    devices = Devices(make_mesh(config.mesh.data, config.mesh.model))
    loaded = loaded or LastLoaded()
    lm = load_model(config, folder, devices, loaded)
    model = make_model(config, lm, devices)
    evaluator = make_evaluator(config, lm, model, data, devices)
    simulation: Any = make_simulation(
        config, lm, model, data, devices, together.size if together else 1
    )
    personal, of_stage_1, of_stage_2, alone = simulation, None, None, None
    if config.simulation == 'packed':
        runs = together.size if together else 1
        of_stage_1 = simulation.packer
        of_stage_2 = packers.of_personalization(
            config, model, data, of_stage_1, runs
        )
        personal = simulation.with_packer(of_stage_2)
        alone = of_stage_1
        if runs > 1:
            clients = population(config, data)
            alone = packers.of_training(config, model, data, clients)
    one_owner = _of_one_owner(config, model, data, simulation, devices)
    scorer: Scorer = evaluator
    if together is not None:
        simulation = together.simulation(simulation)
        personal = together.simulation(personal)
        scorer = together.evaluator(evaluator)
    params = devices.replicate(initial_params(config, lm, model.kind))
    others: dict[str, OtherModel] = {}
    return Experiment(
        config=config,
        data=data,
        lm=lm,
        model=model,
        devices=devices,
        simulation=simulation,
        personal=personal,
        evaluator=scorer,
        few_shot=make_few_shot(config, lm, model, data, devices),
        algorithm=stage_one.make(
            stage_one.setup(
                config,
                simulation,
                params,
                len(population(config, data)),
                functools.partial(server_steps, config, data),
                functools.partial(
                    make_auxiliary,
                    config,
                    data,
                    devices,
                    cache_dir,
                    others,
                    loaded,
                ),
                make_probe(config, lm, model, data),
                functools.partial(
                    make_excerpt, config, lm, simulation, devices, one_owner
                ),
                functools.partial(server_batch, config, data),
                one_owner,
            )
        ),
        params=params,
        packing=packers.describe(of_stage_1, of_stage_2, evaluator.packer),
        packing_of_rounds=packers.describe(alone, None, evaluator.packer),
        other_models=others,
    )


def cohort(
    config: config_dict.ConfigDict,
    data: data_lib.FederatedData,
    population: Population,
    size: int,
    round: int,
) -> Cohort:
    """`size` clients of a population and their batches of a round, from 0."""
    return sample_cohort(
        data.store,
        population,
        size=size,
        num_steps=config.local_steps,
        num_epochs=config.local_epochs,
        batch_size=config.batch_size,
        seed=config.seed,
        round=round,
    )


def server_steps(
    config: config_dict.ConfigDict, data: data_lib.FederatedData, round: int
) -> Steps:
    """Batches of a round, from 0, of the examples that the server holds."""
    if not len(data.server):
        return []
    return cohort(config, data, [data.server], 1, round).steps


def server_batch(
    config: config_dict.ConfigDict,
    data: data_lib.FederatedData,
    step: int,
    size: int,
) -> list[Example]:
    """The examples of a step, from 0, of endless passes over the server's."""
    chosen = shuffled_passes(
        data.server, step * size, size, config.seed, purpose='server batches'
    )
    return [data.store.example(0, int(i)) for i in chosen]


def population(
    config: config_dict.ConfigDict, data: data_lib.FederatedData
) -> Population:
    """The training clients as the config's algorithm sees them."""
    pooled = algorithms.pooled(config.algorithm)
    return Pooled(data.population) if pooled else data.population


def load_model(
    config: config_dict.ConfigDict,
    folder: Path,
    devices: Devices,
    loaded: LastLoaded,
) -> source.LanguageModel:
    """The frozen model, its parameters on the devices."""
    dtype, quantization = config.model.dtype, config.model.quantization
    fsdp, mesh = config.mesh.fsdp, devices.mesh
    leaves = base_leaves(source.read_config(folder), dtype, quantization)
    return loaded.get(
        'model',
        (folder, dtype, quantization, mesh, fsdp),
        lambda: source.load(
            folder,
            jnp.dtype(dtype),
            base_sharding(mesh, leaves, fsdp),
            quantization,
        ),
    )


def make_model(
    config: config_dict.ConfigDict, lm: source.LanguageModel, devices: Devices
) -> TunedModel:
    """The frozen model with the kind of what is trained."""
    gather = gathering(config, devices)
    kernel = attention_kernel(config, devices)
    c = config.model
    transformer = Transformer(lm.config, c.remat, gather, kernel, c.remat_mlp)
    kind = make_kind(config, lm.folder)
    return TunedModel(transformer, kind, copies(devices.mesh))


def gathering(
    config: config_dict.ConfigDict, devices: Devices
) -> Gather | None:
    """What brings the base together where it is cut over 'data'."""
    return Gather(devices.mesh) if config.mesh.fsdp else None


def attention_kernel(
    config: config_dict.ConfigDict, devices: Devices
) -> kernel_choice.Kernel | None:
    """What computes the attention of packed rows; None: XLA does."""
    return kernel_choice.make(config.model.attention, devices.mesh)


def make_simulation(
    config: config_dict.ConfigDict,
    lm: source.LanguageModel,
    model: TunedModel,
    data: data_lib.FederatedData,
    devices: Devices,
    runs: int = 1,
) -> Simulation:
    """Makes the simulation of cohorts; `runs` share one call of the model."""
    if config.simulation == 'vmap':
        return VmappedSimulation(model, lm.base, config.loss, devices.rows)
    packer = packers.of_training(
        config, model, data, population(config, data), runs
    )
    packer = packer._replace(my_rows=devices.my_rows)
    return PackedSimulation(
        model,
        lm.base,
        packer,
        config.loss,
        devices.rows,
        config.packing.scan_steps,
    )


def _of_one_owner(
    config: config_dict.ConfigDict,
    model: TunedModel,
    data: data_lib.FederatedData,
    simulation: Simulation,
    devices: Devices,
) -> Simulation:
    """The simulation with rows for the batches of one client, or the server."""
    if not algorithms.one_owner(config) or config.simulation == 'vmap':
        return simulation
    alone = config.copy_and_resolve_references()
    alone.clients_per_round = 1
    packer = packers.of_training(
        alone, model, data, population(config, data)
    )._replace(my_rows=devices.my_rows)
    return cast(PackedSimulation, simulation).with_packer(packer)


def make_auxiliary(
    config: config_dict.ConfigDict,
    data: data_lib.FederatedData,
    devices: Devices,
    cache_dir: Path | None,
    others: dict[str, OtherModel],
    loaded: LastLoaded,
    section: config_dict.ConfigDict,
) -> Auxiliary:
    """Loads another model over the same clients and instances.

    Args:
      config: the checked config.
      data: that of the model of config.model.
      devices: where it is computed.
      cache_dir: converted models and token stores.
      others: where it is noted, by its source.
      loaded: what earlier runs of this process have loaded.
      section: has the keys of config.model.

    Raises:
      ValueError: its tokenizer or its positions do not fit the data.
    """
    if cache_dir is None:
        raise ValueError(f'{section.source!r} needs a folder for token stores.')
    other = config.copy_and_resolve_references()
    other.model.update(section)
    # Not in the place of config.model: both stay loaded.
    loaded = loaded.get(f'model of {section.source}', (), LastLoaded)
    folder, its = load_data(other, cache_dir, loaded)
    if its.fingerprint != data.fingerprint:
        raise ValueError(
            f'{section.source!r} would train other clients than '
            f'config.model.source={config.model.source!r}.'
        )
    others[section.source] = OtherModel(
        {
            'weights': checkpoint_fingerprint(folder, cache_dir),
            'tokens': its.store.fingerprint,
        },
        [f'{section.source}: {text}' for text in its.warnings],
    )
    lm = load_model(other, folder, devices, loaded)
    model = make_model(other, lm, devices)
    clients = population(other, its)
    return Auxiliary(
        simulation=make_simulation(other, lm, model, its, devices),
        params=devices.replicate(initial_params(other, lm, model.kind)),
        cohort=functools.partial(
            cohort, other, its, clients, other.clients_per_round
        ),
        server_steps=functools.partial(server_steps, other, its),
    )


def make_excerpt(
    config: config_dict.ConfigDict,
    lm: source.LanguageModel,
    simulation: Simulation,
    devices: Devices,
    one_owner: Simulation,
    start: int,
    size: int,
    repeated: bool,
    alone: bool,
) -> Excerpt:
    """A smaller model of layers of the frozen one, with what trains in it.

    Args:
      config: the checked config.
      lm: the frozen model.
      simulation: of its cohorts; the smaller model has its rows' shapes.
      devices: where it is computed.
      one_owner: as `simulation`, for the batches of one client.
      start: first layer.
      size: number of layers.
      repeated: whether they are repeated through the whole depth.
      alone: whether a cohort of its prompts is one client.
    """
    part = auxiliary.config(lm.config, start, size, repeated)
    kernel = attention_kernel(config, devices)
    c = config.model
    transformer = Transformer(part, c.remat, None, kernel, c.remat_mlp)
    shapes = ModelInfo(part, source.read_names(lm.folder), param_shapes(part))
    kind = peft.get(config.peft).make(config, shapes)
    base = devices.replicate(auxiliary.params(lm.base, start, size))
    params = jax.tree.map(lambda x: x.astype(jnp.float32), base)

    def computing(kind: Kind, like: Simulation) -> Simulation:
        tuned = TunedModel(transformer, kind, copies(devices.mesh))
        return like.with_model(tuned, base)

    def fresh(client: int) -> Params:
        rng = generator(config.seed, 'first prompt', client)
        return initial_params(config, lm, kind, rng)

    return Excerpt(
        params,
        computing(kind, one_owner if alone else simulation),
        {
            which: computing(WholeAndPrompt(kind, which), one_owner)
            for which in ('model', 'both')
        },
        Cast(config.model.dtype),
        transformer,
        Transformer(lm.config, gather=gathering(config, devices)),
        lm.base,
        devices.rows,
        fresh,
    )


def make_probe(
    config: config_dict.ConfigDict,
    lm: source.LanguageModel,
    model: TunedModel,
    data: data_lib.FederatedData,
) -> Probe:
    """What an algorithm may look at before its rounds."""
    clients = population(config, data)

    def batch(client: int, size: int) -> list[Example]:
        rng = generator(config.seed, 'probed batch', client)
        instances = rng.permutation(clients[client])[:size]
        return [data.store.example(0, int(i)) for i in instances]

    def held_out(size: int) -> list[Example]:
        instances = np.concatenate(data.validation.local)
        rng = generator(config.seed, 'held-out examples')
        chosen = rng.permutation(np.unique(instances))[:size]
        return [data.store.example(0, int(i)) for i in chosen]

    return Probe(
        functools.partial(
            cohort, config, data, clients, config.clients_per_round
        ),
        batch,
        lambda client: len(clients[client]),
        lm.config.reader.num_layers,
        functools.partial(layer_states, model.transformer, lm.base),
        held_out,
    )


def make_evaluator(
    config: config_dict.ConfigDict,
    lm: source.LanguageModel,
    model: TunedModel,
    data: data_lib.FederatedData,
    devices: Devices,
) -> Evaluator:
    """Makes the evaluator, which scores prompts on the data's instances."""
    packer = packers.of_evaluation(config, model, data)
    generate = Generator(
        model,
        lm.base,
        eos_ids=lm.tokenizer.eos_ids,
        max_new_tokens=config.evaluation.max_new_tokens,
        batch_size=config.evaluation.batch_size,
        place_rows=devices.rows,
        max_tokens=config.packing.max_tokens,
        my_rows=devices.my_rows,
        row_multiple=config.mesh.data,
    )
    return Evaluator(
        data.store,
        lm.tokenizer,
        packer._replace(my_rows=devices.my_rows),
        generate,
        config.evaluation.choices,
    )


def make_few_shot(
    config: config_dict.ConfigDict,
    lm: source.LanguageModel,
    model: TunedModel,
    data: data_lib.FederatedData,
    devices: Devices,
) -> Evaluator | None:
    """Makes the evaluator of the bare model with solved examples."""
    if data.few_shot is None:
        return None
    # Nothing else of the data is read with these queries.
    nobody = dataclasses.replace(data.validation, local=[])
    data = dataclasses.replace(data, store=data.few_shot, validation=nobody)
    bare = dataclasses.replace(model, kind=Nothing())
    return make_evaluator(config, lm, bare, data, devices)


def make_kind(config: config_dict.ConfigDict, folder: Path) -> Kind:
    """Makes the kind of trained parameters of config.peft; reads no weights."""
    model_config = source.read_config(folder)
    base = ModelInfo(
        model_config, source.read_names(folder), param_shapes(model_config)
    )
    return peft.get(config.peft).make(config, base)


def initial_params(
    config: config_dict.ConfigDict,
    lm: source.LanguageModel,
    kind: Kind,
    rng: np.random.Generator | None = None,
) -> Params:
    """The parameters that training starts from; `rng` if not the seed's."""

    def encode(text: str) -> list[int]:
        # Words of the config may name special tokens.
        parts = lm.tokenizer.with_special_tokens(text)
        return lm.tokenizer.encode([parts], False)[0]

    start = Start(
        rng or generator(config.seed, 'initial prompt'),
        InputEmbeddings(Transformer(lm.config), lm.base),
        encode,
        lm.base,
    )
    return kind.init(start)
