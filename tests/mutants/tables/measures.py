"""Mistakes in measures after stage 2: heterogeneity, and the landscape."""

from tests.mutants.mutation import Mutation

ROOM = 'fedprompt_jax/experiment/measures/__init__.py'
OF_CLIENTS = 'fedprompt_jax/experiment/measures/heterogeneity.py'
OF_LOSS = 'fedprompt_jax/experiment/measures/landscape.py'
WORDS = 'fedprompt_jax/data/vocabulary.py'
DISPERSION = 'fedprompt_jax/federated/dispersion.py'
LANDSCAPE = 'fedprompt_jax/federated/landscape.py'
LANCZOS = 'fedprompt_jax/federated/layers/lanczos.py'
FLAT = 'fedprompt_jax/bank/flat.py'
GRID = 'fedprompt_jax/bank/grid.py'
PACKED = 'fedprompt_jax/federated/packed.py'
BARS = 'fedprompt_jax/report/figures/heterogeneity.py'
LINES = 'fedprompt_jax/report/figures/landscape.py'
FLATNESS = 'fedprompt_jax/study/flatness.py'
LEVELS = 'fedprompt_jax/study/heterogeneities.py'
CONTINUING = 'fedprompt_jax/experiment/continuing.py'
FOLDER = 'fedprompt_jax/experiment/run_folder.py'
SHARED = 'fedprompt_jax/experiment/shared_stage.py'
RUN = 'fedprompt_jax/experiment/run.py'
UNLIKE = 'tests/heterogeneity_measure_test.py::'
FLAT_TEST = 'tests/landscape_test.py::'
STUDIES = 'tests/measure_studies_test.py::'
DEFINED = (UNLIKE + 'test_dispersion_of_gradients_is_its_definition',)
HALVES = (UNLIKE + 'test_gradients_are_those_of_each_half_alone',)
CURVE = (FLAT_TEST + 'test_a_curve_is_its_single_evaluations',)
QUADRATIC = (FLAT_TEST + 'test_a_quadratic_has_its_known_curvature',)
SINGLE = (
    FLAT_TEST
    + 'test_the_measure_is_of_the_global_prompt_and_the_displacements',
)
CHANGE = (FLAT_TEST + 'test_measures_may_change_between_starts',)
LEVEL = (STUDIES + 'test_a_level_is_its_runs',)

MUTATIONS = (
    Mutation(
        'a-measure-that-is-not-asked-for-stays',
        ROOM,
        "(run.path / f'{name}.json').unlink(missing_ok=True)",
        'pass',
        'A record of other settings lies in the folder.',
        CHANGE,
    ),
    Mutation(
        'a-measure-may-be-named-twice',
        ROOM,
        'if not known or len(set(asked)) < len(asked):',
        'if not known:',
        'It is taken twice.',
        (FLAT_TEST + 'test_faults_of_a_config_are_sentences',),
    ),
    Mutation(
        'no-run-measures',
        RUN,
        '    measures.take(experiment, run, state)\n',
        '',
        'config.measures has no effect.',
        (FLAT_TEST + 'test_its_record',),
    ),
    Mutation(
        'measures-make-another-stage-1',
        SHARED,
        "'measures', 'heterogeneity', 'landscape',",
        "'heterogeneity', 'landscape',",
        'A run that measures trains a prompt again.',
        (STUDIES + 'test_rounds_are_those_of_figures_4_and_14',),
    ),
    Mutation(
        'options-of-no-measure-are-changes',
        FOLDER,
        'unread |= set(continuing.OF_MEASURES)',
        'unread |= set()',
        'Complete runs of an older version are computed again.',
        CHANGE,
    ),
    Mutation(
        'options-of-a-measure-are-no-changes',
        FOLDER,
        "if not (old.get('measures') or new.get('measures')):",
        'if True:',
        'landscape.json has other points than config.json.',
        CHANGE,
    ),
    Mutation(
        'a-measure-restarts-stage-2',
        CONTINUING,
        "'measures': Start.MEASURES,",
        "'measures': Start.STAGE_2,",
        'Hours of personalization are computed again.',
        CHANGE,
    ),
    # Words.
    Mutation(
        'words-without-answers',
        WORDS,
        'for part in (store.query, store.target)',
        'for part in (store.query,)',
        'Clients that differ in their answers alone are alike.',
        (
            UNLIKE
            + 'test_tokens_of_a_client_are_those_of_its_queries_and_targets',
        ),
    ),
    Mutation(
        'a-divergence-is-twice-itself',
        WORDS,
        'return max(0.0, float(both) / 2)',
        'return max(0.0, float(both))',
        'It is twice that of the literature.',
        (UNLIKE + 'test_the_divergence_is_scipy_s',),
    ),
    Mutation(
        'the-whole-is-a-mean-of-clients',
        WORDS,
        'whole = counts.sum(axis=0) / counts.sum()',
        'whole = (counts / counts.sum(axis=1, keepdims=True)).mean(axis=0)',
        'A small client counts as much as a large one.',
        (UNLIKE + 'test_the_divergence_is_scipy_s',),
    ),
    Mutation(
        'clients-are-not-shuffled',
        WORDS,
        'order = rng.permutation(clients.order)',
        'order = clients.order',
        'The bias of small samples is taken for heterogeneity.',
        (
            UNLIKE
            + 'test_shuffled_clients_have_the_same_sizes_and_all_instances',
        ),
    ),
    # Dispersion.
    Mutation(
        'the-noise-is-that-of-a-half',
        DISPERSION,
        'noise = float((between**2).sum(axis=1).mean()) / 4',
        'noise = float((between**2).sum(axis=1).mean()) / 2',
        'Twice the noise is subtracted.',
        DEFINED,
    ),
    Mutation(
        'the-mean-s-noise-stays',
        DISPERSION,
        'signal = square - spread / (count - 1)',
        'signal = square',
        'The mean gradient of few clients is taken for that of all.',
        (UNLIKE + 'test_the_correction_finds_the_dispersion_behind_the_noise',),
    ),
    Mutation(
        'the-noise-is-not-subtracted',
        DISPERSION,
        'corrected = (spread / share - noise) / signal',
        'corrected = (spread / share) / signal',
        'Small batches look like unlike clients.',
        (UNLIKE + 'test_the_correction_finds_the_dispersion_behind_the_noise',),
    ),
    Mutation(
        'cosines-with-themselves',
        DISPERSION,
        'return float(total @ total - count) / (count * (count - 1))',
        'return float(total @ total) / (count * count)',
        'Few clients look alike.',
        DEFINED,
    ),
    Mutation(
        'a-lost-client-makes-all-nan',
        DISPERSION,
        'prompts = prompts[np.isfinite(prompts).all(axis=1)]',
        'prompts = prompts[:]',
        'One client that diverged leaves no measure.',
        (
            UNLIKE
            + 'test_clients_without_numbers_are_left_out_and_nothing_is_nan',
        ),
    ),
    Mutation(
        'prompts-are-apart-from-the-start',
        DISPERSION,
        'apart = prompts - prompts.mean(axis=0)',
        'apart = prompts - start',
        'Clients that moved alike are called unlike.',
        (UNLIKE + 'test_dispersion_of_prompts_is_its_definition',),
    ),
    Mutation(
        'halves-of-another-client',
        OF_CLIENTS,
        'store.example(2 * place + half, int(i))',
        'store.example(place + half, int(i))',
        'Halves are of two clients.',
        HALVES,
    ),
    Mutation(
        'one-group-of-clients',
        OF_CLIENTS,
        'for group in _groups(drawn, each):',
        'for group in _groups(drawn[:each], each):',
        'A large population is judged by its first clients.',
        HALVES,
    ),
    Mutation(
        'words-of-all-clients',
        OF_CLIENTS,
        'clients = everybody.take(chosen)',
        'clients = everybody',
        'config.heterogeneity.clients has no effect on words.',
        (UNLIKE + 'test_its_record',),
    ),
    Mutation(
        'types-are-tasks',
        OF_CLIENTS,
        "'type': (type_of[store.task_of], None),",
        "'type': (store.task_of, None),",
        'KL of types is that of tasks.',
        (UNLIKE + 'test_divergences_of_metadata_are_scipy_s',),
    ),
    Mutation(
        'a-spread-for-a-standard-error',
        OF_CLIENTS,
        'np.std(values, ddof=1) / math.sqrt(count)',
        'np.std(values, ddof=1)',
        'Bars are too long.',
        (UNLIKE + 'test_divergences_of_metadata_are_scipy_s',),
    ),
    Mutation(
        'the-shuffled-mark-is-the-mean',
        BARS,
        "[_number(x['shuffled']) for x in kinds.values()]",
        "[_number(x['mean']) for x in kinds.values()]",
        'The figure shows no baseline.',
        (UNLIKE + 'test_the_figure_shows_each_measure',),
    ),
    # The landscape.
    Mutation(
        'losses-of-one-grid',
        PACKED,
        'return functools.reduce(_add, parts)\n\n        losses',
        'return parts[0]\n\n        losses',
        'The loss is that of a part of the examples.',
        (FLAT_TEST + 'test_losses_of_several_grids_add_up',),
    ),
    Mutation(
        'a-lost-prompt-has-the-loss-of-zeros',
        GRID,
        'return select(finite, losses, jnp.nan)',
        'return losses',
        'A prompt that is not finite has a number for its loss.',
        (FLAT_TEST + 'test_losses_of_several_grids_add_up',),
    ),
    Mutation(
        'a-step-has-its-own-length',
        LANDSCAPE,
        'step = scaled(direction, float(np.linalg.norm(center)))',
        'step = direction',
        'Lines of two directions have two units.',
        CURVE,
    ),
    Mutation(
        'the-gradient-of-the-sum',
        LANDSCAPE,
        'lambda x: x.mean(axis=0), bank',
        'lambda x: x.sum(axis=0), bank',
        'Gradient and curvature grow with the number of clients.',
        QUADRATIC,
    ),
    Mutation(
        'a-hessian-at-zero',
        LANDSCAPE,
        'self._bank(vector), self._bank(tangent), self.examples',
        'self._bank(0 * vector), self._bank(tangent), self.examples',
        'The curvature is that of another prompt.',
        (FLAT_TEST + 'test_eigenvalues_are_those_of_the_full_hessian',),
    ),
    Mutation(
        'the-smallest-from-the-wrong-end',
        LANDSCAPE,
        '        values[:count],\n',
        '        values[-count:],\n',
        'No negative curvature is seen.',
        QUADRATIC,
    ),
    Mutation(
        'a-bound-of-the-first-row',
        LANCZOS,
        'rest * np.abs(vectors[-1])',
        'rest * np.abs(vectors[0])',
        'Eigenvalues look exact that are not.',
        (FLAT_TEST + 'test_a_bound_is_the_residual',),
    ),
    Mutation(
        'leaves-in-another-order',
        FLAT,
        'parts = np.split(vector, ends[:-1])',
        'parts = np.split(vector[::-1], ends[:-1])',
        'A direction has other numbers than its tree.',
        (FLAT_TEST + 'test_a_tree_is_its_vector',),
    ),
    Mutation(
        'owners-as-one-vector',
        FLAT,
        'x.reshape(len(x), -1)',
        'x.reshape(len(x), -1)[::-1]',
        "A client's displacement is another's.",
        (FLAT_TEST + 'test_a_tree_is_its_vector',),
    ),
    Mutation(
        'a-line-uphill',
        OF_LOSS,
        "Direction('gradient', -gradient)",
        "Direction('gradient', gradient)",
        'The figure calls uphill downhill.',
        SINGLE,
    ),
    Mutation(
        'examples-that-are-scored',
        OF_LOSS,
        'drawn = rng.permutation(held_out.train[number])',
        'drawn = rng.permutation(held_out.local[number])',
        'The landscape is that of examples on which nobody trains.',
        SINGLE,
    ),
    Mutation(
        'displacements-from-zero',
        OF_LOSS,
        'moves = vectors_of(state.clients.bank)[owners] - center',
        'moves = vectors_of(state.clients.bank)[owners] - 0 * center',
        'The line is that of the prompt itself.',
        SINGLE,
    ),
    Mutation(
        'the-own-loss-is-the-first-client-s',
        OF_LOSS,
        'along[:, line.owner].tolist()',
        'along[:, -1].tolist()',
        "A dotted line is another client's.",
        SINGLE,
    ),
    Mutation(
        'the-figure-shows-the-largest-alone',
        LINES,
        "for name in ('largest', 'smallest'):",
        "for name in ('largest', 'largest'):",
        'No negative curvature is shown.',
        (FLAT_TEST + 'test_the_figure_shows_each_line',),
    ),
    # Studies.
    Mutation(
        'rises-of-the-loss-itself',
        FLATNESS,
        "losses.mean(axis=0) - record['loss']",
        'losses.mean(axis=0)',
        'Prompts of unlike losses cannot be compared.',
        (STUDIES + 'test_rises_are_means_over_the_lines_of_a_kind',),
    ),
    Mutation(
        'a-rise-at-one-end',
        FLATNESS,
        'float(rise[[0, -1]].mean())',
        'float(rise[-1])',
        'A slope is called curvature.',
        (STUDIES + 'test_rises_are_means_over_the_lines_of_a_kind',),
    ),
    Mutation(
        'a-scale-that-is-not-squared',
        FLATNESS,
        "scale = one.record['prompt_norm'] ** 2",
        "scale = one.record['prompt_norm']",
        'Curvature is not in the unit of the loss.',
        (STUDIES + 'test_the_figure_of_flatness_has_a_line_a_run',),
    ),
    Mutation(
        'divergences-with-their-bias',
        LEVELS,
        "return _number(part['mean']) - _number(part['shuffled'])",
        "return _number(part['mean'])",
        'Small clients look unlike at every level.',
        LEVEL,
    ),
    Mutation(
        'gains-of-the-first-epoch',
        LEVELS,
        'start, *_, end = found.path',
        'start, end, *_ = found.path',
        'The trade-off is that of the first scored epoch.',
        LEVEL,
    ),
    Mutation(
        'changes-with-the-other-sign',
        LEVELS,
        'points[:, 1, place] - points[:, 0, place]',
        'points[:, 0, place] - points[:, 1, place]',
        'A gain is shown as a loss.',
        LEVEL,
    ),
)
