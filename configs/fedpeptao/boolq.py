"""BoolQ: a question about a passage, answered by yes or no.

    python main.py --config=configs/fedpeptao/boolq.py \\
        --config.data.path=DIR/boolq

Settings and scales: settings.py.
"""

from ml_collections import config_dict

from configs.fedpeptao import settings


def get_config(scale: str = 'quickstart') -> config_dict.ConfigDict:
    """FedPepTAO on this task at a scale."""
    return settings.config('boolq', scale)
