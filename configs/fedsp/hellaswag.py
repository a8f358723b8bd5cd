"""HellaSwag: which of four endings goes on with a text?

    python main.py --config=configs/fedsp/hellaswag.py \\
        --config.data.path=DIR/hellaswag

Settings and scales: settings.py.
"""

from ml_collections import config_dict

from configs.fedsp import settings


def get_config(scale: str = 'quickstart') -> config_dict.ConfigDict:
    """FedSP on this task at a scale."""
    return settings.config('hellaswag', scale)
