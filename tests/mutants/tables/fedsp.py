"""Mistakes in models whose layers are repeated, and in what FedSP trains."""

from tests.mutants.mutation import Mutation

AUXILIARY = 'fedprompt_jax/models/auxiliary.py'
STACK = 'fedprompt_jax/models/stack.py'
SIZES = 'fedprompt_jax/models/sizes.py'
COST = 'fedprompt_jax/planning/cost.py'
MODULES = 'fedprompt_jax/bank/modules.py'
CLOSENESS = 'fedprompt_jax/evaluation/closeness.py'
BOTH = 'fedprompt_jax/bank/whole_and_prompt.py'
TESTS = 'tests/shared_layers_test.py::'
TILED = (TESTS + 'test_a_cell_is_the_model_that_has_it_several_times[gemma2]',)
TRAINED = (TESTS + 'test_what_is_trained_is_of_each_repetition',)
WORK = (
    TESTS + 'test_work_is_that_of_the_full_depth_and_memory_that_of_the_cell',
)
CUT = (TESTS + 'test_what_is_cut_out_is_the_full_model_s',)
ALONE = (TESTS + 'test_without_sharing_it_is_the_layers_alone',)
FAULTS = (TESTS + 'test_no_auxiliary_model',)
DEPTHS = (TESTS + 'test_prefixes_between_depths',)
ALTERNATING = (TESTS + 'test_a_model_or_its_prompt_or_both_train',)
NUMPY = ('tests/closeness_test.py::test_it_is_that_of_numpy',)
PACKING = (TESTS + 'test_how_rows_are_packed_is_the_prompt_s',)

MUTATIONS = (
    Mutation(
        'inputs-of-layers-go-to-other-repetitions',
        STACK,
        'return jax.tree.map(lambda x: x.reshape(repeats, -1, *x.shape[1:]), '
        'tree)',
        'return jax.tree.map(\n'
        '        lambda x: x.reshape(-1, repeats, *x.shape[1:]).swapaxes(0, 1),'
        '\n        tree,\n    )',
        'A layer has the window and the prefix of another.',
        TILED,
    ),
    Mutation(
        'parameters-are-copied-for-each-repetition',
        STACK,
        "variable_broadcast='params',\n"
        "        variable_axes={'peft': 0, STATES: 0},\n"
        "        split_rngs={'params': False},\n"
        '        in_axes=(0, 0, 0, nn.broadcast),\n'
        '        length=repeats,\n'
        '    )\n',
        "variable_axes={'params': 0, 'peft': 0, STATES: 0},\n"
        "        split_rngs={'params': False},\n"
        '        in_axes=(0, 0, 0, nn.broadcast),\n'
        '        length=repeats,\n'
        '    )\n'
        '    outer = nn.map_variables(\n'
        '        outer,\n'
        "        'params',\n"
        '        lambda tree: jax.tree.map(\n'
        '            lambda x: jnp.stack([x] * repeats), tree\n'
        '        ),\n'
        '    )\n',
        'An auxiliary model needs the memory of the full one.',
        (TESTS + 'test_the_backward_pass_keeps_no_copies_of_parameters',),
    ),
    Mutation(
        'late-prompts-read-one-layer-after-the-other',
        STACK,
        'lambda v: v[number % stored], params',
        'lambda v: v[number // self.config.repeats], params',
        'Layers of a cell stand in another order under a late prompt.',
        TRAINED,
    ),
    Mutation(
        'a-cell-is-passed-once-in-plans',
        SIZES,
        "return config.repeats if path.startswith('layers/') else 1",
        'return 1',
        'Plans and the ledger forget most of the work of a client.',
        WORK,
    ),
    Mutation(
        'repeated-layers-are-read-once-in-plans',
        COST,
        'repeats(model_config, path) * base_bytes({path: leaf}, mesh)',
        'base_bytes({path: leaf}, mesh)',
        'Decoding is planned too fast.',
        WORK,
    ),
    Mutation(
        'lora-is-of-stored-layers',
        MODULES,
        'layers *= repeats(info.config, path)',
        'layers *= 1',
        'LoRA of an auxiliary model does not fit it.',
        TRAINED,
    ),
    Mutation(
        'the-first-layers-are-cut-out',
        AUXILIARY,
        "lambda x: x[start : start + size], base['layers']",
        "lambda x: x[:size], base['layers']",
        'Clients get other layers than the config says.',
        CUT,
    ),
    Mutation(
        'windows-are-of-the-first-layers',
        AUXILIARY,
        'model.local_layers[start : start + size]',
        'model.local_layers[:size]',
        'A global layer reads a window alone.',
        ALONE,
    ),
    Mutation(
        'no-layer-is-local-in-a-part-of-a-model',
        AUXILIARY,
        'num_layers=size, local_layers=local)',
        'num_layers=size, local_layers=())',
        'All layers read everything.',
        ALONE,
    ),
    Mutation(
        'a-cell-need-not-fit-the-depth',
        'fedprompt_jax/models/config.py',
        'if self.cell and self.num_layers % self.cell:',
        'if False:',
        'The last layers of a model that is not a whole number of cells are '
        'left out.',
        (TESTS + 'test_which_models_have_an_auxiliary_model',),
    ),
    Mutation(
        'cells-may-leave-the-model',
        AUXILIARY,
        'start + size > depth',
        'start >= depth',
        'A cell has fewer layers than asked for.',
        FAULTS,
    ),
    Mutation(
        'the-mean-over-layers-is-the-first',
        AUXILIARY,
        'groups.mean(axis=1)',
        'groups[:, 0]',
        'FedPrompt-Single sends the prefix of one layer.',
        DEPTHS,
    ),
    Mutation(
        'layers-are-tiled-not-repeated',
        AUXILIARY,
        'jnp.repeat(layers, times, axis=0)',
        'jnp.tile(layers, (times, 1, 1, 1, 1))',
        'Groups of layers come back in another order.',
        DEPTHS,
    ),
    Mutation(
        'layers-are-sorted-as-text',
        AUXILIARY,
        'key=lambda item: int(item[0])',
        'key=lambda item: item[0]',
        'Of models with over 100 layers, the last ones join the wrong groups.',
        DEPTHS,
    ),
    Mutation(
        'the-kept-prompt-trains-too',
        BOTH,
        "'model': ('prompt',),",
        "'model': (),",
        'The prompt moves while clients align their models.',
        ALTERNATING,
    ),
    Mutation(
        'the-kept-model-trains-too',
        BOTH,
        "'prompt': ('model',),",
        "'prompt': (),",
        'The model moves while clients train their prompts.',
        ALTERNATING,
    ),
    Mutation(
        'a-prompt-in-a-whole-model-has-no-position',
        BOTH,
        'property(lambda self: self.prompt.first_position)',
        'property(lambda self: 0)',
        'Examples begin elsewhere than under the prompt alone.',
        PACKING,
    ),
    Mutation(
        'closeness-is-seen-from-the-auxiliary-model',
        CLOSENESS,
        'jnp.exp(log_p) * (log_p - log_q)',
        'jnp.exp(log_q) * (log_q - log_p)',
        'The divergence is the other one of the two.',
        NUMPY,
    ),
    Mutation(
        'places-without-a-target-are-close',
        CLOSENESS,
        'is_target = jnp.asarray(grid.target_number) >= 0',
        'is_target = jnp.asarray(grid.target_number) >= -1',
        'The mean is over nonsense too.',
        NUMPY,
    ),
    Mutation(
        'closeness-is-a-mean-of-grids',
        CLOSENESS,
        'return Closeness(kl / tokens, equal / tokens, int(tokens))',
        'return Closeness(kl / len(grids), equal / tokens, int(tokens))',
        'Full grids count as little as those of a few tokens.',
        NUMPY,
    ),
)
