"""SST-2: is a sentence of a film review positive?

    python main.py --config=configs/fedpeptao/sst2.py \\
        --config.data.path=DIR/sst2

Settings and scales: settings.py.
"""

from ml_collections import config_dict

from configs.fedpeptao import settings


def get_config(scale: str = 'quickstart') -> config_dict.ConfigDict:
    """FedPepTAO on this task at a scale."""
    return settings.config('sst2', scale)
