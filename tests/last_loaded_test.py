"""What the runs of a process share is made once, and again for another key."""

from fedprompt_jax.experiment.last_loaded import LastLoaded


def test_a_thing_is_made_once_for_a_key():
    loaded, made = LastLoaded(), []

    def get(name, key):
        return loaded.get(
            name, key, lambda: made.append(key) or f'{name} {key}'
        )

    assert get('model', 'a') == get('model', 'a') == 'model a'
    assert get('data', 'a') == 'data a'  # another thing
    assert get('model', 'b') == 'model b'
    assert get('data', 'a') == 'data a'
    assert made == ['a', 'a', 'b']
    assert get('model', 'a') == 'model a'  # one of each is kept
    assert made == ['a', 'a', 'b', 'a']


def test_the_last_one_is_gone_before_the_next_is_made():
    """Two models might not fit in memory."""
    loaded, held = LastLoaded(), []

    def look():
        held.append('model' in loaded._objects)
        return 'new'

    loaded.get('model', 1, lambda: 'old')
    assert loaded.get('model', 2, look) == 'new'
    assert held == [False]
