"""The answers of prompts to the same examples, side by side."""

import json

from fedprompt_jax.report import answers


def line(prompt, client, example, prediction, epoch=0):
    return {
        'prompt': prompt,
        'client': client,
        'epoch': epoch,
        'task': 'task',
        'id': example,
        'input': f'input {example}',
        'references': ['a', 'b'],
        'prediction': prediction,
        'rouge_l': 0.5,
    }


def test_each_client_s_examples_with_the_last_answers(tmp_path):
    lines = [
        line('bare', None, 'x', 'nobody asked'),
        line('global', None, 'x', 'of all'),
        line('global', None, 'y', 'of all, too'),
        line('personalized', 3, 'x', 'early', epoch=1),
        line('personalized', 3, 'x', 'late', epoch=2),
        line('personalized', 4, 'x', 'other', epoch=2),
        line('personalized', 4, 'z', 'of no global answer', epoch=2),
    ]
    text = ''.join(json.dumps(x) + '\n' for x in lines)
    (tmp_path / 'predictions.jsonl').write_text(text)
    found = answers.side_by_side(tmp_path)
    assert [
        (r['client'], r['global']['prediction'], r['personalized'])
        for r in found
    ] == [
        (3, 'of all', {'prediction': 'late', 'rouge_l': 0.5}),
        (4, 'of all', {'prediction': 'other', 'rouge_l': 0.5}),
    ]
    assert found[0]['input'] == 'input x'
    assert found[0]['references'] == ['a', 'b']
    assert answers.side_by_side(tmp_path, ('global', 'kept')) == []
    assert answers.side_by_side(tmp_path / 'none') == []
