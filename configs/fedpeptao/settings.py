"""FedPepTAO's ten tasks (arXiv 2310.15080) and what they have in common.

Each file beside this one is a task; `--config.data.path` is a folder with the
files train, validation and test of the set (.jsonl, .parquet, .csv, .tsv), or
its name on the hub. A scale (after the colon) is a model:

  quickstart     SmolLM2-135M; minutes on two CPU cores
  roberta_large  the paper's four models, with prompts, inputs, batches, rounds
  gpt2_large     and momentum of the released scripts. The server's step, the
  open_llama_3b  devices' optimizer and its schedule are those of this project
  open_llama_7b  (docs/fedpeptao.md); the first download is of gigabytes
"""

from typing import NamedTuple

from ml_collections import config_dict

from configs import fedavg_adam


class Task(NamedTuple):
    """A task, as FedPepTAO asks it.

    Attributes:
      labels: words, class by class (see config.data.labels).
      columns: of the hub's version (see config.data.columns).
      metric: see config.evaluation.metric.
      masked: template and separator for a masked language model.
      pair: whether it has two texts.
      size: training examples of the official set, for a plan.
    """

    labels: tuple[str, ...]
    columns: tuple[str, ...]
    metric: str = 'accuracy'
    masked: tuple[str, str] = ('{input}', ' . It was {mask} .')
    pair: bool = False
    size: int = 7000


class Model(NamedTuple):
    """A model of the paper, and what the released scripts run it with."""

    source: str
    length: int  # prompt tokens of a layer
    tokens: int  # longest input, virtual tokens included
    batch_size: int
    masked: bool = False


DEVICES = 100
SENTIMENT = ('terrible', 'great')
_PAIR = ('{input} ? {mask} , {pair}', '')
TASKS = {
    'sst2': Task(SENTIMENT, ('text=sentence',), size=67349),
    'mr': Task(SENTIMENT, (), size=7662),
    'mpqa': Task(SENTIMENT, (), size=7606),
    'cola': Task(
        ('unacceptable', 'acceptable'),
        ('text=sentence',),
        'matthews',
        size=8551,
    ),
    'subj': Task(('objective', 'subjective'), (), size=7000),
    'trec': Task(
        # In the order of the hub's coarse labels: ABBR, ENTY, DESC, HUM, ...
        ('Expression', 'Entity', 'Description', 'Human', 'Location', 'Number'),
        ('label=coarse_label',),
        masked=('{mask} : {input}', ''),
        size=5452,
    ),
    'mrpc': Task(
        ('No', 'Yes'),
        ('text=sentence1', 'text_pair=sentence2'),
        'accuracy_f1',
        _PAIR,
        True,
        3668,
    ),
    'rte': Task(
        ('Yes', 'No'),
        ('text=sentence1', 'text_pair=sentence2'),
        masked=_PAIR,
        pair=True,
        size=2490,
    ),
    'qnli': Task(
        ('Yes', 'No'),
        ('text=question', 'text_pair=sentence'),
        masked=_PAIR,
        pair=True,
        size=104743,
    ),
    'boolq': Task(
        ('No', 'Yes'),
        ('text=question', 'text_pair=passage', 'label=answer'),
        masked=_PAIR,
        pair=True,
        size=9427,
    ),
}
MODELS = {
    'roberta_large': Model('FacebookAI/roberta-large', 20, 512, 8, True),
    'gpt2_large': Model('openai-community/gpt2-large', 5, 256, 8),
    'open_llama_3b': Model('openlm-research/open_llama_3b', 5, 128, 1),
    'open_llama_7b': Model('openlm-research/open_llama_7b', 5, 128, 1),
}


def config(task: str, scale: str) -> config_dict.ConfigDict:
    """FedPepTAO on a task, at a scale."""
    c, t = fedavg_adam.get_config(), TASKS[task]
    c.name, c.scale = f'fedpeptao_{task}', scale
    _data(c, task)
    c.peft = 'prefix'
    c.prefix.length = 5
    # Devices: AdamW anew in each round, two passes over their examples.
    c.loss = 'example'
    c.local_steps, c.local_epochs = 0, 2
    c.client.optimizer = 'adamw(weight_decay=0.1)'
    c.client.learning_rate = 0.04
    c.client.schedule = 'linear'
    c.client.clip_norm = 1.0
    c.aggregation = 'examples'
    # The server: w <- w - rate v (see docs/fedpeptao.md).
    c.server.optimizer = 'sgd'
    c.server.learning_rate = 1.0
    c.algorithm = 'fedpeptao'
    c.fedpeptao = config_dict.ConfigDict()
    # 'fedpeptao' (formulas that fit together), 'fedpeptao_code' (the released
    # code's step to the letter, for which fedpeptao.momentum=0.9 and
    # server.learning_rate=0.05 with 'exponential(decay=0.99, floor=0.002)'), or
    # 'fedavg' (any optimizer of config.server on the mean of the layers that
    # travel).
    c.fedpeptao.server = 'fedpeptao'
    # beta of v; not read for 'fedavg'. 0.9 needs many rounds to get under way.
    c.fedpeptao.momentum = 0.5
    # Layers that do not travel: 'local' (a device keeps and trains its own) or
    # 'none' (they have no prefix; needs prefix.zero_layers='absent').
    c.fedpeptao.unselected = 'local'
    # A device's optimizer in a round: 'reset', or 'kept' from its last one.
    c.fedpeptao.optimizer_state = 'reset'
    # Which layers travel: those of the 'largest' or 'smallest' score by
    # 'cosine' (FedPepTAO's), 'naswot', 'l1', 'l2'; or 'random' ones.
    c.fedpeptao.score = 'cosine'
    c.fedpeptao.order = 'largest'
    c.fedpeptao.score_examples = 8  # of each device, read for the scores
    c.fedpeptao.score_devices = 1000  # most devices that are read
    c.fedpeptao.ratio = 0.5  # share of the layers that travel, rounded up
    # True: the share is estimated from curvatures after a few rounds of FedAvg
    # with all layers, and `ratio` is not read.
    c.fedpeptao.estimate_ratio = False
    c.fedpeptao.ratio_rounds = 10  # of these rounds
    c.fedpeptao.lanczos_steps = 50  # products with a Hessian, a device
    c.rounds = 20
    c.clients_per_round = 10
    c.batch_size = 8
    c.validation.every = 5
    c.validation.clients = 100
    c.validation.examples = 5
    # Both views of the test split, by round; no client personalizes.
    c.evaluation.views_every = 5
    c.evaluation.metric = t.metric
    c.personalization.epochs = 0
    c.personalization.alphas = ()
    c.personalization.clients = 4
    c.personalization.train_examples = 10
    c.personalization.eval_examples = 5
    c.personalization.global_examples = 20
    if scale != 'quickstart':
        _published(c, t, scale)
    return c


def _data(c: config_dict.ConfigDict, task: str) -> None:
    t = TASKS[task]
    c.data.source, c.data.path = 'classification', task
    c.data.columns, c.data.labels = t.columns, t.labels
    c.data.splits, c.data.partition = 'official', 'dirichlet_label'
    c.data.num_clients, c.data.dirichlet_alpha = DEVICES, 1.0
    c.data.client_size = t.size // c.data.num_clients
    c.data.template = '{input} {pair}' if t.pair else '{input}'
    c.data.separator = ''
    verb = 'They are' if t.pair else 'It was'
    c.data.target = f' {verb} {{output}} .'
    c.data.max_query, c.data.max_target = 250, 16
    c.evaluation.choices = 'token'


def _published(c: config_dict.ConfigDict, t: Task, scale: str) -> None:
    if scale not in MODELS:
        raise ValueError(
            f'The config has no scale {scale!r}; use quickstart, '
            f'{", ".join(MODELS)}.'
        )
    model = MODELS[scale]
    c.model.source = model.source
    c.model.dtype = 'bfloat16'
    c.model.remat = True
    c.prefix.length = model.length
    # Virtual tokens and, for a decoder, the answer need positions too.
    c.data.max_query = model.tokens - model.length
    if model.masked:
        c.data.template, c.data.separator = t.masked
        c.data.target = ' {output}'
    else:
        c.data.max_query -= c.data.max_target
    c.batch_size = model.batch_size
    c.rounds = 100
    c.fedpeptao.momentum = 0.9
    c.validation.every = c.evaluation.views_every = 10
    c.packing.max_tokens = 32768
