"""The row shapes of training and of evaluation, chosen from a run's data."""

from collections.abc import Sequence
import itertools

from ml_collections import config_dict
import numpy as np

from fedprompt_jax.bank.binding import TunedModel
from fedprompt_jax.data.examples import Example
from fedprompt_jax.data.packing import Packer
from fedprompt_jax.data.sampling import (
    Population,
    epoch_steps,
    sample_cohort,
)
from fedprompt_jax.data.shapes import choose_shapes
from fedprompt_jax.data.store import TokenStore
from fedprompt_jax.evaluation import choices
from fedprompt_jax.experiment.data import FederatedData
from fedprompt_jax.models.sizes import (
    ATTENTION_BACKWARD,
    ATTENTION_TIME,
    block_params,
    target_params,
)

# Row shapes are chosen from at most so many batches of a stage, and from at
# most so many examples beyond the first batch.
SAMPLE = 6
EXAMPLES = 4096
# Numbers of rows to compile for, as quantiles of what batches need. A long run
# earns back the compilation of more of them; scores come in bulk.
SHORT_RUN, LONG_RUN = (0.5, 1.0), (0.1, 0.3, 0.5, 0.7, 0.9, 1.0)
LONG = 256  # local steps, from which a run is long
EVALUATION = (0.25,)
SLICE = 64  # instances of a batch of the evaluation in the sample


def of_training(
    config: config_dict.ConfigDict,
    model: TunedModel,
    data: FederatedData,
    population: Population,
    runs: int = 1,
) -> Packer:
    """Chooses the packer of stage 1 from a sample of its batches.

    It does not depend on stage 2, so that the rounds of runs that differ in
    stage 2 alone are the same to the bit.

    Args:
      config: the checked config.
      model: the model and the kind of what is trained.
      data: the data.
      population: the training clients as the algorithm sees them.
      runs: the number of runs that share one bank.
    """
    cohorts = cohort_batches(config, data, population)
    used = np.concatenate([data.population.order, data.server])
    longest = _longest(data.store, used, data.store.target_lengths[used])
    return choose(config, model, _of_runs(cohorts, runs), longest, True)


def of_personalization(
    config: config_dict.ConfigDict,
    model: TunedModel,
    data: FederatedData,
    training: Packer,
    runs: int = 1,
) -> Packer:
    """The packer of stage 2: that of stage 1 if its rows hold the examples.

    Then both stages have the same programs.

    Args:
      config: the checked config.
      model: the model and the kind of what is trained.
      data: the data.
      training: the packer of stage 1.
      runs: the number of runs that share one bank.
    """
    used = np.concatenate(data.held_out.train)
    if not len(used):
        return training
    tokens, targets = _longest(
        data.store, used, data.store.target_lengths[used]
    )
    widest = training.shapes[-1]
    fits = training.prompt_length + tokens <= widest.length
    if fits and targets <= widest.targets:
        return training
    epochs = epoch_batches(config, data)
    return choose(
        config, model, _of_runs(epochs, runs), (tokens, targets), True
    )


def _of_runs(
    batches: Sequence[Sequence[Example]], runs: int
) -> list[Sequence[Example]]:
    """Batches of `runs` equal runs, and of one that is left at the end."""
    together = [_side_by_side(batch, runs) for batch in batches]
    return [*together, *(batches if runs > 1 else [])]


def cohort_batches(
    config: config_dict.ConfigDict, data: FederatedData, population: Population
) -> list[list[Example]]:
    """A sample of the batches of stage 1.

    Each batch holds the examples of all clients in one local step, with owners
    0 ... C - 1.
    """
    cohorts: list[list[Example]] = []
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
        cohorts += map(list, cohort.steps)
    return cohorts


def epoch_batches(
    config: config_dict.ConfigDict, data: FederatedData
) -> list[list[Example]]:
    """A sample of the batches of stage 2, like cohort_batches."""
    epochs = epoch_steps(
        data.store,
        data.held_out.train,
        data.held_out.clients,
        batch_size=config.personalization.batch_size,
        seed=config.seed,
        epoch=0,
    )
    in_step = config.personalization.clients * config.personalization.batch_size
    count = max(1, min(SAMPLE, EXAMPLES // in_step))
    return list(itertools.islice(epochs, count))


def local_steps(config: config_dict.ConfigDict) -> int:
    """Steps of a client in a round.

    With config.local_epochs they are those of a client of mean size.
    """
    passes = -(-config.data.client_size // config.batch_size)
    return config.local_steps or config.local_epochs * passes


def of_evaluation(
    config: config_dict.ConfigDict, model: TunedModel, data: FederatedData
) -> Packer:
    """Chooses the packer of the evaluation's losses."""
    batches, _ = evaluation_batches(config, model, data)
    sizes = np.array(
        [(e.num_tokens, e.num_target_tokens) for b in batches for e in b]
    )
    tokens, targets = sizes.max(axis=0).tolist()
    return choose(config, model, batches, (tokens, targets), training=False)


def evaluation_batches(
    config: config_dict.ConfigDict, model: TunedModel, data: FederatedData
) -> tuple[list[list[Example]], np.ndarray]:
    """Returns the scored examples in batches, and their instances.

    Returns:
      Batches of the examples of SLICE instances each, with a query's choices in
      one example where config.packing.max_tokens allows it; and the instances,
      int64 [n].
    """
    # A grid has at least a row for each part of the mesh's data axis.
    most = config.packing.max_tokens // config.mesh.data
    room = most - model.packer().prompt_length

    def holds(example: Example) -> bool:
        return example.num_tokens <= room

    used = np.concatenate([*data.validation.local, *data.held_out.local])
    more = np.setdiff1d(data.held_out.common, used)  # of an official split
    used = np.concatenate([used, more])
    if data.views is not None:
        rest = np.setdiff1d(data.views.split, used)
        used = np.concatenate([used, rest])
    batches = [
        [
            example
            for owner, i in enumerate(part)
            for example in choices.examples(data.store, owner, int(i), holds)
        ]
        for part in np.array_split(used, -(-len(used) // SLICE))
    ]
    return batches, used


def describe(
    training: Packer | None, personalization: Packer | None, evaluation: Packer
) -> str:
    """The row shapes in words, for the log and for run.json.

    Args:
      training: of stage 1; None where nothing is packed.
      personalization: of stage 2, likewise.
      evaluation: of what is scored.
    """
    named = {'training': training, 'evaluation': evaluation}
    if personalization is not None and personalization != training:
        named['personalization'] = personalization
    lines = []
    for name, packer in named.items():
        if packer is None:
            continue
        shapes = ' and '.join(
            f'{" or ".join(map(str, s.rows))} rows of {s.length} tokens '
            f'({s.targets} targets)'
            for s in packer.shapes
        )
        lines.append(f'{name} in grids of {shapes}')
    return '; '.join(lines)


def _side_by_side(examples: Sequence[Example], runs: int) -> list[Example]:
    """The batch of `runs` equal runs: run r's owner c is r * C + c."""
    owners = 1 + max(e.owner for e in examples)
    return [
        e._replace(owner=e.owner + run * owners)
        for run in range(runs)
        for e in examples
    ]


def choose(
    config: config_dict.ConfigDict,
    model: TunedModel,
    batches: Sequence[Sequence[Example]],
    longest: tuple[int, int],
    training: bool,
) -> Packer:
    """Chooses row shapes by the costs of the model; see data.shapes.

    Args:
      config: the checked config.
      model: the model and the kind of what is trained.
      batches: a sample of those that will be packed.
      longest: most tokens and most targets of an example.
      training: whether gradients are computed, and not losses alone.
    """
    model_config = model.transformer.config
    block, layers = block_params(model_config), model_config.reader
    heads = layers.num_layers * layers.num_heads * layers.head_dim
    # Relative to forward, a product costs 2 with its backward pass, attention
    # 1 + ATTENTION_BACKWARD.
    back = (1 + ATTENTION_BACKWARD) / 2 if training else 1.0
    attention = ATTENTION_TIME * back
    long = config.rounds * local_steps(config) >= LONG
    return choose_shapes(
        batches,
        longest,
        model.packer(),
        attention_scale=block / (2 * heads * attention),
        target_cost=target_params(model_config) / block,
        max_tokens=config.packing.max_tokens,
        row_multiple=config.mesh.data,
        shares=(LONG_RUN if long else SHORT_RUN) if training else EVALUATION,
    )


def _longest(
    store: TokenStore, used: np.ndarray, targets: np.ndarray
) -> tuple[int, int]:
    """The most tokens and the most targets of the instances `used`."""
    tokens = store.row_lengths(used, targets)
    return int(tokens.max()), int(targets.max())
