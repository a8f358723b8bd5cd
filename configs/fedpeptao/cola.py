"""CoLA: is a sentence acceptable English? Scored by Matthews' correlation.

    python main.py --config=configs/fedpeptao/cola.py \\
        --config.data.path=DIR/cola

Settings and scales: settings.py.
"""

from ml_collections import config_dict

from configs.fedpeptao import settings


def get_config(scale: str = 'quickstart') -> config_dict.ConfigDict:
    """FedPepTAO on this task at a scale."""
    return settings.config('cola', scale)
