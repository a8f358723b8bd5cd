"""JSON files of models: what is read, and what is refused by name."""

import pytest

from fedprompt_jax import intact


def test_a_byte_order_mark_is_no_damage(tmp_path):
    """Editors on Windows put one before a file."""
    path = tmp_path / 'config.json'
    path.write_bytes(b'\xef\xbb\xbf{"a": "\xc3\xa9"}')
    assert intact.read_json_object(path) == {'a': 'é'}


@pytest.mark.parametrize('content', ['[]', '[{"a": 1}]', 'null', '7', '"a"'])
def test_what_is_no_object_is_refused(content, tmp_path):
    path = tmp_path / 'config.json'
    path.write_text(content)
    with pytest.raises(ValueError, match=r'config\.json must hold a JSON obj'):
        intact.read_json_object(path)
