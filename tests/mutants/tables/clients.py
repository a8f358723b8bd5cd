"""Mistakes in who the clients are, and in who is drawn when."""

from tests.mutants.mutation import Mutation

HETEROGENEITY = 'fedprompt_jax/data/heterogeneity.py'
LISTING = 'fedprompt_jax/data/listing.py'
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
            'tests/partitions_test.py::test_dirichlet_goes_from_one_type_to_the_whole_mixture',
        ),
    ),
    Mutation(
        'dirichlet-without-alpha',
        PARTITIONS,
        'rng.dirichlet(alpha * prior)',
        'rng.dirichlet(prior)',
        'config.data.dirichlet_alpha has no effect.',
        (
            'tests/partitions_test.py::test_dirichlet_goes_from_one_type_to_the_whole_mixture',
        ),
    ),
    Mutation(
        'clients-of-a-type-rounded-down',
        PARTITIONS,
        'np.rint(sizes / client_size)',
        'np.floor(sizes / client_size)',
        "Not the 3520 clients of Profit's Table 1.",
        (
            'tests/partitions_test.py::test_every_kind_has_the_clients_that_the_types_sizes_give',
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
            'tests/partitions_test.py::test_within_a_type_sizes_differ_by_one_at_most',
            'tests/partitions_test.py::test_clients_are_cut_type_by_type_whatever_the_tasks_numbers',
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
        'Clients have other types than were drawn for them.',
        (
            'tests/partitions_test.py::test_a_client_takes_no_more_of_a_type_than_is_left',
        ),
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
            'tests/splits_test.py::test_the_paper_counts_come_out_of_snis_76_types',
        ),
    ),
    Mutation(
        'validation-and-test-types-swapped',
        SPLITS,
        "split['test'] = _listed(rest, PAPER_TEST_TYPES)",
        "split['test'] = _listed(rest, PAPER_VALIDATION_TYPES)",
        'The test types are trained on.',
        (
            'tests/splits_test.py::test_the_paper_counts_come_out_of_snis_76_types',
        ),
    ),
    Mutation(
        'a-tenth-rounded-down',
        SPLITS,
        'max(1, round(n / 10))',
        'max(1, n // 10)',
        'Splits are others than in earlier runs.',
        (
            'tests/splits_test.py::test_validation_is_a_tenth_of_the_listed_training_types',
        ),
    ),
    Mutation(
        'splits-without-the-seed',
        SPLITS,
        "randomness.generator(seed, 'task type split')",
        "randomness.generator(0, 'task type split')",
        'Seeds are not independent.',
        (
            'tests/splits_test.py::test_a_seed_decides_and_the_order_of_types_does_not',
        ),
    ),
    Mutation(
        'listed-validation-tasks-stay-in-training',
        SPLITS,
        "split = 'validation' if at == 'train' and type_ in validation else at",
        "split = 'validation' if at == 'test' and type_ in validation else at",
        'The prompt is chosen on other tasks than the lists leave for that.',
        (
            'tests/splits_test.py::test_validation_is_a_tenth_of_the_listed_training_types',
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
            'tests/splits_test.py::test_test_clients_do_not_move_with_the_validation_clients',
        ),
    ),
    Mutation(
        'clients-of-one-instance-are-held-out',
        SPLITS,
        'np.flatnonzero(np.asarray(sizes) >= 2)',
        'np.flatnonzero(np.asarray(sizes) >= 1)',
        'A held-out client has nothing to train on.',
        (
            'tests/splits_test.py::test_a_client_with_one_instance_is_not_held_out',
        ),
    ),
    Mutation(
        'fewer-clients-are-held-out-than-asked-for',
        SPLITS,
        'max(tenth, num_validation), max(tenth, num_test)',
        'max(tenth, num_validation), min(tenth, num_test)',
        'Fewer test clients than the config says.',
        (
            'tests/splits_test.py::test_a_tenth_of_the_clients_is_held_out_where_fewer_are_asked_for',
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
            'tests/randomness_test.py::test_another_seed_purpose_or_id_gives_another_stream',
        ),
    ),
    Mutation(
        'ids-of-a-draw-run-into-each-other',
        RANDOMNESS,
        'json.dumps([purpose, int(seed), *(int(i) for i in ids)])',
        "purpose + ''.join(f'{int(i)}' for i in (seed, *ids))",
        'Client 11 of round 1 is shuffled as client 1 of round 11.',
        (
            'tests/randomness_test.py::test_another_seed_purpose_or_id_gives_another_stream',
        ),
    ),
    Mutation(
        'cohorts-without-the-seed',
        SAMPLING,
        "rng = generator(seed, 'cohort', round)",
        "rng = generator(0, 'cohort', round)",
        'Seeds are not independent.',
        (
            'tests/sampling_test.py::test_the_clients_of_every_round_depend_on_the_seed_and_the_round',
        ),
    ),
    Mutation(
        'a-cohort-with-replacement',
        SAMPLING,
        'rng.choice(len(population), size, replace=False)',
        'rng.choice(len(population), size, replace=True)',
        'A client is in a cohort twice.',
        (
            'tests/sampling_test.py::test_a_cohort_is_without_replacement_and_of_the_asked_sizes',
        ),
    ),
    Mutation(
        'num-examples-of-other-clients',
        SAMPLING,
        'len(population[c]) for c in clients',
        'len(population[c]) for c in range(len(clients))',
        "aggregation='examples' weighs clients by others' sizes.",
        (
            'tests/sampling_test.py::test_a_cohort_is_without_replacement_and_of_the_asked_sizes',
        ),
    ),
    Mutation(
        'every-local-step-has-the-first-batch',
        SAMPLING,
        'for i in batches[s]',
        'for i in batches[0]',
        'Local steps repeat one batch.',
        (
            'tests/sampling_test.py::test_pooled_data_goes_on_where_the_last_round_ended',
        ),
    ),
    Mutation(
        'pooled-rounds-overlap',
        SAMPLING,
        'round * num_steps * batch_size if alone',
        'round * batch_size if alone',
        'Centralized training sees examples again before it has seen all.',
        (
            'tests/sampling_test.py::test_pooled_data_goes_on_where_the_last_round_ended',
        ),
    ),
    Mutation(
        'every-pooled-round-begins-anew',
        SAMPLING,
        'name = (0, client) if alone else (round, client)',
        'name = (round, client)',
        'Centralized training sees examples again before it has seen all.',
        (
            'tests/sampling_test.py::test_pooled_data_goes_on_where_the_last_round_ended',
        ),
    ),
    Mutation(
        'batches-without-the-seed',
        SAMPLING,
        'generator(seed, purpose, *name, number)',
        'generator(0, purpose, *name, number)',
        'Seeds are not independent.',
        (
            'tests/sampling_test.py::test_a_pass_is_a_function_of_seed_round_and_client',
        ),
    ),
    Mutation(
        'clients-are-shuffled-alike',
        SAMPLING,
        'generator(seed, purpose, *name, number)',
        'generator(seed, purpose, *name[:1], number)',
        'Clients of one size are shuffled alike.',
        (
            'tests/sampling_test.py::test_a_pass_is_a_function_of_seed_round_and_client',
        ),
    ),
    Mutation(
        'every-pass-in-the-same-order',
        SAMPLING,
        'generator(seed, purpose, *name, number)',
        'generator(seed, purpose, *name)',
        'Batches repeat.',
        (
            'tests/sampling_test.py::test_a_pass_is_without_replacement_and_passes_differ',
        ),
    ),
    Mutation(
        'every-epoch-in-the-same-order',
        SAMPLING,
        "('epoch', epoch) if round is None",
        "('epoch', 0) if round is None",
        'Batches repeat.',
        (
            'tests/sampling_test.py::test_an_epoch_is_a_function_of_seed_epoch_and_client',
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
            'tests/partitions_test.py::test_kl_is_from_the_distribution_of_instances_and_not_of_clients',
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
            'tests/client_names_test.py::test_a_listing_shows_the_first_names_and_counts_the_others',
        ),
    ),
)
