"""Subj: is a sentence subjective or objective?

    python main.py --config=configs/fedpeptao/subj.py \\
        --config.data.path=DIR/subj

Settings and scales: settings.py.
"""

from ml_collections import config_dict

from configs.fedpeptao import settings


def get_config(scale: str = 'quickstart') -> config_dict.ConfigDict:
    """FedPepTAO on this task at a scale."""
    return settings.config('subj', scale)
