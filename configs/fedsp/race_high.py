"""RACE (high): a question about an article, of high school exams.

    python main.py --config=configs/fedsp/race_high.py \\
        --config.data.path=DIR/race_high

Settings and scales: settings.py.
"""

from ml_collections import config_dict

from configs.fedsp import settings


def get_config(scale: str = 'quickstart') -> config_dict.ConfigDict:
    """FedSP on this task at a scale."""
    return settings.config('race_high', scale)
