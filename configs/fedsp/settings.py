"""FedSP's eight tasks (arXiv 2311.06805) and what they have in common.

Each file beside this one is a task; `--config.data.path` is a folder with the
files train, validation and test of the set (.jsonl, .parquet, .csv, .tsv), or
its name on the hub. A scale (after the colon) is a model:

  quickstart  SmolLM2-135M; minutes on two CPU cores
  gpt2_xl     the paper's two models, with the settings of its released
  opt_1_3b    scripts; the first download is of gigabytes
"""

from typing import NamedTuple

from ml_collections import config_dict

from configs import fedavg_adam
from configs.fedsp import tasks
from configs.fedsp.tasks import CLIENTS

ADAMW = 'adamw(weight_decay=0.01, eps=1e-4)'


class Run(NamedTuple):
    """What a released script runs a task with.

    Attributes:
      rounds: of all clients.
      steps: q, of each half of a turn, and of the server.
      rate: of all optimizers.
      mlp: hidden units of the prefix's reparametrisation; 0 for none.
    """

    rounds: int
    steps: int
    rate: float = 5e-4
    mlp: int = 0


class Model(NamedTuple):
    """A model of the paper, and its runs by task."""

    source: str
    runs: dict[str, Run]


MODELS = {
    'gpt2_xl': Model(
        'openai-community/gpt2-xl',
        {
            'arc_challenge': Run(50, 10),
            'arc_easy': Run(50, 10),
            'openbookqa': Run(100, 20),
            'web_questions': Run(50, 10),
            'hellaswag': Run(200, 20, 1e-4, 512),
            'piqa': Run(50, 10),
            'sciq': Run(50, 10, mlp=512),
            'race_high': Run(50, 10, mlp=512),
        },
    ),
    'opt_1_3b': Model(
        'facebook/opt-1.3b',
        {
            'arc_challenge': Run(100, 20),
            'arc_easy': Run(20, 10),
            'openbookqa': Run(100, 20),
            'web_questions': Run(50, 10),
            'hellaswag': Run(200, 20, 1e-4, 512),
            'piqa': Run(100, 10),
            'sciq': Run(50, 10),
            'race_high': Run(50, 10, mlp=512),
        },
    ),
}


def config(task: str, scale: str) -> config_dict.ConfigDict:
    """FedSP on a task, at a scale."""
    c = fedavg_adam.get_config()
    c.name, c.scale = f'fedsp_{task}', scale
    tasks.apply(c, task)
    c.data.server_share = tasks.SERVER_SHARE  # a shard as large as a client's
    c.peft = 'prefix'
    c.prefix.length = 10
    c.prefix.positions = 'kept'  # real tokens begin at position 0
    # Mean over all answer tokens of a batch, as in Hugging Face.
    c.loss = 'token'
    c.rounds, c.clients_per_round = 3, 5
    c.local_steps, c.batch_size = 2, 8
    c.client.optimizer = c.server.optimizer = ADAMW
    c.client.learning_rate = c.server.learning_rate = 5e-3
    c.client.schedule = c.server.schedule = 'linear(warmup=1)'
    c.algorithm = 'fedsp'
    c.fedsp = config_dict.ConfigDict()
    # What a client computes with: 'shared' (some layers of the model, repeated
    # through its whole depth), 'cut' (these layers once; a prefix of them is
    # the mean over the layers that each stands for), or 'full' (the frozen
    # model itself, which then does leave the server: FedPrompt).
    c.fedsp.client_model = 'shared'
    c.fedsp.first_layer = 0  # s, of those that are copied
    c.fedsp.num_layers = 1  # m of them
    # A client's turn, config.local_steps each half: 'alternate' (its model,
    # then the prompt), 'joint' (both at once) or 'prompt' (its model stays).
    c.fedsp.turn = 'alternate'
    c.fedsp.model_learning_rate = 5e-4  # of its model; its schedule is client's
    # Whether a client's optimizers go on where they ended: 'kept' or 'reset'.
    c.fedsp.optimizer_state = 'kept'
    # Clients begin with the server's prompt ('common') or, as the released
    # code has it, with one drawn by each ('own').
    c.fedsp.first_prompt = 'common'
    # Whether the server trains the mean prompt in front of its own model, with
    # config.server and the examples of config.data.server_share.
    c.fedsp.server_step = True
    # What is sent besides, and read by nobody, as the released code does: the
    # MLP of a prefix by clients, which do not train it; and their models.
    c.fedsp.mlp_up = False
    c.fedsp.model_up = False
    # Before the rounds, the server fits the auxiliary model to its own: steps
    # (0: it stays as it was cut out), and 'hidden' (the last hidden states) or
    # 'full' (answer tokens too).
    c.fedsp.distill_steps = 40
    c.fedsp.distill_batch_size = 8
    c.fedsp.distill_optimizer = ADAMW
    c.fedsp.distill_learning_rate = 5e-4
    c.fedsp.distill_objective = 'hidden'
    c.fedsp.distill_padding = False  # whether states of padding count
    # Held-out examples on which the two models are compared then; 0: not.
    c.fedsp.compare_examples = 32
    c.validation.every, c.validation.by = 1, 'loss'
    c.validation.clients, c.validation.examples = 5, 8
    # The prompt's test: the whole official split; no client personalizes.
    c.personalization.epochs = 0
    c.personalization.alphas = ()
    c.personalization.clients = 5
    c.personalization.train_examples = 8
    c.personalization.eval_examples = 8
    c.personalization.global_examples = 100
    if scale != 'quickstart':
        _published(c, task, scale)
    return c


def _published(c: config_dict.ConfigDict, task: str, scale: str) -> None:
    if scale not in MODELS:
        raise ValueError(
            f'The config has no scale {scale!r}; use quickstart, '
            f'{", ".join(MODELS)}.'
        )
    model, run = MODELS[scale], MODELS[scale].runs[task]
    c.model.source = model.source
    # The released code trains pure float16; see docs/fedsp.md.
    c.model.dtype = 'bfloat16'
    c.model.remat = True
    c.prefix.length, c.prefix.scale, c.prefix.mlp = 40, 1.0, run.mlp
    c.data.max_query = 1024 - c.data.max_target
    c.rounds, c.clients_per_round = run.rounds, CLIENTS
    c.local_steps, c.batch_size = run.steps, 16
    c.client.learning_rate = c.server.learning_rate = run.rate
    c.fedsp.model_learning_rate = run.rate
    c.client.schedule = f'linear(warmup={run.rounds // 10})'
    c.server.schedule = c.client.schedule
    c.fedsp.distill_steps, c.fedsp.distill_batch_size = 5000, 16
    c.fedsp.compare_examples = 500
    c.validation.clients, c.validation.examples = CLIENTS, 50
    c.personalization.clients = CLIENTS
    c.personalization.eval_examples = 50
    c.personalization.global_examples = 100_000
    c.checkpoint.every = 10
    c.packing.max_tokens = 32768
