"""TREC: what is a question about? Six classes.

    python main.py --config=configs/fedpeptao/trec.py \\
        --config.data.path=DIR/trec

Settings and scales: settings.py.
"""

from ml_collections import config_dict

from configs.fedpeptao import settings


def get_config(scale: str = 'quickstart') -> config_dict.ConfigDict:
    """FedPepTAO on this task at a scale."""
    return settings.config('trec', scale)
