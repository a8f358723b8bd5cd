"""Per-FedAvg (2002.07948): a prompt from which one step of a client helps.

python main.py --config=configs/per_fedavg.py
"""

from ml_collections import config_dict

from configs import fedavg_adam


def get_config(scale: str = 'quickstart') -> config_dict.ConfigDict:
    """The config at a scale (see fedavg_adam.py)."""
    c = fedavg_adam.get_config(scale)
    c.name = 'per_fedavg'
    c.algorithm = 'per_fedavg'
    c.local_steps = 2 * c.local_steps  # batches: two of each local step
    c.batch_size //= 2  # so that a round has as many examples as FedAvg's
    c.per_fedavg = config_dict.ConfigDict()
    # 'fo' is first-order; 'hf' adds the second-order term by the difference of
    # gradients at prompts that are delta times the gradient apart, on a third
    # batch: local_steps is then a multiple of 3.
    c.per_fedavg.variant = 'fo'
    c.per_fedavg.inner_learning_rate = 0.1  # of the step that looks ahead
    c.per_fedavg.delta = 0.001
    return c
