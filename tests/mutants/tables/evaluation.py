"""Mistakes in generated text, its scores, and statistics of partitions."""

from tests.mutants.mutation import Mutation

CAUSAL = 'fedprompt_jax/evaluation/causal.py'
CHOICES = 'fedprompt_jax/evaluation/choices.py'
DECODING = 'fedprompt_jax/evaluation/decoding.py'
GENERATION = 'fedprompt_jax/evaluation/generation.py'
MERGED = 'fedprompt_jax/study/merged.py'
SCORING = 'fedprompt_jax/evaluation/scoring.py'
SEQ2SEQ = 'fedprompt_jax/evaluation/seq2seq.py'
TEXT_SCORES = 'fedprompt_jax/evaluation/text_scores.py'
UNITS = 'fedprompt_jax/evaluation/units.py'
STATS = 'fedprompt_jax/stats.py'

GREEDY = (
    'tests/generation_test.py::'
    'test_cached_greedy_is_a_forward_pass_for_every_token'
)
ENDS = (
    'tests/generation_test.py::'
    'test_an_end_token_stops_its_own_row_and_is_left_out'
)
PLAIN_CALL = (
    'tests/peft_test.py::test_generation_is_a_plain_call_for_every_token'
)
BEGINS = 'tests/beginnings_test.py::test_the_first_tokens_read_as_a_reference'
BY_HAND = 'tests/choices_test.py::test_the_likeliest_by_hand'
PLAIN_LOOP = (
    'tests/choices_test.py::test_each_choice_s_loss_is_that_of_a_plain_loop'
)
CHEAPEST = (
    'tests/generation_test.py::test_batches_are_the_cheapest_of_all_choices'
)
BATCH_HOLDS = (
    'tests/generation_test.py::'
    'test_a_batch_holds_its_queries_and_no_more_tokens_than_allowed'
)
SUMS = 'tests/scoring_test.py::test_a_loss_is_the_sum_over_its_targets'
ROUGE = 'tests/scoring_test.py::test_rouge_l_by_hand'
MATCH = 'tests/scoring_test.py::test_exact_match_by_hand'
REFERENCES = (
    'tests/scoring_test.py::test_a_prediction_is_compared_with_every_reference'
)
MEAN = 'tests/scoring_test.py::test_mean_loss_averages_as_the_convention_says'
BROKEN = (
    'tests/scoring_test.py::'
    'test_a_non_finite_owner_has_no_score_and_harms_nobody'
)
SCRIPTS = (
    'tests/units_test.py::test_a_text_is_worth_100_against_itself_and_no_other'
)
SIGNS = 'tests/units_test.py::test_exact_match_of_signs_is_to_the_letter'
ENGLISH = (
    'tests/units_test.py::'
    'test_declared_english_is_sni_s_score_wherever_it_has_words'
)
COUNTED = (
    'tests/units_test.py::test_a_warning_counts_what_is_not_the_paper_s_score'
)
ROWS = (
    'tests/stats_test.py::'
    'test_a_row_per_partition_and_the_reasons_of_what_was_dropped'
)
PRINTED = 'tests/stats_test.py::test_the_printed_table_says_the_same'
TOGETHER = 'tests/rendezvous_test.py::test_scoring_together_is_scoring_alone'

_ANCHORS = 'fedprompt_jax/evaluation/anchors.py'

MUTATIONS = (
    Mutation(
        'copy-takes-the-last-place-that-is-as-good',
        _ANCHORS,
        'place = max(places(), key=worth) if records else None',
        'place = max(places()[::-1], key=worth) if records else None',
        'The anchor depends on words that happen to be there.',
        (
            'tests/anchors_test.py::test_copy_takes_the_whole_input_where_'
            'nothing_fits',
        ),
    ),
    Mutation(
        'copy-is-fitted-on-nothing',
        _ANCHORS,
        'place = max(places(), key=worth) if records else None',
        'place = None',
        'The anchor is weaker than it should be.',
        (
            'tests/anchors_test.py::test_copy_takes_the_place_that_fits_its_'
            'examples',
        ),
    ),
    Mutation(
        'the-majority-counts-all-references',
        _ANCHORS,
        "[store.record(int(i))['outputs'][0] for i in instances]",
        "[x for i in instances for x in store.record(int(i))['outputs']]",
        'The anchor answers with second references.',
        (
            'tests/anchors_test.py::test_the_majority_is_the_most_frequent_'
            'first_output',
        ),
    ),
    Mutation(
        'an-anchor-answers-what-is-no-choice',
        _ANCHORS,
        'if not choices:\n        return text',
        'if True:\n        return text',
        'Accuracy of the anchors is 0.',
        ('tests/anchors_test.py::test_an_answer_is_one_of_the_choices',),
    ),
    Mutation(
        'anchors-are-the-first-client-s',
        _ANCHORS,
        'self.answers[r.owner](record)',
        'self.answers[0](record)',
        'The anchors of all clients are of one client.',
        (
            'tests/anchors_test.py::test_scores_are_those_of_the_answers_of_'
            'each_owner',
        ),
    ),
    Mutation(
        'anchors-are-fitted-on-what-is-scored',
        'fedprompt_jax/experiment/personalize.py',
        'for train in held_out.train]',
        'for train in held_out.local]',
        'The anchors know the answers.',
        ('tests/whole_run_test.py::test_the_table_has_pytorch_s_rows',),
    ),
    # causal.py
    Mutation(
        'outputs-placed-behind-the-padding',
        CAUSAL,
        '_tokens(first + end + step - 1)',
        '_tokens(first + padded + jnp.zeros_like(end) + step - 1)',
        'Short queries of a batch are answered as if there were a gap.',
        (GREEDY,),
    ),
    Mutation(
        'written-tokens-are-behind-the-padding',
        CAUSAL,
        '_tokens(first + end + output),',
        '_tokens(first + padded + 0 * end + output),',
        'A short query sees more than a sliding window of its output.',
        (
            'tests/generation_test.py::test_a_window_ends_as_far_behind_'
            'an_output_in_any_batch',
        ),
    ),
    Mutation(
        'output-placed-one-too-far',
        CAUSAL,
        '_tokens(first + end + step - 1)',
        '_tokens(first + end + step)',
        'Every token after the first is written from a wrong position.',
        (GREEDY,),
    ),
    Mutation(
        'padding-of-a-query-is-read',
        CAUSAL,
        'column < end,',
        'column <= end,',
        'Outputs depend on which queries are in the batch.',
        (GREEDY,),
    ),
    Mutation(
        'last-written-token-is-not-read',
        CAUSAL,
        'output < step - 1,',
        'output < step - 2,',
        'Every token after the second is written from a gap.',
        (GREEDY,),
    ),
    Mutation(
        'first-token-from-the-last-but-one',
        CAUSAL,
        'last = jnp.maximum(end - 1, 0)[..., None]',
        'last = jnp.maximum(end - 2, 0)[..., None]',
        'An output does not answer the end of its query.',
        (GREEDY,),
    ),
    Mutation(
        'query-sees-its-own-future',
        CAUSAL,
        'mask = jnp.tril(jnp.ones((padded, slots + padded), bool), slots)',
        'mask = jnp.tril(jnp.ones((padded, slots + padded), bool), slots + 1)',
        'Generation reads another model than training trains.',
        (GREEDY,),
    ),
    Mutation(
        'slots-see-later-slots',
        CAUSAL,
        'mask = jnp.tril(jnp.ones((owners, slots, slots), bool))',
        'mask = jnp.ones((owners, slots, slots), bool)',
        'A prompt is read otherwise in generation than in training.',
        (GREEDY,),
    ),
    Mutation(
        'slot-takes-its-owner-s-number',
        CAUSAL,
        'return Places(slot, owner, slot)',
        'return Places(owner, owner, slot)',
        'Positions of the prompt depend on which client it is.',
        (GREEDY,),
    ),
    Mutation(
        'generation-ignores-first-position',
        CAUSAL,
        'query_places = _tokens(first + column)',
        'query_places = _tokens(column)',
        'Queries are read from position 0, where training reads from P.',
        (GREEDY,),
    ),
    # choices.py
    Mutation(
        'least-likely-choice',
        CHOICES,
        'return int(np.argmin(',
        'return int(np.argmax(',
        'Accuracy is that of the worst answers.',
        (BY_HAND,),
    ),
    Mutation(
        'bytes-for-characters',
        CHOICES,
        'max(1, len(text))',
        'max(1, len(text.encode()))',
        'acc_norm of choices that are not ASCII.',
        (
            'tests/choices_test.py::test_a_choice_has_as_many_characters_'
            'as_letters_however_many_bytes',
        ),
    ),
    Mutation(
        'characters-for-bytes',
        CHOICES,
        'max(1, len(text.encode()))',
        'max(1, len(text))',
        'acc_bytes of choices that are not ASCII.',
        ('tests/choices_test.py::test_bytes_are_more_than_characters',),
    ),
    Mutation(
        'token-rule-is-a-sum',
        CHOICES,
        "'token': tokens,",
        "'token': [1] * len(texts),",
        "FedPepTAO's accuracy favours short answers.",
        (BY_HAND,),
    ),
    Mutation(
        'choices-of-the-first-owner',
        CHOICES,
        'made.append(store.example(owner, instance, target=target))',
        'made.append(store.example(0, instance, target=target))',
        "What is planned for scoring packs other clients' rows.",
        (
            'tests/choices_test.py::'
            'test_the_example_of_an_instance_has_all_that_is_scored',
        ),
    ),
    # decoding.py
    Mutation(
        'only-the-first-end-token-ends',
        DECODING,
        'return jnp.isin(token, jnp.array(eos_ids))',
        'return token == end',
        'Chat models have several; rows are decoded to the very end.',
        ('tests/generation_test.py::test_decoding_stops_when_all_have_ended',),
    ),
    Mutation(
        'decoding-stops-with-the-first-row',
        DECODING,
        '& ~state.done.all()',
        '& ~state.done.any()',
        'One short answer cuts all others of its batch.',
        (ENDS,),
    ),
    Mutation(
        'one-token-too-few-is-written',
        DECODING,
        'return (state.step < max_new_tokens)',
        'return (state.step < max_new_tokens - 1)',
        'Answers lack their last token.',
        (GREEDY,),
    ),
    Mutation(
        'keys-are-written-one-too-far',
        DECODING,
        'keys.at[:, :, :, at - 1].set(key)',
        'keys.at[:, :, :, at].set(key)',
        'Outputs are written from a gap.',
        (GREEDY,),
    ),
    Mutation(
        'least-likely-token',
        DECODING,
        'token = jnp.argmax(bound.logits(hidden[:, 0]), axis=-1)',
        'token = jnp.argmin(bound.logits(hidden[:, 0]), axis=-1)',
        'Greedy text is nonsense.',
        (GREEDY,),
    ),
    # generation.py
    Mutation(
        'text-ends-at-the-first-end-token-alone',
        GENERATION,
        'np.flatnonzero(np.isin(row, eos_ids))',
        'np.flatnonzero(row == eos_ids[0])',
        "A chat model's other end tokens are part of the text.",
        (ENDS,),
    ),
    Mutation(
        'end-token-is-part-of-the-text',
        GENERATION,
        'return row[: ends[0]] if len(ends) else row',
        'return row[: ends[0] + 1] if len(ends) else row',
        'ROUGE-L of texts with an end marker, and one output token too many.',
        (ENDS,),
    ),
    Mutation(
        'outputs-in-the-order-of-lengths',
        GENERATION,
        'for i, row in zip(chosen, tokens, strict=False):',
        'for i, row in zip(sorted(chosen), tokens, strict=False):',
        'Answers are compared with the references of other queries.',
        (GREEDY,),
    ),
    Mutation(
        'prompts-of-the-first-owner',
        GENERATION,
        'past = jax.tree.map(lambda x: x[:, owner], cache)',
        'past = jax.tree.map(lambda x: x[:, owner * 0], cache)',
        "All texts are written behind one client's prompt.",
        (GREEDY,),
    ),
    Mutation(
        'owners-of-trained-parameters-are-mixed',
        GENERATION,
        'return jax.tree.map(lambda x: x[owner], bank)',
        'return jax.tree.map(lambda x: x[owner * 0], bank)',
        "With LoRA or IA3, all texts are written by one client's.",
        (PLAIN_CALL,),
    ),
    Mutation(
        'batch-size-is-ignored',
        GENERATION,
        'most = max(1, min(most_rows, max_tokens // length))',
        'most = max(1, max_tokens // length)',
        'Memory is not bounded by config.evaluation.batch_size.',
        (CHEAPEST,),
    ),
    Mutation(
        'token-limit-is-ignored',
        GENERATION,
        'most = max(1, min(most_rows, max_tokens // length))',
        'most = max(1, most_rows)',
        'Memory is not bounded by config.packing.max_tokens.',
        (BATCH_HOLDS,),
    ),
    Mutation(
        'length-of-a-batch-is-its-shortest-query-s',
        GENERATION,
        'rows, lengths = len(mine), [len(q.tokens) for q in queries]\n'
        '    tokens = np.zeros((rows, padded_length(max(lengths))), np.int32)',
        'rows, lengths = len(mine), [len(q.tokens) for q in queries]\n'
        '    tokens = np.zeros((rows, padded_length(lengths[-1])), np.int32)',
        'Mixed lengths do not fit in their batch.',
        ('tests/generation_test.py::test_the_batch_does_not_matter',),
    ),
    Mutation(
        'cheapest-batch-forgets-the-rest',
        GENERATION,
        '+ best[min(total, i + rows)]',
        '+ best[min(total, i + 1)]',
        'Scoring takes longer than it must.',
        (CHEAPEST,),
    ),
    Mutation(
        'rows-are-no-multiple-of-the-mesh',
        GENERATION,
        'options = {-(-max(1, most >> k) // multiple) * multiple '
        'for k in HALVES}',
        'options = {max(1, most >> k) for k in HALVES}',
        'Batches do not divide over the data axis of the mesh.',
        (CHEAPEST,),
    ),
    Mutation(
        'padded-length-falls-short',
        GENERATION,
        'while size < length:',
        'while size * 4 // 3 < length:',
        'The longest queries do not fit.',
        (
            'tests/generation_test.py::'
            'test_lengths_are_compiled_for_twice_an_octave',
        ),
    ),
    Mutation(
        'rows-of-other-processes-are-read',
        GENERATION,
        '        if mine[n]:\n            tokens[n, : lengths[n]]',
        '        if not mine[n]:\n            tokens[n, : lengths[n]]',
        'Queries are lost: all tokens are 0.',
        (GREEDY,),
    ),
    Mutation(
        'a-masked-model-writes-text',
        GENERATION,
        "if self.model.transformer.config.objective == 'masked_lm':",
        "if self.model.transformer.config.objective == 'masked':",
        'RoBERTa gets a ROUGE-L of noise in place of an error.',
        (PLAIN_CALL,),
    ),
    # merged.py
    Mutation(
        'merged-runs-read-the-first-run-s-prompts',
        MERGED,
        'r._replace(owner=r.owner + start)',
        'r._replace(owner=r.owner)',
        'All runs of a bank have the scores of the first.',
        (TOGETHER,),
    ),
    Mutation(
        'merged-scores-end-where-they-begin',
        MERGED,
        '(x[end - len(s.requests) : end] for x in scores)',
        '(x[: len(s.requests)] for x in scores)',
        'All runs of a bank have the scores of the first.',
        (TOGETHER,),
    ),
    Mutation(
        'merged-requests-in-another-packer',
        MERGED,
        'merged = scorings[0].evaluator._replace(packer=packer)',
        'merged = scorings[0].evaluator',
        'Long examples of another run do not fit in the rows.',
        (TOGETHER,),
    ),
    Mutation(
        'merged-bare-meets-the-trained',
        MERGED,
        'return MergedEvaluator(alone, self._participant, True), params',
        'return MergedEvaluator(alone, self._participant), params',
        'The bare row of one run is computed with prompts of another.',
        ('tests/rendezvous_test.py::test_bare_models_are_scored_apart',),
    ),
    # scoring.py
    Mutation(
        'first-reference-alone',
        SCORING,
        "return units.rouge_l(text, record['outputs'], compared, tokenizer)",
        "first = record['outputs'][:1]\n"
        '    return units.rouge_l(text, first, compared[:1], tokenizer)',
        'SNI takes the best of several references.',
        (REFERENCES,),
    ),
    Mutation(
        'exact-match-of-the-first-reference-alone',
        SCORING,
        'return units.exact_match(text, references)',
        'return units.exact_match(text, references[:1])',
        'SNI takes the best of several references.',
        (REFERENCES,),
    ),
    Mutation(
        'choices-match-without-case-and-signs',
        SCORING,
        "exact[i] = float(text == records[i]['outputs'][0])",
        "exact[i] = units.exact_match(text, records[i]['outputs'])",
        "'C#' counts as 'c'.",
        ('tests/choices_test.py::test_right_is_to_the_letter',),
    ),
    Mutation(
        'a-broken-owner-scores-zero',
        SCORING,
        'return np.where(alive, values, np.nan)',
        'return np.where(alive, values, 0.0)',
        'Means count dropped clients as clients of score 0.',
        (BROKEN,),
    ),
    Mutation(
        'alive-by-place-not-by-owner',
        SCORING,
        'alive = to_host(finite)[[r.owner for r in requests]]',
        'alive = np.resize(to_host(finite), len(requests))',
        'Healthy clients are dropped for broken ones.',
        (BROKEN,),
    ),
    Mutation(
        'target-lengths-of-the-queries',
        SCORING,
        'np.array([len(self.store.target(r.instance)) for r in requests])',
        'np.array([len(self.store.query(r.instance)) for r in requests])',
        'Losses a token are divided by other tokens.',
        (SUMS,),
    ),
    Mutation(
        'choice-losses-begin-one-too-late',
        SCORING,
        'first += len(kept)',
        'first += len(targets)',
        'Every choice has the loss of the next.',
        (PLAIN_LOOP,),
    ),
    Mutation(
        'output-tokens-of-the-right-choice',
        SCORING,
        'chosen[i] = texts[k], tokens[k]',
        'chosen[i] = texts[k], tokens[0]',
        'Counts of output tokens are of another choice.',
        (PLAIN_LOOP,),
    ),
    Mutation(
        'rule-of-choices-is-ignored',
        SCORING,
        'of_choices, texts, tokens, self.choices\n',
        "of_choices, texts, tokens, 'sum'\n",
        'config.evaluation.choices has no effect.',
        ('tests/choices_test.py::test_the_rules_differ_on_such_data',),
    ),
    Mutation(
        'loss-of-the-target-for-every-choice',
        SCORING,
        'losses[n][:size].sum()',
        'losses[n].sum()',
        'The first choice has the loss of the right answer.',
        (PLAIN_LOOP,),
    ),
    Mutation(
        'slices-overlap',
        SCORING,
        'for start in range(0, len(requests), SLICE):',
        'for start in range(0, len(requests) - SLICE // 2, SLICE):',
        'Losses of a large set lack their end.',
        ('tests/scoring_test.py::test_slices_of_requests_are_the_whole',),
    ),
    Mutation(
        'padded-targets-count',
        SCORING,
        'real = grid.target_number >= 0',
        'real = grid.target_number > 0',
        'The first example of every slice has no loss.',
        (SUMS,),
    ),
    Mutation(
        'a-poisoned-row-is-not-scored-again',
        SCORING,
        'sums = self._sums(bank, part, isolate=True)',
        'sums = self._sums(bank, part)',
        "One client's infinite numbers take the score of its neighbours.",
        (
            'tests/scoring_test.py::'
            'test_a_row_poisoned_by_an_owner_is_scored_again_apart',
        ),
    ),
    Mutation(
        'space-around-a-text-is-kept',
        SCORING,
        'yield text.strip(), output',
        'yield text, output',
        'Predictions in the log begin with a space.',
        ('tests/scoring_test.py::test_a_prediction_has_no_space_around_it',),
    ),
    Mutation(
        'loss-of-sequence-is-a-token-s',
        'fedprompt_jax/data/examples.py',
        'mean=lambda total, tokens: np.mean(total),',
        'mean=lambda total, tokens: np.mean(total / tokens),',
        'Another loss than eq. 1 of the paper.',
        (MEAN,),
    ),
    Mutation(
        'mean-over-tokens-is-over-examples',
        'fedprompt_jax/data/examples.py',
        'mean=lambda total, tokens: np.sum(total) / np.sum(tokens),',
        'mean=lambda total, tokens: np.mean(total) / np.sum(tokens),',
        'Losses of a set depend on its size.',
        (MEAN,),
    ),
    Mutation(
        'mean-of-everything',
        SCORING,
        'total, tokens = scores.loss[chosen], scores.target_tokens[chosen]',
        'total, tokens = scores.loss, scores.target_tokens',
        'All clients have the loss of all clients.',
        (MEAN,),
    ),
    Mutation(
        'bare-model-keeps-its-kind',
        SCORING,
        'generator.model = dataclasses.replace(generator.model, kind=kind)',
        'generator.model = dataclasses.replace(generator.model)',
        'The bare row is of a prompt.',
        ('tests/scoring_test.py::test_the_bare_model_reads_no_slots',),
    ),
    Mutation(
        'bare-model-takes-the-prompt-from-all',
        SCORING,
        'generator = copy.copy(self.generator)',
        'generator = self.generator',
        'After the bare row, all rows are of the bare model.',
        ('tests/scoring_test.py::test_the_bare_model_reads_no_slots',),
    ),
    # seq2seq.py
    Mutation(
        'decoder-reads-a-prefix-s-hidden-states',
        SEQ2SEQ,
        'seen = there & (~is_slot | model.kind.attends_to_text)',
        'seen = there',
        'Prefixes of T5 are more than keys and values.',
        (PLAIN_CALL,),
    ),
    Mutation(
        'encoder-reads-the-padding',
        SEQ2SEQ,
        'there = column < slots + length[:, None]',
        'there = column < slots + padded + 0 * length[:, None]',
        'Outputs of T5 depend on which queries are in the batch.',
        (PLAIN_CALL,),
    ),
    Mutation(
        'encoder-places-queries-at-zero',
        SEQ2SEQ,
        'column - slots + first),',
        'column - slots),',
        'Queries of T5 are read from other positions than in training.',
        (PLAIN_CALL,),
    ),
    Mutation(
        'decoder-does-not-see-its-last-token',
        SEQ2SEQ,
        'mask = jnp.append(column < step, True)',
        'mask = jnp.append(column < step, False)',
        'Outputs of T5 are of the tokens but the last.',
        (PLAIN_CALL,),
    ),
    Mutation(
        'decoder-places-are-one-late',
        SEQ2SEQ,
        'here, past = at(jnp.full((rows, 1), step)), [new_kv, written]',
        'here, past = at(jnp.full((rows, 1), step + 1)), [new_kv, written]',
        'Outputs of T5 are written from wrong positions.',
        (PLAIN_CALL,),
    ),
    # text_scores.py
    Mutation(
        'rouge-without-stemmer',
        TEXT_SCORES,
        "rouge_scorer.RougeScorer(['rougeL'], use_stemmer=True)",
        "rouge_scorer.RougeScorer(['rougeL'], use_stemmer=False)",
        "Not SNI's metric.",
        (ROUGE,),
    ),
    Mutation(
        'recall-for-f1',
        TEXT_SCORES,
        'return max(s.fmeasure for s in scores)',
        'return max(s.recall for s in scores)',
        'Long predictions are always right.',
        (ROUGE,),
    ),
    Mutation(
        'worst-reference',
        TEXT_SCORES,
        'return max(s.fmeasure for s in scores)',
        'return min(s.fmeasure for s in scores)',
        'SNI takes the best of several references.',
        (ROUGE,),
    ),
    Mutation(
        'accents-stay-apart',
        TEXT_SCORES,
        "joined = unicodedata.normalize('NFC', text.lower())",
        'joined = text.lower()',
        "Two ways of writing 'é' differ.",
        ('tests/units_test.py::test_both_ways_to_write_an_accent_are_equal',),
    ),
    Mutation(
        'spaces-are-characters',
        TEXT_SCORES,
        'return [c for c in joined if not c.isspace()]',
        'return list(joined)',
        'Texts of characters are worth something for their spaces.',
        ('tests/units_test.py::test_characters_by_hand',),
    ),
    Mutation(
        'case-counts-in-exact-match',
        TEXT_SCORES,
        "return ' '.join(text.lower().translate(_PUNCTUATION).split())",
        "return ' '.join(text.translate(_PUNCTUATION).split())",
        "'Yes' is not 'yes'.",
        (MATCH,),
    ),
    Mutation(
        'punctuation-counts-in-exact-match',
        TEXT_SCORES,
        "return ' '.join(text.lower().translate(_PUNCTUATION).split())",
        "return ' '.join(text.lower().split())",
        "'yes.' is not 'yes'.",
        (MATCH,),
    ),
    # units.py
    Mutation(
        'undeclared-languages-are-words',
        UNITS,
        'unit = CHARACTERS if confused else WORDS',
        'unit = WORDS',
        "'нет' is worth 100 against 'да', or 0 against itself.",
        (SCRIPTS,),
    ),
    Mutation(
        'some-english-is-english',
        UNITS,
        "if languages == {'English'}:",
        "if 'English' in languages:",
        'Translations out of English are compared by a-z.',
        (
            'tests/units_test.py::'
            'test_other_languages_are_compared_by_the_model_s_tokens',
        ),
    ),
    Mutation(
        'english-signs-are-words',
        UNITS,
        'return [CHARACTERS if _wordless(r) else WORDS for r in references]',
        'return [WORDS for _ in references]',
        "'+' is worth 0 against itself.",
        (ENGLISH,),
    ),
    Mutation(
        'unknown-tokens-are-equal',
        UNITS,
        'unit = PIECES if _reversible(tokenizer, references) else CHARACTERS',
        'unit = PIECES',
        'All characters that a vocabulary lacks are equal.',
        (
            'tests/units_test.py::'
            'test_texts_that_the_vocabulary_lacks_are_not_equal',
        ),
    ),
    Mutation(
        'choices-have-no-part-in-the-unit',
        UNITS,
        'texts = [*references, *choices]',
        'texts = [*references]',
        'Instances of one task are compared in several ways.',
        ('tests/units_test.py::test_a_choice_in_another_script_decides',),
    ),
    Mutation(
        'choices-of-the-same-words-are-equal',
        UNITS,
        'confused = hidden or _confused(choices)',
        'confused = hidden',
        "'-1' is worth 100 against '+1'.",
        (
            'tests/units_test.py::'
            'test_choices_with_the_same_words_are_told_apart',
        ),
    ),
    Mutation(
        'units-of-the-first-reference',
        UNITS,
        'for reference, unit in zip(references, compared, strict=True)',
        'for reference, unit in zip(references, compared[:1] * '
        'len(references), strict=True)',
        'A sign beside words is compared as words.',
        ('tests/units_test.py::test_each_reference_is_compared_in_its_unit',),
    ),
    Mutation(
        'nothing-is-never-the-answer',
        UNITS,
        'return 1.0  # nothing is the right answer',
        'return 0.0  # nothing is the right answer',
        'A right silence is worth 0.',
        (ENGLISH,),
    ),
    Mutation(
        'all-signs-match',
        UNITS,
        'texts = [r for r in references if r.strip() not in '
        'filter(None, signs)]',
        'texts = list(references)',
        "'-' matches '+' exactly.",
        (SIGNS,),
    ),
    Mutation(
        'every-task-is-the-first',
        UNITS,
        'task, record = store.tasks[store.task_of[i]], store.record(i)',
        'task, record = store.tasks[0], store.record(i)',
        'run.json counts units of another task.',
        (COUNTED,),
    ),
    Mutation(
        'mixed-references-count-as-words',
        UNITS,
        'unit = CHARACTERS if CHARACTERS in used else used[0]',
        'unit = used[0]',
        'A warning counts too few instances.',
        (COUNTED,),
    ),
    # stats.py
    Mutation(
        'statistics-of-another-split',
        STATS,
        'splits_lib.SPLITS.index(split)',
        "splits_lib.SPLITS.index('train')",
        'Table 1 of test clients is that of training clients.',
        (PRINTED,),
    ),
    Mutation(
        'statistics-ignore-the-seed',
        STATS,
        '            client_size,\n            seed,',
        '            client_size,\n            0,',
        'Table 1 is not of the partition that a run has.',
        ('tests/stats_test.py::test_a_seed_decides_who_has_what',),
    ),
    Mutation(
        'statistics-ignore-the-concentration',
        STATS,
        'dirichlet_alpha,\n        )',
        '1.0,\n        )',
        'Table 1 of a Dirichlet partition has another heterogeneity.',
        ('tests/stats_test.py::test_a_smaller_alpha_has_fewer_types',),
    ),
    Mutation(
        'kl-of-tasks-under-the-name-of-types',
        STATS,
        "'type': heterogeneity.kl_from_global(clients, type_of).mean(),",
        "'type': heterogeneity.kl_from_global(clients, task_of).mean(),",
        'Figure 6.',
        ('tests/stats_test.py::test_the_divergences_by_hand',),
    ),
    Mutation(
        'largest-kl-for-the-mean',
        STATS,
        'mean_kl[column] = kl.mean()',
        'mean_kl[column] = kl.max()',
        'Figure 6.',
        ('tests/stats_test.py::test_the_divergences_by_hand',),
    ),
    Mutation(
        'input-languages-under-the-name-of-output-languages',
        STATS,
        "'out lang': 'output_language',",
        "'out lang': 'input_language',",
        'Figure 6.',
        ('tests/stats_test.py::test_the_divergences_by_hand',),
    ),
    Mutation(
        'metadata-of-instances-not-of-tasks',
        STATS,
        'kl = heterogeneity.kl_from_global(clients, task_of, weights)',
        'kl = heterogeneity.kl_from_global(clients, type_of, weights)',
        'Figure 6.',
        ('tests/stats_test.py::test_the_divergences_by_hand',),
    ),
    Mutation(
        'tasks-and-types-swapped',
        STATS,
        "'tasks': counts.tasks._asdict(),",
        "'tasks': counts.types._asdict(),",
        'Table 1.',
        (
            'tests/stats_test.py::'
            'test_tasks_and_types_of_a_client_are_counted_apart',
        ),
    ),
    Mutation(
        'instances-of-all-splits',
        STATS,
        "'instances': int(sizes[split.split_of_task == i].sum()),",
        "'instances': int(sizes.sum()),",
        'Sizes of the splits.',
        (ROWS,),
    ),
    Mutation(
        'official-lists-are-ignored',
        STATS,
        'types, splits, seed, corpus.listed',
        'types, splits, seed, None',
        'Statistics are of another split than a run has.',
        (ROWS,),
    ),
    # beginnings.py
    Mutation(
        'an-answer-must-end-with-the-reference',
        'fedprompt_jax/evaluation/beginnings.py',
        'starts = [output[:n] for n in range(1, len(output) + 1)]',
        'starts = [output]',
        "An answer that goes on is wrong; no score of webqs is lm-eval's.",
        (BEGINS,),
    ),
    Mutation(
        'references-begin-anywhere-in-a-token',
        'fedprompt_jax/evaluation/beginnings.py',
        'return not texts.isdisjoint(references)',
        'return any(t.startswith(r) for t in texts for r in references)',
        "'Jamaica' is right where 'Jama' is.",
        (BEGINS,),
    ),
    Mutation(
        'open-questions-are-scored-as-free-text',
        SCORING,
        "if 'beginning' in record:",
        "if 'beginning' in record and not references:",
        "An answer that goes on is wrong; no score of webqs is lm-eval's.",
        (
            'tests/beginnings_test.py::'
            'test_the_source_says_how_an_answer_is_compared',
        ),
    ),
)
