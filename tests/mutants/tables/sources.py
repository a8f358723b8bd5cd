"""Mistakes in how data are read."""

from tests.mutants.mutation import Mutation

ANSWERS = 'fedprompt_jax/data/tables/answers.py'
ARROW = 'fedprompt_jax/data/tables/arrow.py'
CELLS = 'fedprompt_jax/data/tables/cells.py'
CLASSIFICATION = 'fedprompt_jax/data/sources/classification.py'
HELLASWAG = 'fedprompt_jax/data/sources/hellaswag.py'
HUB = 'fedprompt_jax/data/sources/natural_instructions.py'
JSONL = 'fedprompt_jax/data/sources/jsonl.py'
MULTIPLE_CHOICE = 'fedprompt_jax/data/sources/multiple_choice.py'
OPEN_QUESTIONS = 'fedprompt_jax/data/sources/open_questions.py'
PARTS = 'fedprompt_jax/data/tables/parts.py'
RACE = 'fedprompt_jax/data/sources/race.py'
SNI = 'fedprompt_jax/data/sni.py'
SNI_TASK = 'fedprompt_jax/data/sni_task.py'
SOURCES = 'fedprompt_jax/data/sources/__init__.py'
TABLE = 'fedprompt_jax/data/tables/table.py'
TASKS = 'fedprompt_jax/data/tables/tasks.py'
TEXT_FILES = 'fedprompt_jax/data/tables/text_files.py'
TFDS = 'fedprompt_jax/data/sources/tfds.py'
_QUESTIONS = 'tests/question_sources_test.py::'

MUTATIONS = (
    # Task files.
    Mutation(
        'tasks-in-the-order-of-letters',
        SNI,
        'return (int(match[1]) if match else math.inf, name)',
        'return (0.0 if match else math.inf, name)',
        'Other task numbers, and with them other draws, than before.',
        ('tests/sni_test.py::test_tasks_come_by_number_then_name',),
    ),
    Mutation(
        'a-task-may-be-trained-on-and-tested',
        SNI,
        'if both := sorted(set(names) & set(listed)):',
        'if both := sorted(set(names) & set(listed) - set(names)):',
        'A test task is trained on, or the other way round.',
        ('tests/sni_test.py::test_a_task_in_two_lists_is_an_error',),
    ),
    Mutation(
        'spaces-of-a-list-belong-to-a-name',
        SNI,
        'dict.fromkeys(n.strip() for n in lines if n.strip())',
        'dict.fromkeys(n for n in lines if n.strip())',
        'Tasks are in no list, and dropped.',
        ('tests/sni_test.py::test_split_lists_are_read_without_blank_lines',),
    ),
    Mutation(
        'a-task-file-with-a-byte-order-mark-is-refused',
        SNI,
        "return file.read_text(encoding='utf-8-sig')",
        "return file.read_text(encoding='utf-8')",
        'The first task of a list saved by an editor of Windows is in no list.',
        ('tests/sni_test.py::test_a_byte_order_mark_is_no_text',),
    ),
    Mutation(
        'a-fingerprint-without-the-tasks-names',
        SNI,
        "total.update(f'{name} {text}\\n'.encode())",
        "total.update(f'{text}\\n'.encode())",
        'A store of tasks by other names is opened.',
        (
            'tests/sni_test.py::test_a_generated_corpus_has_a_fingerprint_of_its_content',
        ),
    ),
    Mutation(
        'null-counts-as-metadata',
        SNI,
        r"""return rb'"%s"\s*:\s*+(?!null|NaN)' % key.encode()""",
        r"""return rb'"%s"\s*:\s*+' % key.encode()""",
        'Nobody hears that languages are unknown, and scores compare letters.',
        (
            'tests/sni_test.py::test_metadata_that_training_does_not_read_may_be_missing',
        ),
    ),
    Mutation(
        'the-last-category-is-the-type',
        SNI_TASK,
        'return self.categories[0]',
        'return self.categories[-1]',
        "Task types are not Profit's.",
        ('tests/sni_test.py::test_everything_in_a_task_is_kept_in_its_order',),
    ),
    Mutation(
        'the-output-language-is-the-input-s',
        SNI_TASK,
        "'output_language': 'Output_language'",
        "'output_language': 'Input_language'",
        'ROUGE-L of translations compares words where it needs characters.',
        (
            'tests/sni_test.py::test_metadata_that_training_does_not_read_may_be_missing',
        ),
    ),
    Mutation(
        'positive-examples-are-negative',
        SNI_TASK,
        "negative_examples=_examples(where, raw, 'Negative Examples')",
        "negative_examples=_examples(where, raw, 'Positive Examples')",
        'A task has other examples than its file.',
        ('tests/sni_test.py::test_everything_in_a_task_is_kept_in_its_order',),
    ),
    Mutation(
        'one-reference-an-instance',
        SNI_TASK,
        "filled(where, at + 'output', output),",
        "filled(where, at + 'output', output)[:1],",
        'Scores are lower than against all references.',
        ('tests/sni_test.py::test_everything_in_a_task_is_kept_in_its_order',),
    ),
    Mutation(
        'half-a-surrogate-pair-is-text',
        SNI_TASK,
        'except UnicodeEncodeError:\n        return False',
        'except UnicodeEncodeError:\n        return True',
        'A run ends when the text is saved, hours after its start.',
        (
            'tests/sni_test.py::test_a_malformed_task_names_the_file_and_the_field',
        ),
    ),
    # Sources.
    Mutation(
        'a-source-is-not-listed',
        SOURCES,
        'for module in pkgutil.iter_modules(__path__))',
        'for module in list(pkgutil.iter_modules(__path__))[1:])',
        'config.data.source does not take a source that there is.',
        ('tests/sources_test.py::test_every_source_is_shown_on_a_small_scale',),
    ),
    Mutation(
        'every-source-has-clients',
        SOURCES,
        "getattr(get(name), 'CLIENTS', False)",
        "getattr(get(name), 'CLIENTS', True)",
        "A run of partition='client' starts on data without clients.",
        (
            'tests/sources_test.py::test_partition_by_client_needs_clients_and_their_split',
        ),
    ),
    Mutation(
        'a-count-from-1-is-one-from-0',
        ANSWERS,
        'return int(match[1]) - first if match else None',
        'return int(match[1]) if match else None',
        'The right option is the next one.',
        ('tests/answers_test.py::test_a_convention_is_one_that_all_rows_fit',),
    ),
    Mutation(
        'an-ambiguous-table-is-read-somehow',
        ANSWERS,
        'if pair in evidence.differing:',
        'if pair in evidence.rows:',
        'Nobody asks whether answers count from 0 or from 1.',
        (
            'tests/answers_test.py::test_two_conventions_that_differ_ask_for_the_key',
        ),
    ),
    Mutation(
        'rows-that-contradict-are-read-somehow',
        ANSWERS,
        'c for c in self.among if all(c in fits for fits in self.rows)',
        'c for c in self.among if any(c in fits for fits in self.rows)',
        'Some rows are read by a convention that they do not fit.',
        (
            'tests/answers_test.py::test_a_convention_is_one_that_all_rows_fit',
            'tests/answers_test.py::test_a_contradiction_shows_two_rows',
        ),
    ),
    Mutation(
        'a-class-of-the-hub-counts-from-1-too',
        ANSWERS,
        'return cell.place if first == 0 else None',
        'return cell.place - first',
        'A table of the hub is ambiguous, and is refused.',
        (
            'tests/tables_test.py::test_classes_of_the_hub_are_counted_from_0_and_have_names',
        ),
    ),
    Mutation(
        'the-first-of-options-that-differ-by-spaces',
        ANSWERS,
        'if len(near) == 1:',
        'if near:',
        'An answer is one of two options by chance.',
        (
            'tests/answers_test.py::test_options_that_differ_by_spaces_alone_are_two',
        ),
    ),
    Mutation(
        'labels-of-options-are-their-places',
        ANSWERS,
        'return _among(answer.cell, answer.labels)',
        'return _among(answer.cell, answer.options)',
        "ARC's answers are not found.",
        (
            'tests/answers_test.py::test_labels_of_options_come_first_and_are_not_contradicted',
        ),
    ),
    Mutation(
        'a-number-of-32-bits-has-16-digits',
        ARROW,
        '{16: np.float16, 32: np.float32}.get(kind.bit_width, float)',
        'float',
        'A text is 0.10000000149011612 where the table has 0.1.',
        ('tests/tables_test.py::test_a_typed_cell_of_a_parquet_has_a_text',),
    ),
    Mutation(
        'nan-is-a-text',
        ARROW,
        'return None if value != value else Number(str(value))',
        'return Number(str(value))',
        "A gap is read as the text 'nan'.",
        ('tests/tables_test.py::test_a_gap_of_a_parquet_is_nothing',),
    ),
    Mutation(
        'rows-of-a-second-batch-are-lost',
        ARROW,
        '        for cells in zip(*parts, strict=True):\n'
        '            yield dict(zip(columns, cells, strict=True))',
        '        for cells in zip(*parts, strict=True):\n'
        '            yield dict(zip(columns, cells, strict=True))\n'
        '        return',
        'A table has 1000 rows at most.',
        ('tests/tables_test.py::test_a_long_parquet_is_read_to_its_end',),
    ),
    Mutation(
        'the-class-without-a-label-is-the-last',
        CELLS,
        'named = 0 <= index < len(names)',
        'named = index < len(names)',
        'A row without a label is of the last class.',
        ('tests/tables_test.py::test_a_row_without_a_class_has_no_name',),
    ),
    Mutation(
        'truth-values-with-a-capital',
        CELLS,
        'return str(cell).lower()',
        'return str(cell)',
        'A text is True where the file has true.',
        ('tests/tables_test.py::test_a_cell_of_json_is_what_is_written',),
    ),
    Mutation(
        'a-cell-of-blanks-is-an-answer',
        CELLS,
        '(isinstance(cell, str) and not cell.strip())',
        '(isinstance(cell, str) and not cell)',
        'A gap is blamed on the table, not on its row.',
        ('tests/answers_test.py::test_an_empty_answer_blames_its_row',),
    ),
    Mutation(
        'an-instance-has-the-name-for-its-word',
        CLASSIFICATION,
        'words = tuple(_entry(label)[1] for label in labels)',
        'words = tuple(_entry(label)[0] for label in labels)',
        "A model answers 'entailment' where 'Yes' was asked for.",
        (
            'tests/sources_test.py::test_labels_are_numbers_bools_words_or_names',
            'tests/sources_test.py::test_pairs_of_texts_are_read_as_they_are_written',
        ),
    ),
    Mutation(
        'numbers-count-where-names-are-given',
        CLASSIFICATION,
        "('text',) if named else ('text', 'index0', 'index1')",
        "('text', 'index0', 'index1')",
        "'1=good' is a place in some tables.",
        ('tests/sources_test.py::test_a_number_without_a_name_is_refused',),
    ),
    Mutation(
        'more-words-than-classes',
        CLASSIFICATION,
        'if names is not None and len(names) != len(labels):',
        'if names is not None and len(names) > len(labels):',
        'A word stands for no class, and others are shifted.',
        ('tests/sources_test.py::test_classes_and_words_must_be_as_many',),
    ),
    Mutation(
        'a-fingerprint-without-the-label-words',
        CLASSIFICATION,
        '            columns,\n            labels,\n            data.answers,',
        '            columns,\n            data.answers,',
        'A run with other words reads those of the store.',
        (
            'tests/sources_test.py::test_a_fingerprint_follows_what_makes_the_instances',
        ),
    ),
    Mutation(
        'a-fingerprint-without-the-columns',
        MULTIPLE_CHOICE,
        'tasks.fingerprint(__name__, content, name, columns, data.answers)',
        'tasks.fingerprint(__name__, content, name, data.answers)',
        'A run of other columns reads those of the store.',
        (
            'tests/sources_test.py::test_a_fingerprint_follows_what_makes_the_instances',
        ),
    ),
    Mutation(
        'the-context-is-the-question',
        MULTIPLE_CHOICE,
        "pair=cells.optional_text(where, 'context', row.get('context'))",
        "pair=cells.optional_text(where, 'context', row.get('question'))",
        'A model is asked without the passage that has the answer.',
        ('tests/sources_test.py::test_a_context_is_the_second_text',),
    ),
    Mutation(
        'fewer-labels-than-options',
        MULTIPLE_CHOICE,
        'if labels and len(labels) != len(texts):',
        'if labels and len(labels) > len(texts):',
        'A label stands for an option by chance.',
        (
            'tests/answers_test.py::test_labels_of_options_come_first_and_are_not_contradicted',
        ),
    ),
    Mutation(
        'lines-of-a-second-task-are-lost',
        JSONL,
        'instances.setdefault(task, []).append(instance)',
        'instances[task] = [instance]',
        'A task has its last line alone.',
        ('tests/sources_test.py::test_the_lines_of_a_client_are_its_own',),
    ),
    Mutation(
        'a-client-is-called-as-its-task',
        JSONL,
        "client=values['client'],",
        "client=values['task'],",
        'Clients are others than the data have.',
        ('tests/sources_test.py::test_the_lines_of_a_client_are_its_own',),
    ),
    Mutation(
        'clients-without-a-name',
        JSONL,
        "for name in ('client', 'task'):",
        "for name in ('task',):",
        "Lines without a client are nobody's, and silently left out.",
        ('tests/sources_test.py::test_a_bad_line_names_file_line_and_column',),
    ),
    Mutation(
        'references-of-one-id-are-instances',
        HUB,
        'outputs.setdefault((id_, inputs, split), []).append(target)',
        'outputs[id_ + target, inputs, split] = [target]',
        'Instances of several references weigh more, and score less.',
        (
            'tests/sources_test.py::test_the_hub_without_metadata_has_no_types_and_says_so',
        ),
    ),
    Mutation(
        'one-split-of-the-hub',
        HUB,
        "columns, COLUMNS, split='all', splits=data.splits",
        'columns, COLUMNS, splits=data.splits',
        'Most tasks are missing.',
        (
            'tests/sources_test.py::test_a_name_on_the_hub_has_a_config_and_a_split',
        ),
    ),
    Mutation(
        'a-fingerprint-without-the-metadata',
        HUB,
        'tasks.fingerprint(__name__, content, metadata, columns)',
        'tasks.fingerprint(__name__, content, columns)',
        'A run with other categories reads those of the store.',
        (
            'tests/sources_test.py::test_a_fingerprint_follows_what_makes_the_instances',
        ),
    ),
    Mutation(
        'columns-of-a-part-for-those-of-all',
        PARTS,
        'return all(any(p.more or n in p.names for p in parts) for n in names)',
        'return all(p.more or n in p.names for n in names for p in parts)',
        'An optional column that one file lacks is missing in all.',
        (
            'tests/tables_test.py::test_a_column_of_some_files_is_read_where_it_is',
        ),
    ),
    Mutation(
        'shards-may-have-other-classes',
        PARTS,
        'if (theirs := other.classes.get(column)) != classes:',
        'if (theirs := other.classes.get(column)) and not classes:',
        'Class 0 is positive in one file and negative in another.',
        ('tests/tables_test.py::test_shards_have_the_same_classes',),
    ),
    Mutation(
        'a-column-that-stands-twice',
        PARTS,
        'if n in names[:i]]:',
        'if n in names[:0]]:',
        'The second of two columns is read.',
        ('tests/tables_test.py::test_a_fault_of_a_table_names_its_place',),
    ),
    Mutation(
        'a-folder-that-changes-while-it-is-read',
        'fedprompt_jax/data/sources/sni.py',
        'tasks.check_unchanged(path, content, sni.content_fingerprint(path))',
        'tasks.check_unchanged(path, content, content)',
        'A store has a name that is not that of its content.',
        (
            'tests/tables_test.py::test_a_file_that_changes_while_it_is_read_is_an_error',
        ),
    ),
    Mutation(
        'columns-of-the-data-for-those-of-the-source',
        TABLE,
        'name: row.get(theirs[0])',
        'name: row.get(name)',
        'Renamed columns are empty.',
        ('tests/sources_test.py::test_answers_are_found',),
    ),
    Mutation(
        'columns-that-make-a-list-in-another-order',
        TABLE,
        'else [row.get(t) for t in theirs]',
        'else [row.get(t) for t in sorted(theirs)]',
        'Options are exchanged, and the right answer is wrong.',
        (
            'tests/sources_test.py::test_columns_make_a_list_in_the_order_that_is_given',
        ),
    ),
    Mutation(
        'a-table-s-fingerprint-is-its-path',
        TABLE,
        'content = digests.fingerprint(there := _files(path))',
        'there, content = _files(path), path',
        'Rows of the file that was there before are trained on.',
        ('tests/tables_test.py::test_a_file_replaced_by_another_is_read_anew',),
    ),
    Mutation(
        'config-and-split-of-the-hub-swapped',
        TABLE,
        'return name, config or None, split or None',
        'return name, split or None, config or None',
        'Another part of a data set is read.',
        (
            'tests/sources_test.py::test_a_name_on_the_hub_has_a_config_and_a_split',
        ),
    ),
    Mutation(
        'a-json-beside-the-data-is-data',
        TABLE,
        "kinds = (kind for kind in _KINDS if kind != '.json')",
        'kinds = _KINDS',
        'A folder with a description of its data is refused.',
        ('tests/tables_test.py::test_a_json_beside_the_data_is_none_of_it',),
    ),
    Mutation(
        'instances-of-the-metadata-s-files',
        TASKS,
        'definition=task.definition, instances=task.instances',
        'definition=task.definition',
        "The hub's instances are replaced by those of the task files.",
        (
            'tests/sources_test.py::test_metadata_change_no_instance_and_no_definition',
        ),
    ),
    Mutation(
        'all-bare-tasks-are-of-one-type',
        TASKS,
        "'categories': (category or name,)",
        "'categories': (category or 'none',)",
        'There are no types to split.',
        (
            'tests/sources_test.py::test_the_hub_without_metadata_has_no_types_and_says_so',
        ),
    ),
    Mutation(
        'keys-that-nobody-reads-are-no-fault',
        TASKS,
        'if c[key]:',
        'if not c[key]:',
        'A key of the config has no effect, and nobody says so.',
        ('tests/sources_test.py::test_what_a_source_does_not_read_is_a_fault',),
    ),
    Mutation(
        'quotation-marks-of-a-tsv-are-read-as-quotes',
        TEXT_FILES,
        "'.tsv': {'delimiter': '\\t', 'quoting': csv.QUOTE_NONE}",
        "'.tsv': {'delimiter': '\\t'}",
        "Rows of GLUE's files melt into one.",
        (
            'tests/sources_test.py::test_pairs_of_texts_are_read_as_they_are_written',
        ),
    ),
    Mutation(
        'the-mark-before-a-csv-is-part-of-a-name',
        TEXT_FILES,
        "file.open(encoding='utf-8-sig', newline='')",
        "file.open(encoding='utf-8', newline='')",
        'The first column of a table that Excel saved is missing.',
        ('tests/tables_test.py::test_a_cell_of_a_csv_is_what_is_written',),
    ),
    Mutation(
        'numbers-of-json-are-rewritten',
        TEXT_FILES,
        "'parse_float': Number,",
        "'parse_float': lambda text: Number(float(text)),",
        'A text is 0.5 where the file has 0.50.',
        ('tests/tables_test.py::test_a_cell_of_json_is_what_is_written',),
    ),
    Mutation(
        'the-last-of-two-keys',
        TEXT_FILES,
        'if len(row) < len(pairs):',
        'if len(row) > len(pairs):',
        'A line with a key twice is read by its second.',
        ('tests/tables_test.py::test_a_fault_of_a_table_names_its_place',),
    ),
    Mutation(
        'the-oldest-version-of-tfds',
        TFDS,
        'return max(infos, key=lambda f: _version(f.parent.name)).parent',
        'return max(infos, key=lambda f: f.parent.name).parent',
        'Version 1.9.0 is read where there is 1.10.0.',
        ('tests/sources_test.py::test_the_newest_version_of_tfds_is_read',),
    ),
    Mutation(
        'inputs-of-tfds-for-outputs',
        TFDS,
        "_text(r['input']), (_text(r['output']),)",
        "_text(r['output']), (_text(r['input']),)",
        'A model is asked for the question.',
        (
            'tests/sources_test.py::test_tfds_has_first_references_in_an_order_of_its_own',
        ),
    ),
    # Questions: HellaSwag, open ones, splits without answers.
    Mutation(
        'marks-of-wikihow-stay-in-endings',
        HELLASWAG,
        'cleaned(cells.text(where, ',
        'str(cells.text(where, ',
        "No score of HellaSwag is lm-eval's.",
        (_QUESTIONS + 'test_hellaswag_is_as_lm_eval_has_it',),
    ),
    Mutation(
        'the-second-context-begins-as-it-is',
        HELLASWAG,
        '{second.capitalize()}',
        '{second}',
        "No score of HellaSwag is lm-eval's.",
        (_QUESTIONS + 'test_hellaswag_is_as_lm_eval_has_it',),
    ),
    Mutation(
        'a-first-answer-alone-is-right',
        OPEN_QUESTIONS,
        'values = value if isinstance(value, list) else [value]',
        'values = value[:1] if isinstance(value, list) else [value]',
        'Right answers to open questions are wrong.',
        (_QUESTIONS + 'test_all_answers_are_references_and_none_is_a_choice',),
    ),
    Mutation(
        'open-questions-are-compared-as-free-text',
        OPEN_QUESTIONS,
        'beginning=True,',
        'beginning=False,',
        "An answer that goes on is wrong; no score of webqs is lm-eval's.",
        (_QUESTIONS + 'test_all_answers_are_references_and_none_is_a_choice',),
    ),
    Mutation(
        'a-split-with-one-hidden-answer-is-left-out',
        TABLE,
        'split: any(',
        'split: all(',
        'A set with one broken row is tested on its validation split.',
        (_QUESTIONS + 'test_a_test_split_without_answers_is_left_out',),
    ),
    Mutation(
        'answers-of-minus-one-are-answers',
        CELLS,
        "return nothing(cell) or cell == '-1'",
        'return nothing(cell)',
        'Sets of the hub with hidden test labels cannot be read.',
        (_QUESTIONS + 'test_a_test_split_without_answers_is_left_out',),
    ),
    Mutation(
        'the-first-question-of-an-article-is-asked',
        RACE,
        '*solved, last = problems',
        'last, *solved = problems',
        "No score of RACE is lm-eval's.",
        (_QUESTIONS + 'test_of_an_article_the_last_question_is_asked',),
    ),
    Mutation(
        'a-blank-is-asked-like-a-question',
        RACE,
        'if problem.question.endswith(_BLANK):',
        'if problem.question.endswith(_BLANK * 2):',
        "No score of RACE is lm-eval's.",
        (_QUESTIONS + 'test_of_an_article_the_last_question_is_asked',),
    ),
)
