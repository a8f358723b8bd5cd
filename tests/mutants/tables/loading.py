"""Mistakes in the data of an experiment, and in what is said of it."""

from tests.mutants.mutation import Mutation

CHECKS = 'fedprompt_jax/experiment/data_checks.py'
DATA = 'fedprompt_jax/experiment/data.py'
PACKERS = 'fedprompt_jax/experiment/packers.py'

MUTATIONS = (
    Mutation(
        'positions-of-a-split-for-instances-of-the-store',
        'fedprompt_jax/experiment/populations.py',
        'dataclasses.replace(clients, order=instances[clients.order])',
        'dataclasses.replace(clients, order=clients.order)',
        'Training, validation and test share instances.',
        (
            'tests/splits_wiring_test.py::test_the_instances_of_a_split_are_of_its_task_types',
        ),
    ),
    Mutation(
        'validation-clients-of-the-test-split',
        DATA,
        "Wanted('validation', v.clients",
        "Wanted('test', v.clients",
        'The prompt is chosen on the test clients.',
        (
            'tests/splits_wiring_test.py::test_the_instances_of_a_split_are_of_its_task_types',
        ),
    ),
    Mutation(
        'held-out-clients-cut-as-training-clients',
        'fedprompt_jax/experiment/populations.py',
        "kind = config.data.partition if name == 'train' else 'high'",
        'kind = config.data.partition',
        'Held-out clients are no longer heterogeneous (Profit, C.3).',
        (
            'tests/splits_wiring_test.py::test_held_out_clients_have_one_task_type_whatever_training_clients_have',
        ),
    ),
    Mutation(
        'train-examples-and-eval-examples-swapped',
        DATA,
        'p.train_examples,\n        p.eval_examples,',
        'p.eval_examples,\n        p.train_examples,',
        'Personalization has another size, and so has its score.',
        (
            'tests/splits_wiring_test.py::test_clients_have_the_examples_that_the_config_asks_for',
        ),
    ),
    Mutation(
        'stage-2-always-on-the-test-split',
        DATA,
        '        p.split,\n        p.clients,',
        "        'test',\n        p.clients,",
        'Settings are chosen on the test clients.',
        (
            'tests/splits_wiring_test.py::test_the_split_of_personalization_is_that_of_stage_2_s_clients',
        ),
    ),
    Mutation(
        'clients-hold-out-too-few-for-validation',
        'fedprompt_jax/experiment/populations.py',
        "more = p.clients if p.split == 'validation' else 0",
        "more = p.clients if p.split == 'test' else 0",
        'A run that may be started is refused.',
        (
            'tests/splits_wiring_test.py::test_clients_of_stage_2_are_held_out_in_the_split_that_they_are_of',
        ),
    ),
    Mutation(
        'types-of-tasks-and-not-of-instances',
        'fedprompt_jax/experiment/populations.py',
        '        _types(store)[task_of],',
        '        task_of,',
        'Clients are cut by task; types of small tasks are dropped.',
        (
            'tests/splits_wiring_test.py::test_small_tasks_of_one_type_make_clients_together',
        ),
    ),
    Mutation(
        'the-partition-ignores-its-seed',
        'fedprompt_jax/experiment/populations.py',
        'c.client_size,\n        config.seed,\n        c.dirichlet_alpha',
        'c.client_size,\n        0,\n        c.dirichlet_alpha',
        'Seeds are not independent.',
        (
            'tests/splits_wiring_test.py::test_a_partition_depends_on_the_seed_and_on_alpha',
        ),
    ),
    Mutation(
        'the-partition-ignores-alpha',
        'fedprompt_jax/experiment/populations.py',
        '        config.seed,\n        c.dirichlet_alpha,\n',
        '        config.seed,\n',
        'config.data.dirichlet_alpha has no effect.',
        (
            'tests/splits_wiring_test.py::test_a_partition_depends_on_the_seed_and_on_alpha',
        ),
    ),
    Mutation(
        'a-store-is-shared-by-runs-of-other-queries',
        DATA,
        "        'size_alpha',\n        'held_out_share',",
        "        'size_alpha',\n        'max_query',",
        "A point of a study over max_query reads the first one's tokens.",
        (
            'tests/splits_wiring_test.py::test_runs_of_one_process_share_the_tokens_that_they_would_read',
        ),
    ),
    Mutation(
        'a-store-is-shared-by-models',
        DATA,
        'tokenizer.fingerprint, model_config.objective, cache_dir)',
        'model_config.objective, cache_dir)',
        "A point of a study over models reads another tokenizer's tokens.",
        (
            'tests/splits_wiring_test.py::test_runs_of_one_process_share_the_tokens_that_they_would_read',
        ),
    ),
    Mutation(
        'training-examples-are-scored',
        'fedprompt_jax/experiment/held_out.py',
        'train.append(order[n : n + wanted.train])',
        'train.append(order[: wanted.train])',
        'Personalized prompts are scored on what they were trained on.',
        (
            'tests/held_out_test.py::test_training_and_scored_examples_are_disjoint_and_the_client_s_own',
        ),
    ),
    Mutation(
        'a-small-client-is-scored-on-all-it-has',
        'fedprompt_jax/experiment/held_out.py',
        'n = min(wanted.local, max(1, share))',
        'n = wanted.local',
        'A small client has nothing to train on.',
        (
            'tests/held_out_test.py::test_a_smaller_client_is_cut_in_the_same_proportion',
        ),
    ),
    Mutation(
        'held-out-clients-without-the-seed',
        'fedprompt_jax/experiment/held_out.py',
        "rng = generator(wanted.seed, 'held-out clients')",
        "rng = generator(0, 'held-out clients')",
        'Seeds are not independent.',
        (
            'tests/held_out_test.py::test_a_seed_decides_who_is_drawn_and_what_is_scored',
        ),
    ),
    Mutation(
        'held-out-examples-without-the-seed',
        'fedprompt_jax/experiment/held_out.py',
        "generator(wanted.seed, 'held-out examples', client)",
        "generator(0, 'held-out examples', client)",
        'Seeds are not independent.',
        (
            'tests/held_out_test.py::test_a_seed_decides_who_is_drawn_and_what_is_scored',
        ),
    ),
    Mutation(
        'common-examples-of-the-first-clients',
        'fedprompt_jax/experiment/held_out.py',
        '[ids[: each + (i < more)] for i, ids in enumerate(local)]',
        '[np.concatenate(local)[:count]]',
        'The global score is of a few clients.',
        (
            'tests/held_out_test.py::test_the_common_examples_come_evenly_from_all_clients',
        ),
    ),
    Mutation(
        'names-by-the-number-within-the-split',
        DATA,
        'numbers = [store.client_of[local[0]] for local in held_out.local]',
        'numbers = held_out.clients',
        "Scores stand under other clients' names.",
        (
            'tests/client_names_test.py::test_the_names_of_held_out_clients_are_those_of_their_rows',
        ),
    ),
    Mutation(
        'a-fingerprint-without-the-examples-of-stage-2',
        DATA,
        'own = [*held_out.train, *held_out.local]',
        'own = [*held_out.local]',
        'A run goes on with other examples to train on.',
        (
            'tests/splits_wiring_test.py::test_who_is_where_is_part_of_what_a_run_is',
        ),
    ),
    # What is said of the data.
    Mutation(
        'too-few-clients-of-stage-2-pass',
        CHECKS,
        'if n > numbers[split]',
        "if n > numbers['train']",
        'A run ends after its first stage with an error of numpy.',
        (
            'tests/data_checks_test.py::test_a_split_with_fewer_clients_than_asked_of_it_is_named',
        ),
    ),
    Mutation(
        'as-many-clients-as-there-are-are-refused',
        CHECKS,
        'if n > numbers[split]',
        'if n >= numbers[split]',
        'A run on all clients at once is refused.',
        (
            'tests/data_checks_test.py::test_a_split_with_fewer_clients_than_asked_of_it_is_named',
        ),
    ),
    Mutation(
        'virtual-tokens-take-no-positions',
        CHECKS,
        'if virtual + longest <= most:',
        'if longest <= most:',
        'Positions are beyond those that the model was trained for.',
        (
            'tests/data_checks_test.py::test_the_longest_row_has_prompt_query_and_the_longer_of_target_and_output',
        ),
    ),
    Mutation(
        'outputs-take-no-positions',
        CHECKS,
        'generated = np.where(store.num_choices[used], 0, new)',
        'generated = np.where(store.num_choices[used], new, 0)',
        'Outputs are generated beyond the last position of the model.',
        (
            'tests/data_checks_test.py::test_the_longest_row_has_prompt_query_and_the_longer_of_target_and_output',
        ),
    ),
    Mutation(
        'targets-of-an-encoder-take-positions',
        CHECKS,
        "if store.objective == 'causal_lm':\n        # Where",
        "if store.objective != 'masked_lm':\n        # Where",
        'Data that fit a T5 are refused.',
        (
            'tests/data_checks_test.py::test_the_targets_of_an_encoder_take_no_positions_of_it',
        ),
    ),
    Mutation(
        'one-instance-with-choices-is-enough',
        CHECKS,
        'or store.num_choices[used].all():',
        'or store.num_choices[used].any():',
        'A masked model is asked for text, and a run ends with an error.',
        (
            'tests/data_checks_test.py::test_a_masked_model_needs_choices_everywhere',
        ),
    ),
    Mutation(
        'the-first-token-beyond-the-table-passes',
        CHECKS,
        'if largest < rows:',
        'if largest <= rows:',
        "JAX takes the last row's embedding for it, and says nothing.",
        (
            'tests/data_checks_test.py::test_a_token_must_have_a_row_in_the_table',
        ),
    ),
    Mutation(
        'the-largest-client-stands-for-the-smallest',
        CHECKS,
        'least, requested = min(sizes), p[key]',
        'least, requested = max(sizes), p[key]',
        'Nobody hears that clients have fewer examples than asked.',
        (
            'tests/data_checks_test.py::test_the_smallest_client_is_named_where_it_has_too_few',
        ),
    ),
    Mutation(
        'a-global-score-over-fewer-is-not-said',
        CHECKS,
        'len(held_out.common) < p.global_examples:',
        'len(held_out.common) > p.global_examples:',
        'A global score is over fewer examples than the config says.',
        (
            'tests/data_checks_test.py::test_the_smallest_client_is_named_where_it_has_too_few',
        ),
    ),
    Mutation(
        'truncation-is-a-warning-from-half',
        CHECKS,
        'MANY = 0.05',
        'MANY = 0.5',
        'Nobody hears that a third of the queries lost their end.',
        (
            'tests/data_checks_test.py::test_truncation_is_a_warning_above_one_in_twenty',
        ),
    ),
    Mutation(
        'answers-that-melt-are-not-said',
        CHECKS,
        'if not store.merged:',
        'if store.merged:',
        'Nobody hears that answers are read otherwise than written.',
        (
            'tests/data_checks_test.py::test_answers_that_the_tokenizer_joins_are_a_warning',
        ),
    ),
    # Row shapes.
    Mutation(
        'shapes-without-the-held-out-clients',
        PACKERS,
        'fits = training.prompt_length + tokens <= widest.length',
        'fits = True',
        "Stage 2 ends at the first example longer than all of stage 1's.",
        (
            'tests/packers_test.py::test_the_longest_example_of_either_stage_fits',
        ),
    ),
    Mutation(
        'targets-of-stage-2-that-do-not-fit',
        PACKERS,
        'if fits and targets <= widest.targets:',
        'if fits:',
        "Stage 2 ends at the first target longer than all of stage 1's.",
        (
            'tests/packers_test.py::test_rows_that_are_long_enough_may_hold_too_few_targets',
        ),
    ),
    Mutation(
        'shapes-of-the-rounds-follow-stage-2',
        PACKERS,
        'used = np.concatenate([data.population.order, data.server])',
        'used = np.concatenate([data.population.order, *data.held_out.train])',
        'Runs that differ in stage 2 alone have other rounds.',
        ('tests/packers_test.py::test_the_rounds_do_not_depend_on_stage_2',),
    ),
    Mutation(
        'shapes-without-the-validation-clients',
        PACKERS,
        'used = np.concatenate([*data.validation.local, *data.held_out.local])',
        'used = np.concatenate([*data.held_out.local])',
        'Validation ends at the first example longer than the scored ones.',
        (
            'tests/packers_test.py::test_what_is_scored_is_that_of_validation_and_of_held_out_clients',
        ),
    ),
    Mutation(
        'evaluation-shapes-without-choices',
        PACKERS,
        '[(e.num_tokens, e.num_target_tokens) for b in batches for e in b]',
        '[(len(e.query), len(e.target)) for b in batches for e in b]',
        'A run ends at the first choice longer than all targets.',
        ('tests/packers_test.py::test_the_longest_choice_fits',),
    ),
    Mutation(
        'runs-side-by-side-share-their-owners',
        PACKERS,
        'e._replace(owner=e.owner + run * owners)',
        'e._replace(owner=e.owner)',
        'Rows are chosen for fewer prompts than a study has.',
        (
            'tests/packers_test.py::test_runs_side_by_side_have_owners_of_their_own',
        ),
    ),
    Mutation(
        'the-shapes-of-stage-1-s-batches-alone',
        PACKERS,
        'batch_size=config.personalization.batch_size',
        'batch_size=config.batch_size',
        "Rows are chosen for other batches than stage 2's.",
        (
            'tests/packers_test.py::test_the_sample_is_of_batches_as_the_stages_have_them',
        ),
    ),
    Mutation(
        'the-mesh-is-ignored-in-shapes',
        PACKERS,
        'row_multiple=config.mesh.data',
        'row_multiple=1',
        'Grids cannot be cut along the data axis of the mesh.',
        (
            'tests/packers_test.py::test_rows_are_a_multiple_of_the_mesh_s_data_axis',
        ),
    ),
)
