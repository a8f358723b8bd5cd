"""Makes real what a config names: model, data, simulation, algorithm."""

from collections.abc import Sequence
import dataclasses
import itertools
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import config_dict
import numpy as np

from fedprompt_jax import algorithms, peft
from fedprompt_jax.data.examples import Example
from fedprompt_jax.data.packing import Packer
from fedprompt_jax.data.randomness import generator
from fedprompt_jax.data.sampling import (
    Cohort,
    Pooled,
    epoch_steps,
    sample_cohort,
)
from fedprompt_jax.data.shapes import choose_shapes
from fedprompt_jax.data.store import TokenStore
from fedprompt_jax.evaluation import choices
from fedprompt_jax.evaluation.generation import Generator
from fedprompt_jax.evaluation.scoring import Evaluator
from fedprompt_jax.experiment import data as data_lib
from fedprompt_jax.federated import mesh as mesh_lib
from fedprompt_jax.federated import optimizers
from fedprompt_jax.federated.algorithm import (
    Algorithm,
    Ingredients,
    Simulation,
)
from fedprompt_jax.federated.packed import PackedSimulation
from fedprompt_jax.federated.vmapped import VmappedSimulation
from fedprompt_jax.models import source
from fedprompt_jax.models.sizes import (
    block_params,
    param_shapes,
    target_params,
)
from fedprompt_jax.models.tokenizer import Tokenizer
from fedprompt_jax.models.transformer import Transformer
from fedprompt_jax.peft.kind import Base, Kind, Params, Start
from fedprompt_jax.peft.tuned import TunedModel

SAMPLE = 6  # most batches of a stage from which row shapes are chosen,
EXAMPLES = 4096  # and most examples in them, beyond the first batch
SLICE = 64  # examples of a batch of the evaluation from which they are


@dataclasses.dataclass(frozen=True, eq=False)
class Experiment:
    """Everything that the two stages use.

    Attributes:
      config: the checked config.
      data: token store and clients.
      lm: the frozen model, its tokenizer and fingerprint.
      folder: the checkpoint folder it was loaded from.
      population: training clients as the algorithm sees them.
      pooled: whether that is all data as one client.
      simulation: how cohorts are computed.
      evaluator: scores prompts.
      algorithm: stage 1.
      model: the language model and the kind of what is trained.
      params: that before any training.
      put: places a tree on every device.
      packing: the row shapes, for people.
    """

    config: config_dict.ConfigDict
    data: data_lib.FederatedData
    lm: source.LanguageModel
    folder: Path
    population: Any
    pooled: bool
    simulation: Simulation
    evaluator: Evaluator
    algorithm: Algorithm
    model: TunedModel
    params: Any
    put: Any
    packing: str

    def cohort(self, round: int) -> Cohort:
        """The cohort of a round of stage 1."""
        c = self.config
        return sample_cohort(
            self.data.store,
            self.population,
            size=c.clients_per_round,
            num_steps=c.local_steps,
            batch_size=c.batch_size,
            seed=c.seed,
            round=round,
        )


def load_data(
    config: config_dict.ConfigDict, cache_dir: Path
) -> tuple[Path, data_lib.FederatedData]:
    """The model's folder and the data: no device is touched."""
    folder = source.resolve(config.model.source, cache_dir)
    tokenizer = Tokenizer.from_folder(folder)
    make_kind(config, folder)  # its faults come before the data is read
    sizes = source.read_config(folder)
    return folder, data_lib.load(config, tokenizer, sizes, cache_dir)


def build(
    config: config_dict.ConfigDict,
    folder: Path,
    data: data_lib.FederatedData,
) -> Experiment:
    """Puts the model on the devices and makes the stages' parts."""
    if config.model.dtype == 'float32':
        # Else a GPU or TPU multiplies f32 numbers in fewer bits.
        jax.config.update('jax_default_matmul_precision', 'highest')
    mesh = mesh_lib.make_mesh(config.mesh.data, config.mesh.model)
    sizes = source.read_config(folder)
    lm = source.load(
        folder,
        jnp.dtype(config.model.dtype),
        mesh_lib.base_sharding(mesh, sizes),
    )
    transformer = Transformer(lm.config, remat=config.model.remat)
    model = TunedModel(transformer, make_kind(config, folder))
    module = algorithms.get(config.algorithm)
    pooled = getattr(module, 'POOLED', False)
    population = Pooled(data.population) if pooled else data.population
    simulation = _simulation(config, lm, model, data, population, mesh)
    client, server = config.client, config.server
    ingredients = Ingredients(
        simulation,
        optimizers.make(client.optimizer, client.learning_rate),
        optimizers.make(server.optimizer, server.learning_rate),
        config.aggregation,
    )
    evaluator = _evaluator(config, lm, model, data, mesh)
    put = mesh_lib.put_replicated(mesh)
    return Experiment(
        config=config,
        data=data,
        lm=lm,
        folder=folder,
        population=population,
        pooled=pooled,
        simulation=simulation,
        evaluator=evaluator,
        algorithm=module.make(ingredients),
        model=model,
        params=put(initial_params(config, lm, model.kind)),
        put=put,
        packing=_describe(simulation, evaluator),
    )


def make_kind(config: config_dict.ConfigDict, folder: Path) -> Kind:
    """What is trained, as config.peft says; no weights are read."""
    sizes = source.read_config(folder)
    base = Base(sizes, source.read_names(folder), param_shapes(sizes))
    return peft.get(config.peft).make(config, base)


def initial_params(
    config: config_dict.ConfigDict, lm: source.LanguageModel, kind: Kind
) -> Params:
    """What is trained, before the first round."""
    start = Start(
        generator(config.seed, 'initial prompt'),
        lm.base['embed']['embedding'],
        lambda text: lm.tokenizer.encode_batch([text], False)[0],
        lm.base,
    )
    return kind.init(start)


def _simulation(config, lm, model, data, population, mesh) -> Simulation:
    put_rows = mesh_lib.put_rows(mesh)
    if config.simulation == 'vmap':
        return VmappedSimulation(model, lm.base, config.loss, put_rows)
    batches = []
    in_round = config.clients_per_round * config.batch_size
    for round in range(max(1, min(SAMPLE, EXAMPLES // in_round))):
        cohort = sample_cohort(
            data.store,
            population,
            size=config.clients_per_round,
            num_steps=1,
            batch_size=config.batch_size,
            seed=config.seed,
            round=round,
        )
        batches += cohort.steps
    personal = epoch_steps(
        data.store,
        data.held_out.train,
        data.held_out.clients,
        batch_size=config.personalization.batch_size,
        seed=config.seed,
        epoch=0,
    )
    in_step = config.personalization.clients * config.personalization.batch_size
    count = max(1, min(SAMPLE, EXAMPLES // in_step))
    batches += itertools.islice(personal, count)
    used = np.concatenate([data.population.order, *data.held_out.train])
    targets = data.store.target_lengths[used]
    shares = (0.5, 1.0)
    packer = _packer(config, model, data.store, used, targets, batches, shares)
    packer = packer._replace(own=mesh_lib.own_rows(mesh))
    return PackedSimulation(model, lm.base, packer, config.loss, put_rows)


def _evaluator(config, lm, model, data, mesh) -> Evaluator:
    own_rows = mesh_lib.own_rows(mesh)
    sets = [*data.validation.local, *data.held_out.local]
    used = np.concatenate(sets)
    batches = [
        [
            example
            for owner, i in enumerate(part)
            for example in choices.examples(data.store, owner, int(i))
        ]
        for part in np.array_split(used, -(-len(used) // SLICE))
    ]
    targets = data.store.scored_lengths[used]
    # Scores come in bulk: one number of rows serves all.
    packer = _packer(config, model, data.store, used, targets, batches, (0.25,))
    packer = packer._replace(own=own_rows)
    generate = Generator(
        model,
        lm.base,
        eos_ids=lm.tokenizer.eos_ids,
        max_new_tokens=config.evaluation.max_new_tokens,
        batch_size=config.evaluation.batch_size,
        put=mesh_lib.put_rows(mesh),
        max_tokens=config.packing.max_tokens,
        own=own_rows,
    )
    rule = config.evaluation.choices
    return Evaluator(data.store, lm.tokenizer, packer, generate, rule)


def _packer(
    config,
    model: TunedModel,
    store: TokenStore,
    used: np.ndarray,
    targets: np.ndarray,
    batches: Sequence[Sequence[Example]],
    shares: tuple[float, ...],
) -> Packer:
    tokens, sizes = store.row_lengths(used, targets), model.transformer.config
    block, layers = block_params(sizes), sizes.reader
    heads = layers.num_layers * layers.num_heads * layers.head_dim
    return choose_shapes(
        batches,
        (int(tokens.max()), int(targets.max())),
        model.packer(),
        attention_scale=block / (2 * heads),
        target_cost=target_params(sizes) / block,
        max_tokens=config.packing.max_tokens,
        row_multiple=config.mesh.data,
        shares=shares,
    )


def _describe(simulation: Simulation, evaluator: Evaluator) -> str:
    """The row shapes in words; they are printed and kept in run.json."""
    parts = {'evaluation': evaluator.packer}
    if isinstance(simulation, PackedSimulation):
        parts = {'training': simulation.packer} | parts
    lines = []
    for name, packer in parts.items():
        shapes = ' and '.join(
            f'{" or ".join(map(str, s.rows))} rows of {s.length} tokens '
            f'({s.targets} targets)'
            for s in packer.shapes
        )
        lines.append(f'{name} in grids of {shapes}')
    return '; '.join(lines)
