"""Mistakes in configs, and in reading them."""

from tests.mutants.mutation import Mutation

EXPERIMENT = 'fedprompt_jax/experiment'
CONFIG = f'{EXPERIMENT}/config.py'
FINE_TUNE = 'fedprompt_jax/personalization/fine_tune.py'
COMMAND_LINE = f'{EXPERIMENT}/command_line.py'
MAIN = 'main.py'
FEDAVG = 'configs/fedavg_adam.py'

PAPER_SIZES = (
    'tests/config_test.py::test_the_paper_scales_carry_the_paper_s_sizes',
)
PAPER_RATES = (
    'tests/config_test.py::'
    'test_the_paper_scales_carry_the_paper_s_learning_rates',
)
PAPER_FIGURES = (
    'tests/config_test.py::test_the_paper_scales_carry_the_paper_s_figures',
)
WORDS = ('tests/config_test.py::test_a_rule_is_what_its_words_say',)
ZERO = ('tests/config_test.py::test_what_may_be_zero',)
BETWEEN = ('tests/config_test.py::test_faults_between_two_keys',)
ALL_FAULTS = ('tests/config_test.py::test_all_faults_are_told_together',)
HANDS_ON = ('tests/commands_test.py::test_main_hands_its_flags_on',)
ENDS = ('tests/commands_test.py::test_how_a_command_ends',)

MUTATIONS = (
    Mutation(
        'a-rate-may-be-zero',
        'fedprompt_jax/rules.py',
        '(x > least if above else x >= least)',
        '(x >= least)',
        'A run with learning rate 0 starts.',
        WORDS,
    ),
    Mutation(
        'infinite-numbers-are-allowed',
        'fedprompt_jax/rules.py',
        'or not math.isfinite(x):',
        'or math.isnan(x):',
        'A run with an infinite learning rate starts.',
        WORDS,
    ),
    Mutation(
        'no-lambda-of-zero',
        CONFIG,
        "'personalization.l2': _COUNT,",
        "'personalization.l2': _RATE,",
        'Personalization without a penalty is refused.',
        ZERO,
    ),
    Mutation(
        'epochs-without-steps',
        CONFIG,
        "'personalization.batch_size': _POSITIVE,",
        "'personalization.batch_size': _COUNT,",
        'A batch of no example is divided by.',
        ZERO,
    ),
    Mutation(
        'alphas-may-be-any-number',
        FINE_TUNE,
        'and 0 <= a <= 1 for a in alphas',
        'and 0 <= a for a in alphas',
        'Model averaging becomes extrapolation.',
        BETWEEN,
    ),
    Mutation(
        'equal-alphas-are-averaged-twice',
        FINE_TUNE,
        'if not numbers or len(set(alphas)) < len(alphas):',
        'if not numbers:',
        'The clients of an averaged row count twice.',
        BETWEEN,
    ),
    Mutation(
        'global-examples-of-training-examples',
        CONFIG,
        'most = p.clients * p.eval_examples',
        'most = p.clients * p.train_examples',
        'More global examples are asked for than there are.',
        BETWEEN,
    ),
    Mutation(
        'fewer-global-examples-than-clients',
        CONFIG,
        'not p.clients <= p.global_examples <= most:',
        'not p.global_examples <= most:',
        'The global set has no example of some clients.',
        BETWEEN,
    ),
    Mutation(
        'centralized-with-a-cohort',
        'fedprompt_jax/algorithms/centralized.py',
        'if config.clients_per_round != 1:',
        'if config.clients_per_round < 1:',
        'The baseline asks for more clients than the one there is.',
        BETWEEN,
    ),
    Mutation(
        'personalization-s-optimizer-is-not-checked',
        CONFIG,
        "for key in ('client', 'server', 'personalization'):",
        "for key in ('client', 'server'):",
        'A run fails after stage 1, hours from its start.',
        BETWEEN,
    ),
    Mutation(
        'learning-rates-of-another-partition',
        CONFIG,
        'if c.data.partition != meant:',
        'if c.data.partition == meant:',
        'Rates of Table 2 are used where they do not belong.',
        ('tests/config_test.py::test_a_paper_scale_keeps_its_partition',),
    ),
    Mutation(
        'only-the-first-fault',
        CONFIG,
        'faults = list(_faults(config))',
        'faults = list(_faults(config))[:1]',
        'Faults are found one start at a time.',
        ALL_FAULTS,
    ),
    Mutation(
        'the-model-is-not-looked-for',
        CONFIG,
        'for fault in source.check(config.model.source)\n',
        'for fault in ()\n',
        'A missing model is found after the data are read.',
        ('tests/config_test.py::test_files_that_are_not_there_are_faults_too',),
    ),
    Mutation(
        'the-cache-of-nobody',
        COMMAND_LINE,
        "(os.environ.get('XDG_CACHE_HOME') or '~/.cache')",
        "os.environ.get('XDG_CACHE_HOME', '~/.cache')",
        'Converted models go to the root of the file system.',
        ('tests/config_test.py::test_the_cache_is_where_the_environment_says',),
    ),
    Mutation(
        'no-config-is-a-config',
        COMMAND_LINE,
        'lambda config: config is not None,',
        'lambda config: True,',
        'A command without a config ends in a traceback.',
        (
            'tests/config_test.py::test_flags_without_a_config_'
            'or_with_another_key_are_a_sentence',
        ),
    ),
    Mutation(
        'runs-of-all-scales-in-one-folder',
        MAIN,
        "f'runs/{config.name}-{config.scale}'",
        "f'runs/{config.name}'",
        'A run of another scale is refused.',
        HANDS_ON,
    ),
    Mutation(
        'flags-of-processes-swapped',
        MAIN,
        '            _NUM_PROCESSES.value,\n            _PROCESS_ID.value,',
        '            _PROCESS_ID.value,\n            _NUM_PROCESSES.value,',
        'Processes do not find each other.',
        HANDS_ON,
    ),
    Mutation(
        'a-diverging-run-is-a-traceback',
        MAIN,
        'except (OSError, ValueError, FloatingPointError) as error:',
        'except (OSError, ValueError) as error:',
        'A run that diverges looks like a fault of the program.',
        ENDS,
    ),
    Mutation(
        'beta-1-of-0-9',
        FEDAVG,
        "ADAM = 'adam(b1=0.99,",
        "ADAM = 'adam(b1=0.9,",
        "The paper's beta 1 is 0.99.",
        PAPER_FIGURES,
    ),
    Mutation(
        'epsilon-of-1e-6',
        FEDAVG,
        'eps=1e-8)',
        'eps=1e-6)',
        "The paper's epsilon is 1e-8.",
        PAPER_FIGURES,
    ),
    Mutation(
        'rates-of-server-and-client-swapped',
        FEDAVG,
        "'high': (1.0, 0.1),",
        "'high': (0.1, 1.0),",
        'Table 2 of the paper.',
        PAPER_RATES,
    ),
    Mutation(
        'variance-for-the-deviation-of-the-prompt',
        FEDAVG,
        'c.prompt.scale = 0.5',
        'c.prompt.scale = 0.25',
        "The paper's N(0, 0.25).",
        PAPER_FIGURES,
    ),
    Mutation(
        'rounds-as-misprinted',
        FEDAVG,
        'c.rounds = 300',
        'c.rounds = 1600',
        "The paper's appendix has a slip; 300 rounds see as many instances.",
        PAPER_SIZES,
    ),
    Mutation(
        'steps-and-batch-swapped',
        FEDAVG,
        '    c.local_steps = 16\n    c.batch_size = 32\n',
        '    c.local_steps = 32\n    c.batch_size = 16\n',
        'The paper has 16 local steps of 32 examples.',
        PAPER_SIZES,
    ),
    Mutation(
        'clients-of-1000',
        FEDAVG,
        'c.data.client_size = 1200',
        'c.data.client_size = 1000',
        '3520 clients of Table 1.',
        PAPER_SIZES,
    ),
    Mutation(
        'random-splits-in-the-paper-s-scale',
        FEDAVG,
        "    c.data.path = 'natural-instructions'\n    c.data.splits = 'paper'",
        "    c.data.path = 'natural-instructions'\n"
        "    c.data.splits = 'random'",
        "Not the paper's test types.",
        PAPER_SIZES,
    ),
    Mutation(
        'half-of-the-global-examples',
        FEDAVG,
        'c.personalization.global_examples = 2048',
        'c.personalization.global_examples = 1024',
        "The paper's global set has 2048 examples.",
        PAPER_FIGURES,
    ),
    Mutation(
        'averages-are-one-too-few',
        FEDAVG,
        'tuple(i / 10 for i in range(1, 10))',
        'tuple(i / 10 for i in range(1, 9))',
        'Figure 5 lacks a point.',
        PAPER_SIZES,
    ),
    Mutation(
        'scored-every-epoch',
        FEDAVG,
        '    c.personalization.every = 4\n',
        '    c.personalization.every = 1\n',
        'High computation is scored every 4 epochs.',
        PAPER_SIZES,
    ),
    Mutation(
        'outputs-as-long-as-targets',
        FEDAVG,
        'c.evaluation.max_new_tokens = 10',
        'c.evaluation.max_new_tokens = 128',
        'The paper generates 10 tokens.',
        PAPER_FIGURES,
    ),
    Mutation(
        'rate-of-fedavg-with-sgd',
        'configs/fedavg_sgd.py',
        "'medium': (0.1, 10.0),",
        "'medium': (1.0, 10.0),",
        'Table 2 of the paper.',
        PAPER_RATES,
    ),
    Mutation(
        'sgd-of-another-partition',
        'configs/fedavg_sgd.py',
        "if c.data.partition == 'medium':",
        "if c.data.partition == 'high':",
        'Table 3 of the paper.',
        PAPER_RATES,
    ),
    Mutation(
        'adam-in-fedavg-with-sgd',
        'configs/fedavg_sgd.py',
        "c.client.optimizer = 'sgd'",
        "c.server.optimizer = 'sgd'",
        'FedAvg(SGD) is FedAvg(Adam).',
        (
            'tests/config_test.py::test_the_client_optimizers_of_the_paper',
            *PAPER_FIGURES,
        ),
    ),
    Mutation(
        'fedsgd-sees-fewer-examples',
        'configs/fedsgd.py',
        '    c.rounds *= c.local_steps\n',
        '',
        'FedSGD has a sixteenth of the examples.',
        PAPER_SIZES,
    ),
    Mutation(
        'fedsgd-is-validated-too-often',
        'configs/fedsgd.py',
        '    c.validation.every *= c.local_steps\n',
        '',
        'FedSGD chooses its prompt among more than FedAvg.',
        PAPER_SIZES,
    ),
    Mutation(
        'fedsgd-s-rate-of-personalization',
        'configs/fedsgd.py',
        '10**-1.5  # Table 3',
        '10**-0.5  # Table 3',
        'Table 3 of the paper.',
        PAPER_RATES,
    ),
    Mutation(
        'large-batches-are-small',
        'configs/fedsgd_lb.py',
        '    c.batch_size *= c.local_steps  # ',
        '    c.batch_size *= 1  # ',
        'FedSGD-LB has a sixteenth of the examples.',
        PAPER_SIZES,
    ),
    Mutation(
        'large-batches-at-the-rate-of-small-ones',
        'configs/fedsgd_lb.py',
        "'high': 0.01,",
        "'high': 1.0,",
        'Table 2 of the paper.',
        PAPER_RATES,
    ),
    Mutation(
        'centralized-batches-are-a-client-s',
        'configs/centralized.py',
        '    c.batch_size *= c.clients_per_round\n',
        '',
        'The baseline sees a 32nd of the examples.',
        PAPER_SIZES,
    ),
    Mutation(
        'centralized-at-another-rate',
        'configs/centralized.py',
        'c.server.learning_rate = 1.0',
        'c.server.learning_rate = 0.1',
        'Section C.2 of the paper.',
        PAPER_RATES,
    ),
)
