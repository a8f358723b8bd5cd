"""Mistakes in official splits, the server's data and stages before rounds."""

from tests.mutants.mutation import Mutation

_DEAL = 'fedprompt_jax/data/official.py'
_NAMES = 'fedprompt_jax/data/tables/official.py'
_TABLE = 'fedprompt_jax/data/tables/table.py'
_HELD_OUT = 'fedprompt_jax/experiment/held_out.py'
_POPULATIONS = 'fedprompt_jax/experiment/populations.py'
_PARTITIONS = 'fedprompt_jax/data/partitions.py'
_BEFORE = 'fedprompt_jax/experiment/before_rounds.py'
_BUILD = 'fedprompt_jax/experiment/build.py'
_OWN_BASE = 'fedprompt_jax/federated/own_base.py'
_TESTS = 'tests/official_test.py::'
_SHARDS = 'tests/iid_test.py::'
_STAGES = 'tests/before_rounds_test.py::'
_CHOSEN = _TESTS + 'test_no_prompt_is_chosen_on_what_it_is_tested_on'
_MIXTURE = _TESTS + 'test_a_client_gets_of_each_kind_what_it_trains_on'
_ALONE = _STAGES + 'test_owners_with_bases_of_their_own_are_each_alone'
_SAME = _STAGES + 'test_stopped_in_a_stage_or_after_it_the_run_is_the_same'
_AUXILIARY = (
    _STAGES + 'test_another_model_reads_the_same_instances_in_its_own_tokens'
)

MUTATIONS = (
    Mutation(
        'a-missing-test-split-is-also-that-of-validation',
        _DEAL,
        '    count = max(1,',
        "    if lacking == ['test']:\n"
        "        return parts, ('',)\n"
        '    count = max(1,',
        'A prompt is chosen on what it is tested on.',
        (_CHOSEN,),
    ),
    Mutation(
        'validation-stays-in-training',
        _DEAL,
        "parts['train'] = np.sort(order[count:])",
        "parts['train'] = np.sort(order)",
        'A prompt is chosen on what it was trained on.',
        (_CHOSEN,),
    ),
    Mutation(
        'official-examples-in-equal-shares',
        _DEAL,
        'np.rint(reached * there / total)',
        'np.rint((np.arange(len(kinds)) - first + 1) * there / (last - first))',
        'A client is scored on labels that it has hardly seen.',
        (_MIXTURE,),
    ),
    Mutation(
        'kinds-that-nobody-trains-on-are-dealt',
        _DEAL,
        'order = order[np.isin(kind_of[order], kinds[kinds >= 0])]',
        'order = order[kind_of[order] >= 0]',
        'A client is scored on labels that it never saw.',
        (_MIXTURE, _TESTS + 'test_each_instance_goes_to_one_client'),
    ),
    Mutation(
        'official-shares-without-the-seed',
        _DEAL,
        "randomness.generator(seed, 'official shares')",
        "randomness.generator(0, 'official shares')",
        'Seeds are not independent.',
        (_TESTS + 'test_which_instances_a_client_gets_is_drawn_by_the_seed',),
    ),
    Mutation(
        'dev-files-are-training-data',
        _NAMES,
        "'dev': 'validation',",
        "'dev': 'train',",
        'Validation examples are trained on.',
        (_TESTS + 'test_the_name_of_a_file_says_its_split',),
    ),
    Mutation(
        'a-name-of-two-splits-is-one-of-them',
        _NAMES,
        '        if len(there) != 1:\n            says',
        '        if not there:\n            says',
        'Test examples may be trained on.',
        (_TESTS + 'test_files_of_no_split_are_named',),
    ),
    Mutation(
        'the-splits-of-files-are-in-another-order',
        _TABLE,
        'dataclasses.replace(part, split=split_of[file])',
        'dataclasses.replace(part, split=[*split_of.values()][-1])',
        'All examples are of one split.',
        (_TESTS + 'test_the_instances_of_a_split_are_those_of_its_file',),
    ),
    Mutation(
        'global-scores-of-the-validation-split',
        _HELD_OUT,
        'rng.permutation(official[wanted.split])',
        "rng.permutation(official['validation'])",
        'The global score is over what chose the prompt.',
        (_TESTS + 'test_clients_are_scored_on_labels_that_they_train_on',),
    ),
    Mutation(
        'training-clients-are-called-held-out',
        _HELD_OUT,
        "whose = {'local': OF_TRAINING, 'global': of_global}",
        "whose = {'local': OF_HELD_OUT, 'global': of_global}",
        'A table says that its clients were in no cohort.',
        (_TESTS + 'test_every_row_says_whose_examples_it_is_over',),
    ),
    Mutation(
        'validation-shares-of-the-test-split',
        _POPULATIONS,
        'official.deal(train, kind_of, parts[name], config.seed)',
        "official.deal(train, kind_of, parts['test'], config.seed)",
        'The prompt is chosen on the test examples.',
        (_TESTS + 'test_clients_are_scored_on_labels_that_they_train_on',),
    ),
    Mutation(
        'the-server-s-examples-stay-with-their-clients',
        _POPULATIONS,
        "clients=made.clients | {'train': train}, server=server",
        'server=server',
        'The server holds what clients train on.',
        (_TESTS + 'test_the_share_of_the_server_is_of_the_training_data',),
    ),
    Mutation(
        'the-server-may-take-all-of-a-client',
        _PARTITIONS,
        'taken[clients.starts[:-1][(left == 0) & (clients.sizes > 0)]] = False',
        'pass',
        'A client of a cohort has no example.',
        (_TESTS + 'test_all_but_one_instance_of_a_client_may_be_the_server_s',),
    ),
    Mutation(
        'the-server-s-batches-are-those-of-round-0',
        _BUILD,
        'cohort(config, data, [data.server], 1, round).steps',
        'cohort(config, data, [data.server], 1, 0).steps',
        'The server trains on the same examples in every round.',
        (_TESTS + 'test_the_server_s_batches_are_as_many_as_a_client_s',),
    ),
    Mutation(
        'a-stage-begins-anew',
        _BEFORE,
        '    if state is None:\n        state = start\n',
        '    state = start\n',
        'A stopped stage is trained twice.',
        (_SAME,),
    ),
    Mutation(
        'what-a-stage-has-made-is-dropped',
        _BEFORE,
        'server = stage.finish(',
        'stage.finish(',
        'The stage before the rounds has no effect.',
        (_STAGES + 'test_the_rounds_begin_where_the_stage_has_ended',),
    ),
    Mutation(
        'an-own-base-is-that-of-the-first-owner',
        _OWN_BASE,
        'base_of(owner)',
        'base_of(0)',
        'Clients train on the model of another.',
        (_ALONE,),
    ),
    Mutation(
        'losses-without-the-steps-that-were-missed',
        _OWN_BASE,
        'spread.at[np.flatnonzero(has_batch)].set(values)',
        'spread.at[: len(values)].set(values)',
        'A loss is logged for another step.',
        (_ALONE,),
    ),
    Mutation(
        'the-other-model-reads-the-first-one-s-tokens',
        _BUILD,
        'cohort, other, its, clients, other.clients_per_round',
        'cohort, other, data, clients, other.clients_per_round',
        'The other model reads other words.',
        (_AUXILIARY,),
    ),
    Mutation(
        'the-first-labels-of-a-part-are-scored',
        _DEAL,
        'drawn = rng.permutation(len(instances))',
        'drawn = np.arange(len(instances))',
        'A local score is over one label of those that a client has.',
        (_TESTS + 'test_a_few_of_a_client_s_examples_are_a_sample_of_them',),
    ),
    Mutation(
        'all-splits-of-the-hub-in-the-store-of-one',
        _TABLE,
        'return tasks.fingerprint(content, sorted(split_of.items()))',
        'return content',
        'Test examples are trained on.',
        (
            'tests/sources_test.py::test_a_name_on_the_hub_has_a_config_and_a_split',
        ),
    ),
    Mutation(
        'a-stage-saves-what-is-not-a-number',
        _BEFORE,
        '        _require_finite(finite, stage, folder)\n',
        '',
        'A run that diverged in a stage can never be resumed.',
        (_STAGES + 'test_a_stage_that_turns_non_finite_leaves_its_checkpoint',),
    ),
    Mutation(
        'a-later-stage-begins-with-the-initial-prompt',
        _BEFORE,
        'stages[max(begun, default=0) :]',
        'stages',
        'Stages are trained twice, and their lines are in no order.',
        (
            _STAGES
            + 'test_of_two_stages_the_later_knows_what_the_earlier_has_made',
        ),
    ),
    Mutation(
        'rounds-are-lost-behind-a-stage',
        'fedprompt_jax/experiment/resume.py',
        'if point.stage.startswith(before_rounds.FOLDER):',
        'if False:',
        'Damaged checkpoints cost all rounds, without a word.',
        (
            _STAGES
            + 'test_rounds_are_not_lost_because_a_stage_has_a_checkpoint',
        ),
    ),
    Mutation(
        'the-first-gradients-of-a-later-step',
        _OWN_BASE,
        'local.first_grads if has_batch[0] else zeros',
        'local.first_grads',
        'The guard reads gradients at another prompt.',
        (_STAGES + 'test_an_owner_without_a_batch_stays_as_it_is',),
    ),
    Mutation(
        'shards-in-the-order-of-the-data',
        _PARTITIONS,
        "randomness.generator(seed, 'partition iid').permutation(\n"
        '        num_instances\n'
        '    )',
        'np.arange(num_instances)',
        'Clients of an IID partition differ as the rows of the file do.',
        (_SHARDS + 'test_shards_are_drawn_by_the_seed',),
    ),
    Mutation(
        'the-server-s-shard-is-taken-from-some-clients',
        _PARTITIONS,
        'clients.order[size:], _cut(total - size, count), clients.dropped',
        'clients.order[size:],\n'
        '        np.maximum(clients.starts - size, 0),\n'
        '        clients.dropped,',
        'The first clients have nothing to train on.',
        (_SHARDS + 'test_the_server_s_shard_is_one_of_eleven_equal_ones',),
    ),
    Mutation(
        'iid-clients-by-client-size',
        _POPULATIONS,
        '    if kind == partitions.IID:\n'
        '        return partitions.iid(len(instances), c.num_clients, '
        'config.seed)\n',
        '    if kind == partitions.IID:\n'
        '        return partitions.iid(len(instances), c.client_size, '
        'config.seed)\n',
        'config.data.num_clients has no effect.',
        (_SHARDS + 'test_a_config_asks_for_shards',),
    ),
    Mutation(
        'the-label-of-a-question-is-its-type',
        _POPULATIONS,
        '    if types.max() > 0:\n',
        '    if True:\n',
        'A label skew of multiple choice is none.',
        (
            _SHARDS + 'test_the_label_of_a_question_is_the_place_of_its_'
            'right_option',
        ),
    ),
)
