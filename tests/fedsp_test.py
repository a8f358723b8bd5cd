"""FedSP against a plain computation, its laws and its switches."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from configs.fedsp import settings
from fedprompt_jax import peft
from fedprompt_jax.algorithms import fedsp
from fedprompt_jax.bank.binding import TunedModel
from fedprompt_jax.bank.kind import ModelInfo
from fedprompt_jax.data.packing import Shape
from fedprompt_jax.data.sampling import Cohort
from fedprompt_jax.experiment import build, stage_one
from fedprompt_jax.federated.algorithm import Setup
from fedprompt_jax.federated.auxiliary import turn
from fedprompt_jax.federated.packed import PackedSimulation
from fedprompt_jax.federated.vmapped import VmappedSimulation
from fedprompt_jax.mesh import Devices, make_mesh
from fedprompt_jax.models import families, source
from fedprompt_jax.models.sizes import param_shapes
from fedprompt_jax.models.transformer import Transformer
from tests import plain, plain_fedsp, quadratics, tiny
from tests.exhaustive import beyond, exhaustive

LENGTH, DEPTH = 2, 4
STEPS, ROUNDS, POPULATION = 3, 4, 3
RATES = 5e-3, 2e-2, 1e-2  # of models, of clients' prompts, of the server
EPS, DECAY = 1e-4, 0.01
SMALL = {
    'prefix.length': LENGTH,
    'prefix.scale': 0.5,
    'rounds': ROUNDS,
    'local_steps': STEPS,
    'clients_per_round': 2,
    'client.learning_rate': RATES[1],
    'server.learning_rate': RATES[2],
    'fedsp.model_learning_rate': RATES[0],
    'fedsp.distill_steps': 0,
}


@pytest.fixture(scope='module')
def four(tmp_path_factory):
    """A tiny model of four layers."""
    folder = tmp_path_factory.mktemp('four')
    return source.load(
        tiny.make_checkpoint(folder, num_layers=DEPTH), jnp.float32
    )


def config_of(**changes):
    flat = {k.replace('__', '.'): v for k, v in changes.items()}
    return quadratics.config_of('fedsp', **SMALL | flat)


class Rows:
    """What clients keep, one client at a time, in a dict."""

    def __init__(self, kept: dict, algorithm, state, clients) -> None:
        self.kept, self.clients = kept, clients
        self.never = algorithm.client(state)
        self.most = 0

    def take(self, place: int):
        row = self.kept.get(int(self.clients[place]), self.never)
        return jax.tree.map(lambda x: jnp.asarray(x)[None], row)

    def put(self, place: int, row) -> None:
        row = jax.tree.map(lambda x: x[0], row)
        self.kept[int(self.clients[place])] = row


class World:
    """A model, an algorithm over it, and its rounds."""

    def __init__(self, lm, simulation: str = 'packed', **changes) -> None:
        self.config = config_of(**changes)
        self.lm, self.kept = lm, {}
        shapes = ModelInfo(
            lm.config, source.read_names(lm.folder), param_shapes(lm.config)
        )
        kind = peft.get(self.config.peft).make(self.config, shapes)
        self.model = TunedModel(Transformer(lm.config), kind)
        loss, same = self.config.loss, plain.same
        if simulation == 'packed':
            packer = self.model.packer(Shape(64, 48, (8,)))
            made = PackedSimulation(self.model, lm.base, packer, loss, same)
        else:
            made = VmappedSimulation(self.model, lm.base, loss, same)
        self.devices = Devices(make_mesh(1, 1))
        self.excerpt = functools.partial(
            build.make_excerpt, self.config, lm, made, self.devices, made
        )
        self.params = build.initial_params(self.config, lm, kind)
        self.algorithm = stage_one.make(
            stage_one.setup(
                self.config,
                made,
                self.params,
                POPULATION,
                server_steps=lambda number: batches(100 + number, 1),
                excerpt=self.excerpt,
                server_batch=lambda step, size: batches(step, 1, size)[0],
            )
        )
        self.state = self.algorithm.init()

    def round(self, cohort: Cohort) -> dict:
        rows, algorithm = None, self.algorithm
        if algorithm.one_by_one:
            rows = Rows(self.kept, algorithm, self.state, cohort.clients)
            self.state, kept, metrics = algorithm.round(
                self.state, rows, cohort
            )
            assert kept is None
        else:
            self.state, self.kept, metrics = quadratics.step(
                algorithm, self.state, self.kept, cohort
            )
        return metrics


def batches(seed: int, owners: int, each: int = 2, steps: int = STEPS):
    """Batches of so many owners, two examples each."""
    rng = np.random.default_rng(seed)
    return [plain.random_examples(rng, (each,) * owners) for _ in range(steps)]


def cohort(number: int, clients=(0, 2)) -> Cohort:
    clients = np.array(clients)
    steps = batches(number, len(clients))
    return Cohort(clients, np.full(len(clients), 6), steps)


def close(one, other, relative=2e-4):
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        a, b = np.asarray(a, float), np.asarray(b, float)
        scale = max(1e-3, float(np.linalg.norm(b)))
        assert float(np.linalg.norm(a - b)) <= relative * scale


def same_bits(one, other) -> bool:
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


@pytest.mark.parametrize('size', beyond([2], [1, 2]))
def test_rounds_are_those_of_a_plain_computation(four, size):
    """Alternation, optimizers that go on, the schedule, the server's part."""
    world = World(four, fedsp__num_layers=size)
    reference = plain_fedsp.FedSP(
        world.model,
        four.base,
        plain_fedsp.cut(four.base, 0, size),
        world.params,
        functools.partial(plain_fedsp.AdamW, eps=EPS, decay=DECAY),
        functools.partial(plain_fedsp.factor, rounds=ROUNDS, warmup=1),
        RATES,
    )
    # Client 2 comes again; in the last round its rate is no longer the first.
    for number, clients in enumerate(((0, 2), (1, 2))):
        one = cohort(number, clients)
        world.round(one)
        reference.round(
            number,
            [
                (int(c), turn.batches_of(one.steps, place))
                for place, c in enumerate(one.clients)
            ],
            batches(100 + number, 1),
        )
        close(world.state.params, reference.prompt)
    assert world.kept.keys() == {0, 1, 2}
    for client, (theta, *_) in reference.clients.items():
        close(world.kept[client]['model'], theta)


@exhaustive
def test_packed_is_vmapped(four):
    ends = []
    for simulation in ('packed', 'vmap'):
        world = World(four, simulation)
        metrics = [world.round(cohort(n)) for n in range(2)][-1]
        ends.append((world.state.params, world.kept[2]['model'], metrics))
    close(ends[0][:2], ends[1][:2])
    for key in ('loss', 'model_loss', 'server_loss'):
        assert ends[0][2][key] == pytest.approx(ends[1][2][key], rel=1e-4)


@pytest.mark.parametrize(
    'changes',
    [
        {'fedsp__client_model': 'full'},
        {'fedsp__client_model': 'shared', 'fedsp__num_layers': DEPTH},
        {'fedsp__client_model': 'cut', 'fedsp__num_layers': DEPTH},
    ],
)
def test_the_whole_model_as_auxiliary_is_fedavg(four, changes):
    """Law 9: without distillation, alternation and the server's step."""
    world = World(
        four,
        fedsp__turn='prompt',
        fedsp__server_step=False,
        fedsp__optimizer_state='reset',
        client__schedule='constant',
        **changes,
    )
    config = world.config
    with config.unlocked():
        config.server.optimizer, config.server.learning_rate = 'sgd', 1.0
        config.server.schedule, config.algorithm = 'constant', 'fedavg'
    plain_average = stage_one.make(
        stage_one.setup(
            config, build_simulation(world), world.params, POPULATION
        )
    )
    state = plain_average.init()
    for number in range(2):
        one = cohort(number)
        metrics = world.round(one)
        state, _, theirs = plain_average.round(state, None, one)
        close(world.state.params, state.params, 1e-5)
        for key in ('loss', 'client_grad_norm', 'update_norm'):
            assert float(metrics[key]) == pytest.approx(
                float(theirs[key]), rel=1e-4
            )
        assert float(metrics['predicted_change']) == pytest.approx(
            float(theirs['predicted_change']), rel=1e-3
        )


def build_simulation(world: World):
    packer = world.model.packer(Shape(64, 48, (8,)))
    return PackedSimulation(
        world.model, world.lm.base, packer, world.config.loss, plain.same
    )


def test_the_model_stays_while_a_prompt_is_trained_and_the_prompt_before(four):
    """Each half moves its own part alone."""
    world = World(four, fedsp__server_step=False)
    turns = fedsp._turns(
        Setup(
            world.config,
            build_simulation(world),
            optax.sgd(0.1),
            lambda round, step=1.0: 0.1,
            optax.sgd(1.0),
            lambda round, step=1.0: 1.0,
            lambda bank, counts: bank,
            POPULATION,
            world.params,
            excerpt=world.excerpt,
        )
    )
    prompt = jax.tree.map(lambda x: x[None], world.params)
    first = turns.first(world.state.model, world.params)
    rows = jax.tree.map(lambda x: jnp.asarray(x)[None], first)
    steps = batches(0, 1)
    aligned, local, _ = turns._align(rows, prompt, steps, 0)
    assert same_bits(local.bank, prompt)
    assert not same_bits(aligned['model'], rows['model'])
    model = jax.tree.map(lambda x: x[0], aligned['model'])
    after, local, _ = turns._prompt(model, aligned, prompt, steps, 0)
    assert same_bits(after['model'], aligned['model'])
    assert not same_bits(local.bank, prompt)
    # The prompt is trained on the model that was aligned, not on the first.
    _, wrong, _ = turns._prompt(world.state.model, aligned, prompt, steps, 0)
    assert not same_bits(wrong.bank, local.bank)


def test_the_half_of_the_model_has_no_gradient_of_the_prompt(four):
    world = World(four)
    prompt = jax.tree.map(lambda x: x[None], world.params)
    model = jax.tree.map(lambda x: x[None], world.state.model)
    (step,) = batches(0, 1, steps=1)
    for which, moves in (('model', False), ('both', True)):
        simulation = world.excerpt(0, 1, True, True).models[which]
        _, grads = simulation.gradients(
            {'model': model, 'prompt': prompt}, step
        )
        assert bool(optax.tree.norm(grads['prompt'])) is moves
        assert float(optax.tree.norm(grads['model'])) > 0


@exhaustive
def test_joint_training_is_one_half_of_both(four):
    """With equal rates it is plain AdamW of model and prompt together."""
    world = World(
        four,
        fedsp__turn='joint',
        fedsp__server_step=False,
        fedsp__model_learning_rate=RATES[1],
        client__schedule='constant',
    )
    one = cohort(0, (1,))
    world.round(one)
    theta = plain_fedsp.cut(four.base, 0, 1)
    both = {'model': theta, 'prompt': world.params}

    def loss(both, parts, query):
        base = plain_fedsp.tiled(both['model'], DEPTH)
        return plain_fedsp.example_loss(
            world.model, base, both['prompt'], parts, query
        )

    by_both = plain_fedsp.gradient(loss)
    adam = plain_fedsp.AdamW(both, EPS, DECAY)
    for batch in turn.batches_of(one.steps, 0):
        both = adam.step(both, by_both((both,), batch), RATES[1])
    close(world.state.params, both['prompt'])
    close(world.kept[1]['model'], both['model'])
    assert 'prompt' not in world.kept[1]


def test_joint_training_has_a_rate_for_each(four):
    one = cohort(0, (1,))
    moved = []
    for rate in (RATES[1], RATES[1] / 10):
        world = World(
            four,
            fedsp__turn='joint',
            fedsp__server_step=False,
            fedsp__model_learning_rate=rate,
            client__schedule='constant',
        )
        first = Cohort(one.clients, one.num_examples, one.steps[:1])
        world.round(first)
        prompt = optax.tree.sub(world.state.params, world.params)
        model = optax.tree.sub(world.kept[1]['model'], world.state.model)
        moved.append((prompt, model))
    close(moved[0][0], moved[1][0], 1e-3)
    ratio = optax.tree.norm(moved[0][1]) / optax.tree.norm(moved[1][1])
    assert float(ratio) == pytest.approx(10, rel=1e-3)


@exhaustive
def test_clients_train_what_the_mlp_reads_and_the_server_the_mlp_too(four):
    world = World(four, prefix__mlp=6, prefix__scale=1.0)
    sent = world.algorithm.sent(world.state)
    assert set(sent.down) == {'embedding', 'mlp'}
    assert set(sent.up) == {'embedding'}
    literal = World(four, prefix__mlp=6, fedsp__mlp_up=True)
    sent = literal.algorithm.sent(literal.state)
    assert set(sent.up) == {'embedding', 'mlp'}
    alone = World(
        four, prefix__mlp=6, prefix__scale=1.0, fedsp__server_step=False
    )
    for w in (world, alone):
        w.round(cohort(0))
        assert not same_bits(w.state.params['embedding'], w.params['embedding'])
    assert not same_bits(world.state.params['mlp'], world.params['mlp'])
    assert same_bits(alone.state.params['mlp'], world.params['mlp'])


def test_a_cut_model_gets_the_mean_over_layers(four):
    """FedPrompt-Single: the mean down, one layer for all up."""
    world = World(
        four,
        fedsp__client_model='cut',
        fedsp__turn='prompt',
        fedsp__server_step=False,
    )
    sent = world.algorithm.sent(world.state)
    assert set(sent.up['prefix']) == {'00'}
    np.testing.assert_allclose(
        sent.down['prefix']['00'],
        np.mean([*map(np.asarray, world.params['prefix'].values())], axis=0),
        rtol=1e-5,
        atol=1e-7,
    )
    world.round(cohort(0))
    layers = [np.asarray(x) for x in world.state.params['prefix'].values()]
    assert len(layers) == DEPTH
    for layer in layers[1:]:
        np.testing.assert_array_equal(layer, layers[0])
    assert np.abs(layers[0] - sent.down['prefix']['00']).max() > 1e-3


def test_a_first_prompt_of_ones_own_is_for_the_first_round_alone(four):
    begun = {}
    for first in ('common', 'own'):
        world = World(
            four, fedsp__first_prompt=first, fedsp__server_step=False,
            client__learning_rate=1e-9, client__schedule='constant',
        )  # fmt: skip
        # At a rate of nothing, what comes back is what clients began with.
        world.round(cohort(0))
        begun[first] = world.state.params
        after = world.state.params
        world.round(cohort(1, (1, 2)))
        close(world.state.params, after, 1e-4)
    close(begun['common'], world.params, 1e-4)
    fresh = [world.excerpt(0, 1, True, True).fresh(c) for c in (0, 2)]
    mean = jax.tree.map(lambda *x: sum(x) / 2, *fresh)
    close(begun['own'], mean, 1e-4)
    assert not same_bits(fresh[0], fresh[1])


def test_a_client_that_diverges_is_dropped_and_keeps_what_it_had(four):
    """The others' round is as if it were absent."""
    world, alone = World(four), World(four)
    for w in (world, alone):
        w.round(cohort(0, (0, 1, 2)))
    before = world.kept[1]
    poison = jax.tree.map(lambda x: x * np.float32(np.inf), before['model'])
    world.kept[1] = before | {'model': poison}
    one = cohort(1, (0, 1, 2))
    metrics = world.round(one)
    assert int(metrics['clients_dropped']) == 1
    steps = [
        [e._replace(owner=e.owner // 2) for e in step if e.owner != 1]
        for step in one.steps
    ]
    alone.round(Cohort(np.array([0, 2]), one.num_examples[:2], steps))
    close(world.state.params, alone.state.params, 1e-5)


def test_nothing_of_the_other_layers_leaves_the_server(four):
    """What is sent stays finite where they are NaN; its names say the rest."""
    base = jax.tree.map(lambda x: x, four.base)
    base['layers'] = jax.tree.map(
        lambda x: x.at[1:].set(jnp.nan), base['layers']
    )
    world = World(four._replace(base=base), fedsp__server_step=False)
    world.round(cohort(0))
    once = world.algorithm.sent_once(world.state)
    sent = world.algorithm.sent(world.state)
    assert all(np.isfinite(x).all() for x in jax.tree.leaves((once, sent.down)))
    shapes = {x.shape[0] for x in jax.tree.leaves(once['layers'])}
    assert shapes == {1}  # one layer of the model's four
    assert set(sent.down) == {'prefix'}
    healthy = World(four, fedsp__server_step=False)
    healthy.round(cohort(0))
    close(world.state.params, healthy.state.params, 0.0)


def test_uploads_of_the_model_are_counted_where_they_are_asked_for(four):
    sent = World(four, fedsp__model_up=True)
    state = sent.state
    assert set(sent.algorithm.sent(state).up) == {'prompt', 'model'}


def test_published_settings_are_those_of_the_scripts():
    """B.6 of the specification, in full."""
    for scale, model in settings.MODELS.items():
        for task, run in model.runs.items():
            c = settings.config(task, scale)
            assert c.model.source == model.source
            assert (c.rounds, c.local_steps) == (run.rounds, run.steps)
            assert c.clients_per_round == c.data.num_clients == 10
            assert c.data.server_share == pytest.approx(1 / 11)
            assert c.batch_size == 16 and c.prefix.length == 40
            assert c.prefix.positions == 'kept'
            assert c.client.learning_rate == run.rate
            assert c.fedsp.distill_steps == 5000
            assert c.validation.by == 'loss'
            assert c.client.schedule == f'linear(warmup={run.rounds // 10})'


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        ({'fedsp.client_model': 'full'}, "config.fedsp.turn='alternate'"),
        (
            {
                'fedsp.client_model': 'full',
                'fedsp.turn': 'prompt',
                'fedsp.first_prompt': 'own',
            },
            "config.fedsp.first_prompt='own'",
        ),
        (
            {'fedsp.client_model': 'cut', 'prefix.mlp': 8},
            'config.prefix.mlp=8',
        ),
        (
            {'fedsp.client_model': 'cut', 'prefix.layers': (1,)},
            'config.prefix.layers=(1,)',
        ),
        ({'data.server_share': 0.0}, 'config.fedsp.server_step=False'),
        ({'mesh.data': 3}, 'a multiple of config.mesh.data=3'),
        ({'peft': 'full'}, "config.peft='full'"),
        ({'model.quantization': 'int8'}, "config.model.quantization='int8'"),
    ],
)
def test_settings_that_exclude_each_other(changes, words):
    config = quadratics.config_of('fedsp', **changes)
    assert any(words in line for line in fedsp.faults(config))


def test_a_model_without_such_layers_is_a_clear_fault():
    config = quadratics.config_of('fedsp')
    gpt2 = families.model_config({'model_type': 'gpt2'})
    assert not list(fedsp.model_faults(config, gpt2))
    config.fedsp.num_layers = 5
    (line,) = fedsp.model_faults(config, gpt2)
    assert 'config.fedsp.num_layers=5' in line and '[1, 2, 3, 4, 6, 12]' in line
    config.fedsp.client_model = 'cut'
    (line,) = fedsp.model_faults(config, gpt2)
    assert 'means' in line
    config.fedsp.client_model, config.fedsp.turn = 'full', 'prompt'
    assert not list(fedsp.model_faults(config, gpt2))
