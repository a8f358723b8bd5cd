"""Mistakes in what clients are given: texts as tokens, batches, rows."""

from tests.mutants.mutation import Mutation

ENCODING = 'fedprompt_jax/data/encoding.py'
EXAMPLES = 'fedprompt_jax/data/examples.py'
PACKING = 'fedprompt_jax/data/packing.py'
SHAPES = 'fedprompt_jax/data/shapes.py'
STORE = 'fedprompt_jax/data/store.py'
TEMPLATE = 'fedprompt_jax/data/template.py'
TOKENIZING = 'fedprompt_jax/data/tokenizing.py'

MUTATIONS = (
    # Texts become tokens.
    Mutation(
        'queries-without-bos',
        ENCODING,
        'encode([text.read for text in texts], True)',
        'encode([text.read for text in texts], False)',
        'Gemma and Llama lose much without their first token.',
        (
            'tests/seams_test.py::test_a_decoder_reads_what_transformers_and_lm_eval_read',
        ),
    ),
    Mutation(
        'answers-begin-with-bos-in-encoders',
        ENCODING,
        'self.tokenizer.encode(filled, self.causal)',
        'self.tokenizer.encode(filled, True)',
        'An answer has a token that no answer has.',
        ('tests/objectives_test.py',),
    ),
    Mutation(
        'decoders-read-an-end-before-the-answer',
        ENCODING,
        'self.end = [] if self.causal else [tokenizer.eos_id]',
        'self.end = [tokenizer.eos_id]',
        'A decoder reads an end of the text before it answers.',
        (
            'tests/sampling_test.py::test_the_store_has_the_words_of_its_instances',
        ),
    ),
    Mutation(
        'spaces-stay-with-the-query',
        ENCODING,
        'return QueryText(*template_lib.give_spaces(whole, []), body)',
        'return QueryText(whole, [], body)',
        'A decoder reads a space and then a word, as no text has it.',
        (
            'tests/seams_test.py::test_a_decoder_reads_what_transformers_and_lm_eval_read',
        ),
    ),
    Mutation(
        'spaces-stay-with-an-encoder-s-query',
        ENCODING,
        'if self.masked:  # an answer',
        'if not self.causal:  # an answer',
        'A T5 reads a space and writes a word without one.',
        ('tests/seams_test.py::test_spaces_that_end_a_query_are_the_answer_s',),
    ),
    Mutation(
        'the-last-reference-is-trained-on',
        ENCODING,
        'answers = [(x.outputs[0], *x.choices)',
        'answers = [(x.outputs[-1], *x.choices)',
        'Training targets are others than the paper takes.',
        (
            'tests/sampling_test.py::test_the_store_has_the_words_of_its_instances',
        ),
    ),
    Mutation(
        'a-template-s-definition-is-the-task-s-name',
        ENCODING,
        'self.text(task.definition, x.input',
        'self.text(task.name, x.input',
        'Queries have no instruction.',
        (
            'tests/sampling_test.py::test_a_template_has_each_field_of_its_instance',
        ),
    ),
    Mutation(
        'pair-and-input-swapped',
        ENCODING,
        'input=input, definition=definition, pair=pair',
        'input=pair, definition=definition, pair=input',
        'Premise and hypothesis are exchanged.',
        (
            'tests/sampling_test.py::test_a_template_has_each_field_of_its_instance',
        ),
    ),
    Mutation(
        'a-long-query-loses-its-separator',
        ENCODING,
        'return [*query[: most - len(tail)], *tail]',
        'return query[:most]',
        'A long query does not say that an answer follows.',
        (
            'tests/sampling_test.py::test_a_long_query_loses_its_end_and_keeps_its_separator',
        ),
    ),
    Mutation(
        'a-long-query-loses-its-beginning',
        ENCODING,
        '*query[: most - len(tail)], *tail',
        '*query[-most : -len(tail)], *tail',
        'A long query loses its first token and its instruction.',
        (
            'tests/sampling_test.py::test_a_long_query_loses_its_end_and_keeps_its_separator',
        ),
    ),
    Mutation(
        'a-query-that-just-fits-is-counted-as-cut',
        ENCODING,
        'if len(query) <= most:',
        'if len(query) < most:',
        'The warning of truncated queries counts whole ones.',
        (
            'tests/sampling_test.py::test_a_text_that_just_fits_is_not_truncated',
        ),
    ),
    Mutation(
        'a-separator-may-fill-the-query',
        ENCODING,
        'if tokens >= self.template.max_query:',
        'if tokens > self.template.max_query:',
        'All queries are the separator alone.',
        ('tests/sampling_test.py::test_a_separator_without_room_is_an_error',),
    ),
    Mutation(
        'answers-without-a-token-are-taken',
        ENCODING,
        'if len(whole) <= len(query):',
        'if len(whole) < len(query):',
        'A client trains on the end token alone.',
        (
            'tests/seams_test.py::test_an_answer_that_melts_into_the_query_is_counted',
        ),
    ),
    Mutation(
        'merged-answers-are-not-counted',
        ENCODING,
        'self.merged += 1',
        'self.merged += 0',
        'Nobody hears that answers are read otherwise than written.',
        (
            'tests/seams_test.py::test_an_answer_that_melts_into_the_query_is_counted',
        ),
    ),
    # Templates.
    Mutation(
        'fields-in-values-are-replaced-too',
        TEMPLATE,
        '_FIELD.sub(lambda match: values[match[1]], part)',
        '_FIELD.sub(\n'
        '            lambda m: _FIELD.sub(lambda n: values.get(n[1], n[0]),\n'
        '                                 values[m[1]]), part)',
        'A text that speaks of {input} has another one put into it.',
        (
            'tests/sampling_test.py::test_a_template_has_each_field_of_its_instance',
        ),
    ),
    Mutation(
        'line-breaks-count-as-spaces',
        TEMPLATE,
        "query[-1].rstrip(' ')",
        'query[-1].rstrip()',
        'A separator that is a line break goes to the answer.',
        (
            'tests/seams_test.py::test_a_decoder_reads_what_transformers_and_lm_eval_read',
        ),
    ),
    Mutation(
        'a-mask-is-asked-of-any-tokenizer',
        TEMPLATE,
        'if i and tokenizer.mask_id is None:',
        'if False:',
        'A decoder is given None as a token.',
        (
            'tests/sources_test.py::test_the_mask_of_a_template_is_the_tokenizer_s',
        ),
    ),
    Mutation(
        'a-template-needs-no-input',
        TEMPLATE,
        'if needed not in fields:',
        'if needed not in known:',
        'All queries are the same text.',
        (
            'tests/config_test.py::test_all_faults_are_told_together',
            'tests/config_test.py::test_faults_between_two_keys',
        ),
    ),
    # The arrays of a store.
    Mutation(
        'a-truncated-target-ends',
        TOKENIZING,
        'target = target[: self.template.max_target]',
        'target = [*target[: self.template.max_target - 1], target[-1]]',
        'A prompt learns to stop in mid-sentence.',
        (
            'tests/sampling_test.py::test_a_long_query_loses_its_end_and_keeps_its_separator',
        ),
    ),
    Mutation(
        'a-target-has-no-end',
        TOKENIZING,
        'target = [*target, self.tokenizer.eos_id]',
        'target = [*target]',
        'A prompt does not learn to stop.',
        (
            'tests/sampling_test.py::test_the_store_has_the_words_of_its_instances',
        ),
    ),
    Mutation(
        'a-target-that-just-fits-is-counted-as-cut',
        TOKENIZING,
        '+= len(target) > self.template.max_target',
        '+= len(target) >= self.template.max_target',
        'The warning of truncated targets counts whole ones.',
        (
            'tests/sampling_test.py::test_a_text_that_just_fits_is_not_truncated',
        ),
    ),
    Mutation(
        'instances-stay-in-the-order-of-the-file',
        TOKENIZING,
        'tuple(sorted(task.instances, key=content))',
        'tuple(task.instances)',
        'Draws depend on the order of the rows of a table.',
        (
            'tests/client_names_test.py::test_the_order_of_a_table_changes_no_draw',
        ),
    ),
    Mutation(
        'a-canonical-order-without-clients',
        TOKENIZING,
        'return x.client, x.input, x.outputs, x.pair, x.choices',
        'return x.input, x.outputs, x.pair, x.choices',
        'Clients of equal examples are drawn by the order of the lines.',
        (
            'tests/client_names_test.py::test_equal_examples_of_two_clients_are_told_apart',
        ),
    ),
    Mutation(
        'choices-are-no-tokens-of-the-data',
        TOKENIZING,
        'for row in (ids.query, ids.target, *ids.choices):',
        'for row in (ids.query, ids.target):',
        'A choice has a token without an embedding, and its loss is another.',
        ('tests/choices_test.py::test_the_largest_token_may_be_in_a_choice',),
    ),
    Mutation(
        'choices-too-long-are-taken',
        TOKENIZING,
        'if not 0 < len(tokens) <= self.template.max_target:',
        'if not len(tokens):',
        'Rows are made for targets that are longer than max_target.',
        ('tests/sources_test.py::test_a_choice_must_have_tokens_and_fit',),
    ),
    Mutation(
        'one-mask-for-a-word-of-many-tokens',
        TOKENIZING,
        'if masks and masks == len(target):',
        'if masks:',
        'Words of several tokens are scored by their first.',
        ('tests/objectives_test.py::test_words_and_masks_must_agree',),
    ),
    Mutation(
        'clients-in-the-order-of-appearance',
        TOKENIZING,
        '] = np.arange(len(names))',
        '] = [clients[name] for name in names]',
        "A client's results stand under another's name.",
        (
            'tests/client_names_test.py::test_the_names_of_held_out_clients_are_those_of_their_rows',
        ),
    ),
    Mutation(
        'every-instance-is-of-the-first-task',
        TOKENIZING,
        'np.full(n, len(self.tasks), np.int32)',
        'np.full(n, 0, np.int32)',
        'No task is held out.',
        (
            'tests/sampling_test.py::test_the_store_has_the_words_of_its_instances',
        ),
    ),
    Mutation(
        'a-store-of-another-objective-is-opened',
        STORE,
        'json.dumps([*parts, objective, dataclasses.astuple(template)])',
        'json.dumps([*parts, dataclasses.astuple(template)])',
        'A T5 reads queries without their end, made for a decoder.',
        ('tests/objectives_test.py::test_objectives_do_not_share_a_store',),
    ),
    Mutation(
        'a-store-of-another-template-is-opened',
        STORE,
        'dataclasses.astuple(template)',
        'template.text',
        'A run with another max_query or separator reads the old tokens.',
        (
            'tests/sampling_test.py::test_the_fingerprint_follows_data_tokenizer_and_template',
        ),
    ),
    Mutation(
        'a-decoder-predicts-from-the-token-before-the-end',
        STORE,
        'np.full(len(target), len(query) - 1)',
        'np.full(len(target), len(query) - 2)',
        "T5's decoder is given other positions than it is trained at.",
        (
            'tests/objectives_test.py::test_a_decoder_predicts_from_the_end_of_the_query',
        ),
    ),
    Mutation(
        'the-last-choice-is-lost',
        STORE,
        'self.choice_starts[first : last + 1]',
        'self.choice_starts[first:last]',
        'The last choice is never right.',
        (
            'tests/choices_test.py::test_the_example_of_an_instance_has_all_that_is_scored',
        ),
    ),
    Mutation(
        'a-choice-is-scored-as-the-target',
        STORE,
        'target = self.target(i) if target is None else target',
        'target = self.target(i)',
        'All choices are as likely.',
        (
            'tests/choices_test.py::test_the_example_of_an_instance_has_all_that_is_scored',
        ),
    ),
    Mutation(
        'scored-lengths-of-choices-alone',
        STORE,
        'longest[some] = np.maximum(longest[some], chosen)',
        'longest[some] = chosen',
        'A target fits no row, and a run ends with an error.',
        ('tests/sources_test.py::test_a_source_fits_a_store',),
    ),
    Mutation(
        'an-encoder-s-row-has-its-targets-in-it',
        STORE,
        "more = targets - 1 if self.objective == 'causal_lm' else 0",
        'more = targets - 1',
        'Rows of encoders are longer than their texts.',
        (
            'tests/objectives_test.py::test_a_row_is_as_long_as_what_its_model_reads',
        ),
    ),
    Mutation(
        'a-row-has-its-last-target-in-it',
        STORE,
        'more = targets - 1 if',
        'more = targets if',
        'Rows are chosen for examples longer than there are.',
        (
            'tests/objectives_test.py::test_a_row_is_as_long_as_what_its_model_reads',
        ),
    ),
    # Weights of examples.
    Mutation(
        'a-mean-over-the-cohort',
        EXAMPLES,
        'weight(count[e.owner], len(e.target), tokens[e.owner])',
        'weight(len(examples), len(e.target), tokens[e.owner])',
        'Every gradient is C times too small.',
        ('tests/packing_test.py::test_weights_by_hand',),
    ),
    Mutation(
        'a-sum-over-examples',
        EXAMPLES,
        'weight=lambda examples, target, targets: 1 / (examples * target),',
        'weight=lambda examples, target, targets: 1 / target,',
        'Gradients grow with the batch size.',
        ('tests/packing_test.py::test_weights_by_hand',),
    ),
    Mutation(
        'examples-counted-for-tokens',
        EXAMPLES,
        'tokens[e.owner] += len(e.target)',
        'tokens[e.owner] += 1',
        "loss='token' is loss='sequence'.",
        ('tests/packing_test.py::test_weights_by_hand',),
    ),
    Mutation(
        'the-last-target-is-read',
        EXAMPLES,
        '[len(t) - 1 if self.at is None else 0 for t in self.targets]',
        '[len(t) if self.at is None else 0 for t in self.targets]',
        'Rows have a token that no example has.',
        ('tests/packing_test.py::test_the_longest_example_of_the_run_fits',),
    ),
    # Rows of many owners.
    Mutation(
        'no-position-before-a-kept-example',
        PACKING,
        'first = self.prompt_length if first is None else first',
        'first = first or self.prompt_length',
        "With prefix.positions='kept' examples stand where 'shifted' has them.",
        (
            'tests/packing_test.py::test_examples_begin_at_the_first_position_that_is_asked_for',
        ),
    ),
    Mutation(
        'one-prompt-a-row-for-all-owners',
        PACKING,
        'if e.owner != owner or not self.shared:',
        'if owner is None or not self.shared:',
        "Clients train each other's prompts.",
        (
            'tests/packing_test.py::test_every_example_is_there_once_with_all_its_targets',
        ),
    ),
    Mutation(
        'one-prompt-before-examples-that-it-reads',
        PACKING,
        'if e.owner != owner or not self.shared:',
        'if e.owner != owner:',
        'A prompt of a masked model reads the first example alone.',
        (
            'tests/objectives_test.py::test_a_prompt_that_reads_stands_before_every_example',
        ),
    ),
    Mutation(
        'a-shared-prompt-is-of-one-example',
        PACKING,
        '= 0 if self.shared else segment',
        '= segment',
        'A prompt that examples share counts as part of the first of them.',
        (
            'tests/packing_test.py::test_positions_count_the_prompt_and_restart_behind_it',
        ),
    ),
    Mutation(
        'positions-count-along-the-row',
        PACKING,
        'grid.position[r, at:end] = first + e.place',
        'grid.position[r, at:end] = np.arange(at, end)',
        'An example has other positions beside others than alone.',
        (
            'tests/packing_test.py::test_positions_count_the_prompt_and_restart_behind_it',
        ),
    ),
    Mutation(
        'targets-of-the-first-example-of-a-row',
        PACKING,
        'grid.target_index[r, where] = at + e.target_index',
        'grid.target_index[r, where] = e.target_index',
        "Targets are predicted from other clients' tokens.",
        (
            'tests/packing_test.py::test_every_example_is_there_once_with_all_its_targets',
        ),
    ),
    Mutation(
        'weights-by-the-place-in-the-row',
        PACKING,
        'grid.target_weight[r, where] = weights[i]',
        'grid.target_weight[r, where] = weights[segment - 1]',
        "Examples have other examples' weights.",
        (
            'tests/packing_test.py::test_every_example_is_there_once_with_all_its_targets',
        ),
    ),
    Mutation(
        'padding-belongs-to-the-first-owner',
        PACKING,
        'target_owner=full(k, NOBODY)',
        'target_owner=full(k, 0)',
        'The first client counts padding among its tokens.',
        (
            'tests/packing_test.py::test_rows_hold_what_their_shape_says_and_padding_is_empty',
        ),
    ),
    Mutation(
        'isolation-is-ignored',
        PACKING,
        'isolate = isolate or self.one_owner',
        'isolate = self.one_owner',
        "A diverged client's NaN reaches the other clients of its row.",
        (
            'tests/packing_test.py::test_rows_hold_what_their_shape_says_and_padding_is_empty',
        ),
    ),
    Mutation(
        'two-owners-in-a-row-that-is-for-one',
        PACKING,
        'isolate = isolate or self.one_owner',
        'isolate = bool(isolate)',
        'LoRA and IA3 give some clients the adapter of another.',
        (
            'tests/packing_test.py::test_a_packer_for_single_owners_isolates_them_always',
        ),
    ),
    Mutation(
        'rows-of-an-open-window-are-counted-from-its-start',
        PACKING,
        'row, left = tried.start + best, after[best]',
        'row, left = best, after[best]',
        'In a batch of more than 512 rows, examples overwrite each other.',
        (
            'tests/packing_test.py::test_more_rows_than_are_tried_are_rows_all_the_same',
        ),
    ),
    Mutation(
        'a-new-owner-s-prompt-takes-no-room',
        PACKING,
        'owner, mine[:] = e.owner, False',
        'owner = e.owner',
        'Rows run over, or prompts are missing.',
        ('tests/packing_test.py::test_a_prompt_stands_once_a_row_and_owner',),
    ),
    Mutation(
        'room-for-targets-is-not-asked',
        PACKING,
        'fits = (after >= 0).all(1) &',
        'fits = (after[:, 0] >= 0) &',
        'A batch of many short examples ends with an error.',
        (
            'tests/packing_test.py::test_a_row_holds_no_more_targets_than_it_has_places',
        ),
    ),
    Mutation(
        'a-shape-holds-any-number-of-targets',
        PACKING,
        ' and targets <= self.targets',
        '',
        'Targets of an example are lost, or a batch ends with an error.',
        (
            'tests/packing_test.py::test_an_example_that_fits_no_shape_is_an_error',
            'tests/packing_test.py::test_short_examples_go_to_short_rows',
        ),
    ),
    Mutation(
        'an-example-as-long-as-a-row-does-not-fit',
        PACKING,
        'return prompt_length + tokens <= self.length and',
        'return prompt_length + tokens < self.length and',
        'A run ends with an error at an example that its rows are made for.',
        ('tests/packing_test.py::test_an_example_that_fills_a_row_fits',),
    ),
    Mutation(
        'the-fewest-grids-before-the-fewest-rows',
        PACKING,
        'key=lambda o: (o[0], len(o[1]))',
        'key=lambda o: (len(o[1]), o[0])',
        'Grids have more rows of padding, and a run takes longer.',
        (
            'tests/packing_test.py::test_grids_have_the_fewest_rows_of_the_compiled_sizes',
        ),
    ),
    Mutation(
        'losses-of-other-processes-are-nobody-s',
        PACKING,
        'grid.target_number[r, : len(written)] = written',
        'grid.target_number[r, : len(written)] = NOBODY',
        'With several processes, losses of most clients are 0.',
        (
            'tests/packing_test.py::test_a_process_reads_the_examples_of_its_rows_alone',
        ),
    ),
    # Their shapes.
    Mutation(
        'rows-by-no-multiple-of-the-mesh',
        SHAPES,
        'sorted({min(_up(n, multiple), most) for n in asked})',
        'sorted({min(n, most) for n in asked})',
        'Grids cannot be cut along the data axis of the mesh.',
        (
            'tests/packing_test.py::test_a_run_compiles_few_shapes_whatever_its_cohorts',
        ),
    ),
    Mutation(
        'max-tokens-is-ignored',
        SHAPES,
        'counts.max_tokens // shape.length',
        '10**6',
        'config.packing.max_tokens does not limit memory.',
        (
            'tests/packing_test.py::test_a_run_compiles_few_shapes_whatever_its_cohorts',
        ),
    ),
    Mutation(
        'room-for-the-longest-without-its-prompt',
        SHAPES,
        '_row_lengths(sizes, packer.prompt_length + longest[0], packer),',
        '_row_lengths(sizes, longest[0], packer),',
        'A run ends at the first example that is as long as allowed.',
        ('tests/packing_test.py::test_the_longest_example_of_the_run_fits',),
    ),
    Mutation(
        'room-for-most-targets-alone',
        SHAPES,
        'one = longest[1] if last else np.quantile(mine[:, 1], 0.98)',
        'one = np.quantile(mine[:, 1], 0.98)',
        'A run ends at the first example of many targets.',
        ('tests/packing_test.py::test_the_longest_example_of_the_run_fits',),
    ),
    Mutation(
        'attention-costs-nothing',
        SHAPES,
        'attention = shape.length / self.attention_scale',
        'attention = 0 * shape.length / self.attention_scale',
        'Rows are longer than is quick.',
        ('tests/packing_test.py::test_costly_attention_makes_rows_short',),
    ),
)
