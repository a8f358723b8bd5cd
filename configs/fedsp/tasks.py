"""FedSP's eight sets (arXiv 2311.06805) as lm-eval asks them, zero-shot.

`--config.data.path` is a folder with the files train, validation and test of a
set (.jsonl, .parquet, .csv, .tsv), in the columns of the hub, or the set's name
there. Texts are those of FedSP's released code (they are Offsite-Tuning's),
with the space of lm-eval before an answer; `literal` takes it away, as the code
has it. All are lm-eval 0.4.13's own but that of RACE:

  race_high          'Article: ...', 'Question: ...' and 'Answer:', as FedSP
                     trains. It is the default: a prompt is scored on the text
                     that it is trained on.
  race_high_lm_eval  lm-eval's: of each article the last question, bare and
                     without 'Answer:', behind the others and their answers.
                     It is that of lm-eval 0.4.13; 18,728 of the
                     training set's questions are asked.

A query that is too long loses its end, which is the question: with RACE's 944
tokens and SmolLM2's tokenizer 9 of 2,000 do. lm-eval cuts the beginning.

`literal` joins some answers to the query's last token. OpenBookQA's 'is'+'land'
then has no token of its own in SmolLM2's tokenizer, and is refused.
"""

from typing import NamedTuple

from ml_collections import config_dict


class Task(NamedTuple):
    """A set, and how it is asked.

    Attributes:
      source: of config.data, as are columns, answers, template, separator,
        target, max_query and max_target.
      hub: its name on the hub, for config.data.path.
      size: questions of the official training set.
      choices: see config.evaluation.choices; lm-eval's acc where answers are
        chosen, and not read where they are generated.
      literal: the target of the released code.
      max_new_tokens: see config.evaluation.
    """

    source: str
    hub: str
    size: int
    columns: tuple[str, ...] = ()
    answers: str = ''
    template: str = 'Question: {input}'
    separator: str = '\nAnswer:'
    target: str = ' {output}'
    choices: str = 'sum'
    max_query: int = 256
    max_target: int = 64
    literal: str = '{output}'
    max_new_tokens: int = 10


_ARC = ('options=choices', 'answer=answerKey')
_RACE = Task(
    'multiple_choice',
    'ehovy/race:high',
    62445,
    ('context=article',),
    'letter',
    'Article: {pair}\n\nQuestion: {input}',
    '\n\nAnswer:',
    max_query=944,
)
TASKS = {
    'sciq': Task(
        'multiple_choice',
        'allenai/sciq',
        11679,
        (
            # The right option is last, as in lm-eval: of equals the first wins.
            'options=distractor1+distractor2+distractor3+correct_answer',
            'answer=correct_answer',
            'context=support',
        ),
        'text',
        '{pair}\nQuestion: {input}',
        max_query=768,
    ),
    'arc_easy': Task('multiple_choice', 'allenai/ai2_arc:ARC-Easy', 2251, _ARC),
    'arc_challenge': Task(
        'multiple_choice', 'allenai/ai2_arc:ARC-Challenge', 1119, _ARC
    ),
    'openbookqa': Task(
        'multiple_choice',
        'allenai/openbookqa:main',
        4957,
        ('question=question_stem', *_ARC),
        template='{input}',
        separator='',
    ),
    'piqa': Task(
        'multiple_choice',
        'baber/piqa',
        16113,
        ('question=goal', 'options=sol1+sol2', 'answer=label'),
        'index0',
        max_target=384,
    ),
    'race_high': _RACE,
    'race_high_lm_eval': _RACE._replace(
        source='race',
        columns=(),
        template='Article: {pair}\n\n{input}',
        separator='',
    ),
    'hellaswag': Task(
        'hellaswag',
        'Rowan/hellaswag',
        39905,
        template='{input}',
        separator='',
        max_target=128,
    ),
    'web_questions': Task(
        'open_questions',
        'stanfordnlp/web_questions',
        3778,
        literal=' {output}',
        max_new_tokens=32,  # longer than 99 of 100 answers
    ),
}
CLIENTS = 10
# Eleven equal shards, one of them for config.data.server_share.
SERVER_SHARE = 1 / (CLIENTS + 1)


def apply(
    config: config_dict.ConfigDict, task: str, literal: bool = False
) -> None:
    """Sets the data of a config, and how answers are scored.

    Data without a validation split give a tenth of their training data. The
    server's shard is not set: not every algorithm trains there.

    Args:
      config: is changed.
      task: a key of TASKS.
      literal: no space before an answer, where the released code has none.
    """
    if task not in TASKS:
        raise ValueError(f'There is no task {task!r}; use {", ".join(TASKS)}.')
    c, t = config.data, TASKS[task]
    c.source, c.path = t.source, task
    c.columns, c.answers, c.labels = t.columns, t.answers, ()
    c.template, c.separator = t.template, t.separator
    c.target = t.literal if literal else t.target
    c.max_query, c.max_target = t.max_query, t.max_target
    c.splits, c.held_out_share = 'official', 0.1
    c.partition, c.num_clients = 'iid', CLIENTS
    c.client_size = t.size // (CLIENTS + 1)
    config.evaluation.choices = t.choices
    config.evaluation.max_new_tokens = t.max_new_tokens
