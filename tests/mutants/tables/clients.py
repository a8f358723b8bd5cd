"""Mistakes in who the clients are, and in who is drawn when."""

from tests.mutants.mutation import Mutation

CHECKS = 'fedprompt_jax/experiment/data_checks.py'
DATA = 'fedprompt_jax/experiment/data.py'
HETEROGENEITY = 'fedprompt_jax/data/heterogeneity.py'
LISTING = 'fedprompt_jax/data/listing.py'
PACKERS = 'fedprompt_jax/experiment/packers.py'
PARTITIONS = 'fedprompt_jax/data/partitions.py'
RANDOMNESS = 'fedprompt_jax/data/randomness.py'
SAMPLING = 'fedprompt_jax/data/sampling.py'
SPLITS = 'fedprompt_jax/data/splits.py'

MUTATIONS = (
    # Partitions.
    Mutation(
        'dirichlet-without-the-prior',
        PARTITIONS,
        'rng.dirichlet(alpha * prior)',
        'rng.dirichlet(alpha * np.ones_like(prior))',
        'Clients are of another heterogeneity.',
        (
            'tests/partitions_test.py::test_dirichlet_goes_from_one_type_to_the_'
            'whole_mixture',
        ),
    ),
    Mutation(
        'dirichlet-without-alpha',
        PARTITIONS,
        'rng.dirichlet(alpha * prior)',
        'rng.dirichlet(prior)',
        'config.data.dirichlet_alpha has no effect.',
        (
            'tests/partitions_test.py::test_dirichlet_goes_from_one_type_to_the_'
            'whole_mixture',
        ),
    ),
    Mutation(
        'clients-of-a-type-rounded-down',
        PARTITIONS,
        'np.rint(sizes / client_size)',
        'np.floor(sizes / client_size)',
        "Not the 3520 clients of Profit's Table 1.",
        (
            'tests/partitions_test.py::test_every_kind_has_the_clients_that_the_'
            'types_sizes_give',
        ),
    ),
    Mutation(
        'a-partition-without-the-seed',
        PARTITIONS,
        "randomness.generator(seed, f'partition {kind}')",
        "randomness.generator(0, f'partition {kind}')",
        'Seeds are not independent.',
        ('tests/partitions_test.py::test_a_seed_decides',),
    ),
    Mutation(
        'ordered-by-type-within-a-task',
        PARTITIONS,
        'order = np.lexsort((task_of, type_of))',
        'order = np.lexsort((type_of, task_of))',
        'Clients of a high partition have several types.',
        (
            'tests/partitions_test.py::test_within_a_type_sizes_differ_by_one_at_'
            'most',
            'tests/partitions_test.py::test_clients_are_cut_type_by_type_'
            'whatever_the_tasks_numbers',
        ),
    ),
    Mutation(
        'the-last-instances-are-lost',
        PARTITIONS,
        'np.arange(chunks + 1, dtype=np.int64) * n // chunks',
        'np.arange(chunks + 1, dtype=np.int64) * (n // chunks)',
        'Some instances are never trained on.',
        ('tests/partitions_test.py::test_clients_are_disjoint_and_complete',),
    ),
    Mutation(
        'low-is-not-shuffled',
        PARTITIONS,
        "if kind == 'low':",
        "if kind == 'none':",
        'Clients of a low partition are those of a high one.',
        ('tests/partitions_test.py::test_medium_and_low_are_shuffled',),
    ),
    Mutation(
        'a-type-gives-more-than-it-has',
        PARTITIONS,
        'taken += np.minimum(wanted, left - taken)',
        'taken += wanted',
        'Clients share instances, and others are in none.',
        ('tests/partitions_test.py::test_clients_are_disjoint_and_complete',),
    ),
    Mutation(
        'the-first-client-of-the-data-is-nobody',
        PARTITIONS,
        'order = order[client_of[order] >= 0]',
        'order = order[client_of[order] > 0]',
        'The first client of the data takes no part.',
        ('tests/partitions_test.py::test_clients_as_the_data_have_them',),
    ),
    # Splits.
    Mutation(
        'excluded-types-are-trained-on',
        SPLITS,
        'rest = [t for t in rest if not _is_in(t, PAPER_EXCLUDED_TYPES)]',
        'rest = [t for t in rest if t not in PAPER_EXCLUDED_TYPES.values()]',
        'Not the 58 training types of the paper.',
        (
            'tests/splits_test.py::test_the_paper_counts_come_out_of_snis_76_'
            'types',
        ),
    ),
    Mutation(
        'validation-and-test-types-swapped',
        SPLITS,
        "split['test'] = _listed(rest, PAPER_TEST_TYPES)",
        "split['test'] = _listed(rest, PAPER_VALIDATION_TYPES)",
        'The test types are trained on.',
        (
            'tests/splits_test.py::test_the_paper_counts_come_out_of_snis_76_'
            'types',
        ),
    ),
    Mutation(
        'a-tenth-rounded-down',
        SPLITS,
        'max(1, round(n / 10))',
        'max(1, n // 10)',
        'Splits are others than in earlier runs.',
        (
            'tests/splits_test.py::test_validation_is_a_tenth_of_the_listed_'
            'training_types',
        ),
    ),
    Mutation(
        'splits-without-the-seed',
        SPLITS,
        "randomness.generator(seed, 'task type split')",
        "randomness.generator(0, 'task type split')",
        'Seeds are not independent.',
        (
            'tests/splits_test.py::test_a_seed_decides_and_the_order_of_types_'
            'does_not',
        ),
    ),
    Mutation(
        'listed-validation-tasks-stay-in-training',
        SPLITS,
        "split = 'validation' if at == 'train' and type_ in validation else at",
        "split = 'validation' if at == 'test' and type_ in validation else at",
        'The prompt is chosen on other tasks than the lists leave for that.',
        (
            'tests/splits_test.py::test_validation_is_a_tenth_of_the_listed_'
            'training_types',
        ),
    ),
    Mutation(
        'unlisted-tasks-are-trained-on',
        SPLITS,
        "list_of.get(n, 'unlisted')",
        "list_of.get(n, 'train')",
        'Tasks that the official lists leave out are trained on.',
        ('tests/splits_test.py::test_split_lists_decide_by_task_name',),
    ),
    Mutation(
        'test-clients-move-with-validation-clients',
        SPLITS,
        "'test': order[:test]}",
        "'test': order[-validation - test : -validation]}",
        'Another number of validation clients makes other test clients.',
        (
            'tests/splits_test.py::test_test_clients_do_not_move_with_the_'
            'validation_clients',
        ),
    ),
    Mutation(
        'clients-of-one-instance-are-held-out',
        SPLITS,
        'np.flatnonzero(np.asarray(sizes) >= 2)',
        'np.flatnonzero(np.asarray(sizes) >= 1)',
        'A held-out client has nothing to train on.',
        (
            'tests/splits_test.py::test_a_client_with_one_instance_is_not_held_'
            'out',
        ),
    ),
    Mutation(
        'fewer-clients-are-held-out-than-asked-for',
        SPLITS,
        'max(tenth, num_validation), max(tenth, num_test)',
        'max(tenth, num_validation), min(tenth, num_test)',
        'Fewer test clients than the config says.',
        (
            'tests/splits_test.py::test_a_tenth_of_the_clients_is_held_out_where_'
            'fewer_are_asked_for',
        ),
    ),
    # Draws.
    Mutation(
        'streams-of-two-purposes-are-one',
        RANDOMNESS,
        'json.dumps([purpose, int(seed), *(int(i) for i in ids)])',
        'json.dumps([int(seed), *(int(i) for i in ids)])',
        'Cohorts and batches are drawn from one stream.',
        (
            'tests/randomness_test.py::test_another_seed_purpose_or_id_gives_'
            'another_stream',
        ),
    ),
    Mutation(
        'ids-of-a-draw-run-into-each-other',
        RANDOMNESS,
        'json.dumps([purpose, int(seed), *(int(i) for i in ids)])',
        "purpose + ''.join(f'{int(i)}' for i in (seed, *ids))",
        'Client 11 of round 1 is shuffled as client 1 of round 11.',
        (
            'tests/randomness_test.py::test_another_seed_purpose_or_id_gives_'
            'another_stream',
        ),
    ),
    Mutation(
        'cohorts-without-the-seed',
        SAMPLING,
        "rng = generator(seed, 'cohort', round)",
        "rng = generator(0, 'cohort', round)",
        'Seeds are not independent.',
        (
            'tests/sampling_test.py::test_the_clients_of_every_round_depend_on_'
            'the_seed_and_the_round',
        ),
    ),
    Mutation(
        'a-cohort-with-replacement',
        SAMPLING,
        'rng.choice(len(population), size, replace=False)',
        'rng.choice(len(population), size, replace=True)',
        'A client is in a cohort twice.',
        (
            'tests/sampling_test.py::test_a_cohort_is_without_replacement_and_of_'
            'the_asked_sizes',
        ),
    ),
    Mutation(
        'num-examples-of-other-clients',
        SAMPLING,
        'len(population[c]) for c in clients',
        'len(population[c]) for c in range(len(clients))',
        "aggregation='examples' weighs clients by others' sizes.",
        (
            'tests/sampling_test.py::test_a_cohort_is_without_replacement_and_of_'
            'the_asked_sizes',
        ),
    ),
    Mutation(
        'every-local-step-has-the-first-batch',
        SAMPLING,
        'for i in batches[s]',
        'for i in batches[0]',
        'Local steps repeat one batch.',
        (
            'tests/sampling_test.py::test_pooled_data_goes_on_where_the_last_'
            'round_ended',
        ),
    ),
    Mutation(
        'pooled-rounds-overlap',
        SAMPLING,
        'round * num_steps * batch_size if alone',
        'round * batch_size if alone',
        'Centralized training sees examples again before it has seen all.',
        (
            'tests/sampling_test.py::test_pooled_data_goes_on_where_the_last_'
            'round_ended',
        ),
    ),
    Mutation(
        'every-pooled-round-begins-anew',
        SAMPLING,
        'name = (0, client) if alone else (round, client)',
        'name = (round, client)',
        'Centralized training sees examples again before it has seen all.',
        (
            'tests/sampling_test.py::test_pooled_data_goes_on_where_the_last_'
            'round_ended',
        ),
    ),
    Mutation(
        'batches-without-the-seed',
        SAMPLING,
        "generator(seed, 'batches', *name, number)",
        "generator(0, 'batches', *name, number)",
        'Seeds are not independent.',
        (
            'tests/sampling_test.py::test_a_pass_is_a_function_of_seed_round_and_'
            'client',
        ),
    ),
    Mutation(
        'clients-are-shuffled-alike',
        SAMPLING,
        "generator(seed, 'batches', *name, number)",
        "generator(seed, 'batches', *name[:1], number)",
        'Clients of one size are shuffled alike.',
        (
            'tests/sampling_test.py::test_a_pass_is_a_function_of_seed_round_and_'
            'client',
        ),
    ),
    Mutation(
        'every-pass-in-the-same-order',
        SAMPLING,
        "generator(seed, 'batches', *name, number)",
        "generator(seed, 'batches', *name)",
        'Batches repeat.',
        (
            'tests/sampling_test.py::test_a_pass_is_without_replacement_and_'
            'passes_differ',
        ),
    ),
    Mutation(
        'every-epoch-in-the-same-order',
        SAMPLING,
        "generator(seed, 'epoch', epoch, client)",
        "generator(seed, 'epoch', client)",
        'Batches repeat.',
        (
            'tests/sampling_test.py::test_an_epoch_is_a_function_of_seed_epoch_'
            'and_client',
        ),
    ),
    Mutation(
        'an-epoch-ends-with-the-smallest-client',
        SAMPLING,
        'max(map(len, orders))',
        'min(map(len, orders))',
        'Larger clients do not see all of their instances.',
        ('tests/sampling_test.py::test_an_epoch_sees_every_instance_once',),
    ),
    # Heterogeneity.
    Mutation(
        'kl-from-the-mean-of-clients',
        HETEROGENEITY,
        'g = np.bincount(label, mass) / mass.sum()',
        'g = np.bincount(label, p) / len(clients)',
        'The KL of Figure 6 is from another distribution.',
        (
            'tests/partitions_test.py::test_kl_is_from_the_distribution_of_'
            'instances_and_not_of_clients',
        ),
    ),
    Mutation(
        'kl-in-bits',
        HETEROGENEITY,
        'p * np.log(p / g[label])',
        'p * np.log2(p / g[label])',
        'The KL of Figure 6 is 1.4 times too large.',
        ('tests/partitions_test.py::test_kl_by_hand',),
    ),
    Mutation(
        'kl-of-the-global-from-the-client',
        HETEROGENEITY,
        'p * np.log(p / g[label])',
        'g[label] * np.log(g[label] / p)',
        'Another divergence than that of Figure 6.',
        ('tests/partitions_test.py::test_kl_by_hand',),
    ),
    Mutation(
        'table-1-with-ddof-1',
        HETEROGENEITY,
        'float(np.std(x))',
        'float(np.std(x, ddof=1))',
        'Deviations of Table 1 are too large.',
        ('tests/partitions_test.py::test_table_1_by_hand',),
    ),
    Mutation(
        'types-and-tasks-of-table-1-swapped',
        HETEROGENEITY,
        '_mean_sd(_distinct(clients, task_of)),\n'
        '        _mean_sd(_distinct(clients, type_of)),',
        '_mean_sd(_distinct(clients, type_of)),\n'
        '        _mean_sd(_distinct(clients, task_of)),',
        'Two columns of Table 1 stand under the wrong names.',
        ('tests/partitions_test.py::test_table_1_by_hand',),
    ),
    Mutation(
        'a-domain-that-stands-twice-halves-itself',
        HETEROGENEITY,
        "tuple(dict.fromkeys(v)) or ('none',)",
        "tuple(v) or ('none',)",
        'An instance counts for less than one.',
        ('tests/partitions_test.py::test_several_values_share_an_instance',),
    ),
    Mutation(
        'a-list-counts-all-its-names-as-more',
        LISTING,
        'more = len(names) - len(shown)',
        'more = len(names) - most',
        'A message counts too few or too many.',
        (
            'tests/client_names_test.py::test_a_listing_shows_the_first_names_'
            'and_counts_the_others',
        ),
    ),
    # The data of an experiment.
    Mutation(
        'positions-of-a-split-for-instances-of-the-store',
        DATA,
        'dataclasses.replace(clients, order=instances[clients.order])',
        'dataclasses.replace(clients, order=clients.order)',
        'Training, validation and test share instances.',
        (
            'tests/splits_wiring_test.py::test_the_instances_of_a_split_are_of_'
            'its_task_types',
        ),
    ),
    Mutation(
        'validation-clients-of-the-test-split',
        DATA,
        "clients['validation'], config.seed, v.clients",
        "clients['test'], config.seed, v.clients",
        'The prompt is chosen on the test clients.',
        (
            'tests/splits_wiring_test.py::test_the_instances_of_a_split_are_of_'
            'its_task_types',
        ),
    ),
    Mutation(
        'held-out-clients-cut-as-training-clients',
        DATA,
        "kind = config.data.partition if name == 'train' else 'high'",
        'kind = config.data.partition',
        'Held-out clients are no longer heterogeneous (Profit, C.3).',
        (
            'tests/splits_wiring_test.py::test_held_out_clients_have_one_task_'
            'type_whatever_training_clients_have',
        ),
    ),
    Mutation(
        'train-examples-and-eval-examples-swapped',
        DATA,
        'p.train_examples,\n        p.eval_examples,',
        'p.eval_examples,\n        p.train_examples,',
        'Personalization has another size, and so has its score.',
        (
            'tests/splits_wiring_test.py::test_clients_have_the_examples_that_'
            'the_config_asks_for',
        ),
    ),
    Mutation(
        'stage-2-always-on-the-test-split',
        DATA,
        'clients[p.split],',
        "clients['test'],",
        'Settings are chosen on the test clients.',
        (
            'tests/splits_wiring_test.py::test_the_split_of_personalization_is_'
            'that_of_stage_2_s_clients',
        ),
    ),
    Mutation(
        'clients-hold-out-too-few-for-validation',
        DATA,
        "more = p.clients if p.split == 'validation' else 0",
        "more = p.clients if p.split == 'test' else 0",
        'A run that may be started is refused.',
        (
            'tests/splits_wiring_test.py::test_clients_of_stage_2_are_held_out_'
            'in_the_split_that_they_are_of',
        ),
    ),
    Mutation(
        'types-of-tasks-and-not-of-instances',
        DATA,
        'type_of_task[task_of],',
        'task_of,',
        'Clients are cut by task; types of small tasks are dropped.',
        (
            'tests/splits_wiring_test.py::test_small_tasks_of_one_type_make_'
            'clients_together',
        ),
    ),
    Mutation(
        'the-partition-ignores-its-seed',
        DATA,
        'c.client_size,\n        config.seed,\n        c.dirichlet_alpha',
        'c.client_size,\n        0,\n        c.dirichlet_alpha',
        'Seeds are not independent.',
        (
            'tests/splits_wiring_test.py::test_a_partition_depends_on_the_seed_'
            'and_on_alpha',
        ),
    ),
    Mutation(
        'the-partition-ignores-alpha',
        DATA,
        '        config.seed,\n        c.dirichlet_alpha,\n',
        '        config.seed,\n',
        'config.data.dirichlet_alpha has no effect.',
        (
            'tests/splits_wiring_test.py::test_a_partition_depends_on_the_seed_'
            'and_on_alpha',
        ),
    ),
    Mutation(
        'a-store-is-shared-by-runs-of-other-queries',
        DATA,
        "done = ('partition', 'dirichlet_alpha', 'client_size')",
        "done = ('partition', 'dirichlet_alpha', 'client_size', 'max_query')",
        "A point of a sweep over max_query reads the first one's tokens.",
        (
            'tests/splits_wiring_test.py::test_runs_of_one_process_share_the_'
            'tokens_that_they_would_read',
        ),
    ),
    Mutation(
        'a-store-is-shared-by-models',
        DATA,
        '(_read_of(c), tokenizer.fingerprint, sizes.objective, cache_dir)',
        '(_read_of(c), sizes.objective, cache_dir)',
        "A point of a sweep over models reads another tokenizer's tokens.",
        (
            'tests/splits_wiring_test.py::test_runs_of_one_process_share_the_'
            'tokens_that_they_would_read',
        ),
    ),
    Mutation(
        'training-examples-are-scored',
        DATA,
        'train.append(order[n : n + num_train])',
        'train.append(order[:num_train])',
        'Personalized prompts are scored on what they were trained on.',
        (
            'tests/held_out_test.py::test_training_and_scored_examples_are_'
            'disjoint_and_the_client_s_own',
        ),
    ),
    Mutation(
        'a-small-client-is-scored-on-all-it-has',
        DATA,
        'n = min(num_local, max(1, share))',
        'n = num_local',
        'A small client has nothing to train on.',
        (
            'tests/held_out_test.py::test_a_smaller_client_is_cut_in_the_same_'
            'proportion',
        ),
    ),
    Mutation(
        'held-out-clients-without-the-seed',
        DATA,
        "rng = generator(seed, 'held-out clients')",
        "rng = generator(0, 'held-out clients')",
        'Seeds are not independent.',
        (
            'tests/held_out_test.py::test_a_seed_decides_who_is_drawn_and_what_'
            'is_scored',
        ),
    ),
    Mutation(
        'held-out-examples-without-the-seed',
        DATA,
        "generator(seed, 'held-out examples', client)",
        "generator(0, 'held-out examples', client)",
        'Seeds are not independent.',
        (
            'tests/held_out_test.py::test_a_seed_decides_who_is_drawn_and_what_'
            'is_scored',
        ),
    ),
    Mutation(
        'common-examples-of-the-first-clients',
        DATA,
        'common = [own[: each + (i < more)] for i, own in enumerate(local)]',
        'common = [np.concatenate(local)[:num_common]]',
        'The global score is of a few clients.',
        (
            'tests/held_out_test.py::test_the_common_examples_come_evenly_from_'
            'all_clients',
        ),
    ),
    Mutation(
        'names-by-the-number-within-the-split',
        DATA,
        'numbers = [store.client_of[local[0]] for local in held_out.local]',
        'numbers = held_out.clients',
        "Scores stand under other clients' names.",
        (
            'tests/client_names_test.py::test_the_names_of_held_out_clients_are_'
            'those_of_their_rows',
        ),
    ),
    Mutation(
        'a-fingerprint-without-the-examples-of-stage-2',
        DATA,
        'parts += [*held_out.train, *held_out.local]',
        'parts += [*held_out.local]',
        'A run goes on with other examples to train on.',
        (
            'tests/splits_wiring_test.py::test_who_is_where_is_part_of_what_a_'
            'run_is',
        ),
    ),
    # What is said of the data.
    Mutation(
        'too-few-clients-of-stage-2-pass',
        CHECKS,
        'if n > len(clients[split])',
        "if n > len(clients['train'])",
        'A run ends after its first stage with an error of numpy.',
        (
            'tests/data_checks_test.py::test_a_split_with_fewer_clients_than_'
            'asked_of_it_is_named',
        ),
    ),
    Mutation(
        'as-many-clients-as-there-are-are-refused',
        CHECKS,
        'if n > len(clients[split])',
        'if n >= len(clients[split])',
        'A run on all clients at once is refused.',
        (
            'tests/data_checks_test.py::test_a_split_with_fewer_clients_than_'
            'asked_of_it_is_named',
        ),
    ),
    Mutation(
        'virtual-tokens-take-no-positions',
        CHECKS,
        'if virtual + longest <= most:',
        'if longest <= most:',
        'Positions are beyond those that the model was trained for.',
        (
            'tests/data_checks_test.py::test_the_longest_row_has_prompt_query_'
            'and_the_longer_of_target_and_output',
        ),
    ),
    Mutation(
        'outputs-take-no-positions',
        CHECKS,
        'generated = np.where(store.num_choices[used], 0, new)',
        'generated = np.where(store.num_choices[used], new, 0)',
        'Outputs are generated beyond the last position of the model.',
        (
            'tests/data_checks_test.py::test_the_longest_row_has_prompt_query_'
            'and_the_longer_of_target_and_output',
        ),
    ),
    Mutation(
        'targets-of-an-encoder-take-positions',
        CHECKS,
        "if store.objective == 'causal_lm':\n        # Where",
        "if store.objective != 'masked_lm':\n        # Where",
        'Data that fit a T5 are refused.',
        (
            'tests/data_checks_test.py::test_the_targets_of_an_encoder_take_no_'
            'positions_of_it',
        ),
    ),
    Mutation(
        'one-instance-with-choices-is-enough',
        CHECKS,
        'or store.num_choices[used].all():',
        'or store.num_choices[used].any():',
        'A masked model is asked for text, and a run ends with an error.',
        (
            'tests/data_checks_test.py::test_a_masked_model_needs_choices_'
            'everywhere',
        ),
    ),
    Mutation(
        'the-first-token-beyond-the-table-passes',
        CHECKS,
        'if largest < rows:',
        'if largest <= rows:',
        "JAX takes the last row's embedding for it, and says nothing.",
        (
            'tests/data_checks_test.py::test_a_token_must_have_a_row_in_the_'
            'table',
        ),
    ),
    Mutation(
        'the-largest-client-stands-for-the-smallest',
        CHECKS,
        'least, asked = min(sizes), p[key]',
        'least, asked = max(sizes), p[key]',
        'Nobody hears that clients have fewer examples than asked.',
        (
            'tests/data_checks_test.py::test_the_smallest_client_is_named_where_'
            'it_has_too_few',
        ),
    ),
    Mutation(
        'a-global-score-over-fewer-is-not-said',
        CHECKS,
        'if len(held_out.common) < p.global_examples:',
        'if len(held_out.common) > p.global_examples:',
        'A global score is over fewer examples than the config says.',
        (
            'tests/data_checks_test.py::test_the_smallest_client_is_named_where_'
            'it_has_too_few',
        ),
    ),
    Mutation(
        'truncation-is-a-warning-from-half',
        CHECKS,
        'MANY = 0.05',
        'MANY = 0.5',
        'Nobody hears that a third of the queries lost their end.',
        (
            'tests/data_checks_test.py::test_truncation_is_a_warning_above_one_'
            'in_twenty',
        ),
    ),
    Mutation(
        'answers-that-melt-are-not-said',
        CHECKS,
        'if not store.merged:',
        'if store.merged:',
        'Nobody hears that answers are read otherwise than written.',
        (
            'tests/data_checks_test.py::test_answers_that_the_tokenizer_joins_'
            'are_a_warning',
        ),
    ),
    # Row shapes.
    Mutation(
        'shapes-without-the-held-out-clients',
        PACKERS,
        '[data.population.order, *data.held_out.train]',
        '[data.population.order]',
        "Stage 2 ends at the first example longer than all of stage 1's.",
        (
            'tests/packers_test.py::test_the_longest_example_of_either_stage_'
            'fits',
        ),
    ),
    Mutation(
        'shapes-without-the-validation-clients',
        PACKERS,
        'used = np.concatenate([*data.validation.local, *data.held_out.local])',
        'used = np.concatenate([*data.held_out.local])',
        'Validation ends at the first example longer than the scored ones.',
        (
            'tests/packers_test.py::test_what_is_scored_is_that_of_validation_'
            'and_of_held_out_clients',
        ),
    ),
    Mutation(
        'evaluation-shapes-without-choices',
        PACKERS,
        'longest = _longest(data.store, used, data.store.scored_lengths[used])',
        'longest = _longest(data.store, used, data.store.target_lengths[used])',
        'A run ends at the first choice longer than all targets.',
        ('tests/packers_test.py::test_the_longest_choice_fits',),
    ),
    Mutation(
        'runs-side-by-side-share-their-owners',
        PACKERS,
        'e._replace(owner=e.owner + run * owners)',
        'e._replace(owner=e.owner)',
        'Rows are chosen for fewer prompts than a sweep has.',
        (
            'tests/packers_test.py::test_runs_side_by_side_have_owners_of_their_'
            'own',
        ),
    ),
    Mutation(
        'the-shapes-of-stage-1-s-batches-alone',
        PACKERS,
        'batch_size=config.personalization.batch_size',
        'batch_size=config.batch_size',
        "Rows are chosen for other batches than stage 2's.",
        (
            'tests/packers_test.py::test_the_sample_is_of_batches_as_the_stages_'
            'have_them',
        ),
    ),
    Mutation(
        'the-mesh-is-ignored-in-shapes',
        PACKERS,
        'row_multiple=config.mesh.data',
        'row_multiple=1',
        'Grids cannot be cut along the data axis of the mesh.',
        (
            'tests/packers_test.py::test_rows_are_a_multiple_of_the_mesh_s_data_'
            'axis',
        ),
    ),
)
