"""Mistakes in what a run is said to need."""

from tests.mutants.mutation import Mutation

ROOM = 'fedprompt_jax/planning'
WORKLOAD = f'{ROOM}/workload.py'
COST = f'{ROOM}/cost.py'
FORECAST = f'{ROOM}/forecast.py'
CHIPS = f'{ROOM}/chips.py'
PLAN = f'{ROOM}/plan.py'

ASSUMED = (
    'tests/forecast_test.py::'
    'test_assumed_lengths_have_the_means_that_are_asked_for',
)
OF_DATA = (
    'tests/forecast_test.py::test_traffic_is_of_the_data_as_the_run_reads_it',
)
DECODING = ('tests/forecast_test.py::test_decoding_reads_the_base_or_computes',)
BYTES = (
    'tests/forecast_test.py::test_bytes_of_keys_values_and_logits_by_hand',
)
SCORED = ('tests/forecast_test.py::test_what_is_scored_is_counted_by_hand',)
TRAINING = ('tests/forecast_test.py::test_training_takes_its_rounds_and_steps',)
VENDORS = (
    'tests/forecast_test.py::'
    'test_the_vendors_figures_are_in_bytes_and_operations',
)
MEASURED = (
    'tests/forecast_test.py::'
    'test_a_machine_is_measured_by_a_product_and_a_copy',
)

MUTATIONS = (
    Mutation(
        'assumed-lengths-are-one-and-a-half-times-the-mean',
        WORKLOAD,
        'rng.gamma(1.5, mean / 1.5, (owners, each))',
        'rng.gamma(1.5, mean, (owners, each))',
        'Planned hours and memory.',
        ASSUMED,
    ),
    Mutation(
        'assumed-targets-are-as-long-as-queries',
        WORKLOAD,
        'targets = lengths(target_tokens, c.max_target)',
        'targets = lengths(query_tokens, c.max_target)',
        'Planned hours and memory.',
        ASSUMED,
    ),
    Mutation(
        'assumed-lengths-are-not-cut',
        WORKLOAD,
        'queries = lengths(query_tokens, c.max_query)',
        'queries = lengths(query_tokens, 10 * c.max_query)',
        'Planned hours and memory.',
        ASSUMED,
    ),
    Mutation(
        'assumed-epochs-in-batches-of-stage-1',
        WORKLOAD,
        'epochs = [batch(p.clients, p.batch_size) for',
        'epochs = [batch(p.clients, config.batch_size) for',
        'Planned hours of personalization.',
        ASSUMED,
    ),
    Mutation(
        'pooled-data-are-planned-as-clients',
        WORKLOAD,
        'Pooled(data.population) if pooled else data.population',
        'data.population',
        'Planned hours of the centralized baseline.',
        OF_DATA,
    ),
    Mutation(
        'choices-are-planned-as-text',
        WORKLOAD,
        '(data.store.num_choices[used] == 0) & writes',
        '(data.store.num_choices[used] >= 0) & writes',
        'Hours are planned for text that no one generates.',
        OF_DATA,
    ),
    Mutation(
        'masked-models-are-planned-to-write',
        WORKLOAD,
        "for e in every if objective != 'masked_lm'",
        'for e in every',
        'Hours are planned for text that no one generates.',
        (
            'tests/plan_test.py::test_targets_are_no_tokens_'
            'of_a_row_that_an_encoder_reads',
        ),
    ),
    Mutation(
        'multiply-adds-for-operations',
        COST,
        'return 2 * (self.products + self.attention)',
        'return self.products + self.attention',
        'Planned operations are half of what they are.',
        ('tests/forecast_test.py::test_operations_of_a_forward_pass_by_hand',),
    ),
    Mutation(
        'logits-of-every-token',
        COST,
        'products += rows * targets * target_params(model_config)',
        'products += tokens * target_params(model_config)',
        'Planned operations of models with large vocabularies.',
        ('tests/forecast_test.py::test_operations_of_a_forward_pass_by_hand',),
    ),
    Mutation(
        'a-frozen-model-goes-back-twice',
        COST,
        'once.products * (2 + whole),',
        'once.products * 3,',
        'Planned hours are 1.5 times too many.',
        (
            'tests/plan_test.py::test_so_are_those_of_a_gradient',
            'tests/plan_test.py::test_a_whole_model_s_products_go_back_twice',
        ),
    ),
    Mutation(
        'remat-costs-nothing',
        COST,
        '    if not remat:\n        if not remat_mlp:',
        '    if True:\n        if not remat_mlp:',
        'Planned hours with config.model.remat.',
        ('tests/plan_test.py::test_so_are_those_of_a_gradient',),
    ),
    Mutation(
        'mlps-are-kept',
        'fedprompt_jax/models/stack.py',
        'names = () if self.remat else (layers.SAVED,)',
        'names = () if self.remat else (*names,)',
        'config.model.remat_mlp has no effect, and a run is out of memory.',
        (
            'tests/simulation_test.py::'
            'test_remat_recomputes_and_gives_the_same[remat_mlp-late-2]',
        ),
    ),
    Mutation(
        'recomputed-mlps-are-planned-as-kept',
        COST,
        'wide = inner + (not remat_mlp) * of_mlp',
        'wide = inner + of_mlp',
        'Planned memory with config.model.remat_mlp.',
        (
            'tests/plan_test.py::'
            'test_what_the_backward_pass_keeps_is_what_xla_allocates',
        ),
    ),
    Mutation(
        'recomputed-mlps-cost-nothing',
        COST,
        'return Work(head + mlp, 0.0)',
        'return Work(head, 0.0)',
        'Planned hours with config.model.remat_mlp.',
        ('tests/plan_test.py::test_so_are_those_of_a_gradient',),
    ),
    Mutation(
        'chips-reach-the-vendor-s-rate',
        COST,
        'rate = chip.flops[dtype] * chip.share * chips',
        'rate = chip.flops[dtype] * chips',
        'Planned hours are half of what they are.',
        DECODING,
    ),
    Mutation(
        'one-cache-for-keys-and-values',
        COST,
        'return 2.0 * queries * length * token_numbers',
        'return 1.0 * queries * length * token_numbers',
        'Planned memory of generation.',
        BYTES,
    ),
    Mutation(
        'logits-without-gradient',
        COST,
        'return 2.0 * numbers * 4',
        'return 1.0 * numbers * 4',
        'Planned memory.',
        BYTES,
    ),
    Mutation(
        'every-chip-has-all-rows-logits',
        COST,
        "chip_rows = rows / mesh['data']",
        'chip_rows = rows',
        'Planned memory of a mesh.',
        BYTES,
    ),
    Mutation(
        'decoding-reads-and-computes-at-once',
        COST,
        'return new_tokens * max(read, step)',
        'return new_tokens * min(read, step)',
        'Planned hours of generation.',
        DECODING,
    ),
    Mutation(
        'a-bank-without-optimizer-state',
        COST,
        'return owners * (3.0 * trained_bytes + more)',
        'return owners * 3.0 * trained_bytes',
        'Planned memory of large cohorts.',
        ('tests/plan_test.py::test_a_bank_s_bytes',),
    ),
    Mutation(
        'the-base-is-whole-on-every-chip',
        COST,
        'total += _bytes(leaf) / math.prod(mesh[axis] for axis in axes)',
        'total += _bytes(leaf)',
        'Planned memory of a mesh.',
        ('tests/plan_test.py::test_the_base_s_bytes_are_those_of_its_shards',),
    ),
    Mutation(
        'every-layer-is-gathered-at-once',
        COST,
        "min(1.0, 2 / leaf.shape[0]) if 'layers/' in path else 1.0",
        '1.0',
        'Planned memory with config.mesh.fsdp.',
        ('tests/plan_test.py::test_fsdp_gathers_the_tables_and_two_layers',),
    ),
    Mutation(
        'remat-keeps-all-layers',
        COST,
        'layer = stack.width if remat else _saved',
        'layer = _saved',
        'Planned memory with config.model.remat.',
        (
            'tests/plan_test.py::'
            'test_what_the_backward_pass_keeps_is_what_xla_allocates',
        ),
    ),
    Mutation(
        'chips-that-divide-nothing-share',
        COST,
        'return model if fits else 1',
        'return model',
        'Planned hours of a mesh that does not fit the model.',
        (
            'tests/plan_test.py::test_chips_that_do_not_divide_a_layer_do_the_same',
        ),
    ),
    Mutation(
        'no-validation-before-the-first-round',
        FORECAST,
        'validations = 1 + math.ceil(',
        'validations = 0 + math.ceil(',
        'Planned hours of validation.',
        (
            'tests/forecast_test.py::test_validation_is_before_'
            'the_first_round_and_after_the_last',
        ),
    ),
    Mutation(
        'common-examples-are-scored-twice',
        FORECAST,
        'own = 0 if official else p.global_examples / p.clients',
        'own = 0',
        'Planned hours of scoring.',
        SCORED,
    ),
    Mutation(
        'averages-are-not-scored',
        FORECAST,
        'banks += len([a for a in p.alphas if 0 < a < 1]) if p.epochs else 0',
        'banks += 0',
        'Planned hours of scoring.',
        SCORED,
    ),
    Mutation(
        'minutes-for-hours',
        FORECAST,
        'hours={name: s / 3600 for name, s in seconds.items()},',
        'hours={name: s / 60 for name, s in seconds.items()},',
        'Planned hours.',
        TRAINING,
    ),
    Mutation(
        'a-round-is-one-local-step',
        FORECAST,
        'round_seconds = gradients_taken * step',
        'round_seconds = exchange.passes * step',
        'Planned hours of training.',
        TRAINING,
    ),
    Mutation(
        'a-last-step-that-is-not-full-is-none',
        FORECAST,
        'steps = p.epochs * math.ceil(p.train_examples / p.batch_size)',
        'steps = p.epochs * (p.train_examples // p.batch_size)',
        'Planned hours of personalization.',
        (
            'tests/forecast_test.py::'
            'test_personalization_takes_its_epochs_and_steps',
        ),
    ),
    Mutation(
        'training-and-generation-at-once',
        FORECAST,
        "return always + max(training, memory['generation cache'])",
        "return always + training + memory['generation cache']",
        'What fits is said not to fit.',
        (
            'tests/forecast_test.py::'
            'test_text_is_generated_while_nothing_trains',
        ),
    ),
    Mutation(
        'a-last-batch-is-always-full',
        FORECAST,
        'result.append((rows, length, min(1.0, left / rows)))',
        'result.append((rows, length, 1.0))',
        'Planned hours of generation.',
        (
            'tests/forecast_test.py::'
            'test_a_last_batch_that_is_not_full_is_shared',
        ),
    ),
    Mutation(
        'gibibytes-for-gigabytes',
        CHIPS,
        'gigabytes * 1e9, flops, bandwidth',
        'gigabytes * 2**30, flops, bandwidth',
        'What does not fit is said to fit.',
        VENDORS,
    ),
    Mutation(
        'rates-of-two-dtypes-swapped',
        CHIPS,
        "flops = {'bfloat16': bf16 * 1e12, 'float32': f32 * 1e12}",
        "flops = {'bfloat16': f32 * 1e12, 'float32': bf16 * 1e12}",
        'Planned hours.',
        VENDORS,
    ),
    Mutation(
        'the-slowest-call-counts',
        CHIPS,
        'return min(seconds)',
        'return max(seconds)',
        "Planned hours on this machine's CPU.",
        ('tests/forecast_test.py::test_the_fastest_call_counts',),
    ),
    Mutation(
        'a-product-without-its-additions',
        CHIPS,
        'flops[dtype] = 2 * size**3 / fastest(product, a, a)',
        'flops[dtype] = size**3 / fastest(product, a, a)',
        "Planned hours on this machine's CPU.",
        MEASURED,
    ),
    Mutation(
        'hours-for-minutes',
        PLAN,
        "for unit, size in (('h', 1.0), ('min', 60.0)):",
        "for unit, size in (('h', 1.0), ('min', 3600.0)):",
        'Planned hours.',
        ('tests/forecast_test.py::test_a_duration_is_in_its_largest_unit',),
    ),
    Mutation(
        'fsdp-is-advised-where-it-is',
        PLAN,
        'several = config.mesh.data > 1 and not config.mesh.fsdp',
        'several = config.mesh.data > 1',
        'Advice that does not help.',
        ('tests/forecast_test.py::test_only_what_would_help_is_a_lever',),
    ),
    Mutation(
        'known-model-with-tied-embeddings',
        PLAN,
        "'tie_word_embeddings': False,",
        "'tie_word_embeddings': True,",
        'A plan for the paper lacks the head of the model.',
        (
            'tests/plan_test.py::'
            'test_the_paper_s_run_is_planned_without_model_and_data',
        ),
    ),
    Mutation(
        'the-flag-of-chips-is-ignored',
        f'{ROOM}/__main__.py',
        'chips_there = _CHIPS.value or 1',
        'chips_there = config.mesh.data * config.mesh.model',
        'A plan is of another number of chips than was asked for.',
        ('tests/plan_test.py::test_faults_are_sentences',),
    ),
)
