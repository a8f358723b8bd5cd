"""Makes real what a config names: model, data, simulation, algorithm."""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import config_dict

from fedprompt_jax import algorithms, peft
from fedprompt_jax import mesh as mesh_lib
from fedprompt_jax.bank.binding import TunedModel
from fedprompt_jax.bank.kind import Base, Kind, Params, Start
from fedprompt_jax.data.packing import Packer
from fedprompt_jax.data.randomness import generator
from fedprompt_jax.data.sampling import Cohort, Pooled, sample_cohort
from fedprompt_jax.evaluation.generation import Generator
from fedprompt_jax.evaluation.scoring import Evaluator, Scorer
from fedprompt_jax.experiment import data as data_lib
from fedprompt_jax.experiment import packers
from fedprompt_jax.experiment.kept import Kept
from fedprompt_jax.federated import optimizers
from fedprompt_jax.federated.algorithm import (
    Algorithm,
    Ingredients,
    Simulation,
)
from fedprompt_jax.federated.packed import PackedSimulation
from fedprompt_jax.federated.vmapped import VmappedSimulation
from fedprompt_jax.models import source
from fedprompt_jax.models.input_embeddings import InputEmbeddings
from fedprompt_jax.models.sizes import base_leaves, param_shapes
from fedprompt_jax.models.tokenizer import Tokenizer
from fedprompt_jax.models.transformer import Transformer
from fedprompt_jax.sweep.merged_evaluation import MergedEvaluator
from fedprompt_jax.sweep.merged_simulation import MergedSimulation
from fedprompt_jax.sweep.rendezvous import Member


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
    evaluator: Scorer
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
    config: config_dict.ConfigDict, cache_dir: Path, kept: Kept | None = None
) -> tuple[Path, data_lib.FederatedData]:
    """The model's folder and the data: no device is touched.

    Args:
      config: the checked config.
      cache_dir: converted models and token stores.
      kept: what earlier runs of this process have opened.
    """
    kept = kept or Kept()
    folder = kept.get(
        'folder',
        (config.model.source, cache_dir),
        lambda: source.resolve(config.model.source, cache_dir),
    )
    tokenizer = Tokenizer.from_folder(folder)
    make_kind(config, folder)  # its faults come before the data is read
    sizes = source.read_config(folder)
    return folder, data_lib.load(config, tokenizer, sizes, cache_dir, kept)


def build(
    config: config_dict.ConfigDict,
    folder: Path,
    data: data_lib.FederatedData,
    kept: Kept | None = None,
    member: Member | None = None,
) -> Experiment:
    """Puts the model on the devices and makes the stages' parts.

    Args:
      config: the checked config.
      folder: of the model; this and the data are from load_data.
      data: the data.
      kept: what earlier runs of this process have loaded.
      member: of the runs that are computed as one bank; None for this alone.
    """
    # Else a GPU or TPU multiplies f32 numbers in fewer bits.
    exact = 'highest' if config.model.dtype == 'float32' else None
    jax.config.update('jax_default_matmul_precision', exact)
    mesh = mesh_lib.make_mesh(config.mesh.data, config.mesh.model)
    sizes = source.read_config(folder)
    dtype, quantization = config.model.dtype, config.model.quantization
    leaves = base_leaves(sizes, dtype, quantization)
    lm = (kept or Kept()).get(
        'model',
        (folder, dtype, quantization, mesh, config.mesh.fsdp),
        lambda: source.load(
            folder,
            jnp.dtype(dtype),
            mesh_lib.base_sharding(mesh, leaves, config.mesh.fsdp),
            quantization,
        ),
    )
    gather = mesh_lib.Gather(mesh) if config.mesh.fsdp else None
    transformer = Transformer(lm.config, config.model.remat, gather)
    model = TunedModel(transformer, make_kind(config, folder))
    module = algorithms.get(config.algorithm)
    pooled = algorithms.pooled(config.algorithm)
    population = Pooled(data.population) if pooled else data.population
    own = mesh_lib.own_rows(mesh)
    packer = packers.of_evaluation(config, model, data)._replace(own=own)
    shapes = {'evaluation': packer}
    evaluator: Any = _evaluator(config, lm, model, packer, data, mesh)
    put_rows = mesh_lib.put_rows(mesh)
    simulation: Any
    if config.simulation == 'vmap':
        simulation = VmappedSimulation(model, lm.base, config.loss, put_rows)
    else:
        runs = member.meeting.size if member else 1
        packer = packers.of_training(config, model, data, population, runs)
        packer = packer._replace(own=own)
        shapes = {'training': packer} | shapes
        simulation = PackedSimulation(
            model, lm.base, packer, config.loss, put_rows
        )
    if member is not None:
        simulation = MergedSimulation(simulation, member)
        evaluator = MergedEvaluator(evaluator, member)
    client, server = config.client, config.server
    ingredients = Ingredients(
        simulation,
        optimizers.make(client.optimizer, client.learning_rate),
        optimizers.make(server.optimizer, server.learning_rate),
        config.aggregation,
    )
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
        packing=packers.describe(shapes),
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

    def encode(text: str) -> list[int]:
        # Words of the config may name special tokens.
        parts = lm.tokenizer.with_special_tokens(text)
        return lm.tokenizer.encode([parts], False)[0]

    start = Start(
        generator(config.seed, 'initial prompt'),
        InputEmbeddings(Transformer(lm.config), lm.base),
        encode,
        lm.base,
    )
    return kind.init(start)


def _evaluator(config, lm, model, packer: Packer, data, mesh) -> Evaluator:
    generate = Generator(
        model,
        lm.base,
        eos_ids=lm.tokenizer.eos_ids,
        max_new_tokens=config.evaluation.max_new_tokens,
        batch_size=config.evaluation.batch_size,
        put=mesh_lib.put_rows(mesh),
        max_tokens=config.packing.max_tokens,
        own=packer.own,
        row_multiple=config.mesh.data,
    )
    rule = config.evaluation.choices
    return Evaluator(data.store, lm.tokenizer, packer, generate, rule)
