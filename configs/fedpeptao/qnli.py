"""QNLI: does a sentence hold the answer to a question?

    python main.py --config=configs/fedpeptao/qnli.py \\
        --config.data.path=DIR/qnli

Settings and scales: settings.py.
"""

from ml_collections import config_dict

from configs.fedpeptao import settings


def get_config(scale: str = 'quickstart') -> config_dict.ConfigDict:
    """FedPepTAO on this task at a scale."""
    return settings.config('qnli', scale)
