"""Trained parameters in the adapter format of Hugging Face PEFT."""

import json
from pathlib import Path

import flax.traverse_util
import numpy as np
from safetensors import numpy as safetensors

from fedprompt_jax.bank.kind import Kind, Params
from fedprompt_jax.models.config import ModelConfig

# (PEFT has no task for masked language models; this one takes any model.)
_TASKS = {
    'causal_lm': 'CAUSAL_LM',
    'seq2seq_lm': 'SEQ_2_SEQ_LM',
    'masked_lm': 'FEATURE_EXTRACTION',
}


def save(
    folder: Path,
    kind: Kind,
    params: Params,
    base_model: str,
    model_config: ModelConfig,
) -> None:
    """Writes a folder that peft.PeftModel.from_pretrained reads.

    Args:
      folder: adapter_config.json and adapter_model.safetensors go here.
      kind: of the parameters.
      params: one owner's.
      base_model: what PEFT should call the base model.
      model_config: of the base model.

    Raises:
      ValueError: PEFT has no such adapter.
    """
    own, tensors = kind.to_hf(params)
    heads = {
        'num_layers': model_config.num_layers,
        'num_attention_heads': model_config.num_heads,
    }
    virtual = heads if 'num_virtual_tokens' in own else {}
    config = {
        'task_type': _TASKS[model_config.objective],
        'base_model_name_or_path': base_model,
        'inference_mode': True,
        **virtual,
        **own,
    }
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(config, indent=2, sort_keys=True)
    (folder / 'adapter_config.json').write_text(text, 'utf-8')
    weights = {
        name: np.ascontiguousarray(np.asarray(x, np.float32))
        for name, x in tensors.items()
    }
    # Without this PEFT and transformers refuse the file.
    metadata = {'format': 'pt'}
    path = folder / 'adapter_model.safetensors'
    safetensors.save_file(weights, path, metadata)


def save_plain(folder: Path, params: Params, why: str) -> None:
    """Writes params.safetensors, leaves named by their paths.

    Args:
      folder: the file goes here.
      params: one owner's.
      why: the reason why PEFT's format cannot hold them; the file records it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    flat = flax.traverse_util.flatten_dict(params, sep='/')
    tensors = {name: np.asarray(x, np.float32) for name, x in flat.items()}
    path = folder / 'params.safetensors'
    safetensors.save_file(tensors, path, {'why': why})


def load(folder: Path, kind: Kind) -> Params:
    """The parameters of a PEFT adapter of this kind.

    Raises:
      ValueError: the adapter is of another kind, or does not fit it.
    """
    config = json.loads((folder / 'adapter_config.json').read_text('utf-8'))
    tensors = safetensors.load_file(folder / 'adapter_model.safetensors')
    try:
        return kind.from_hf(config, tensors)
    except KeyError as error:
        raise ValueError(
            f'{folder} holds a {config.get("peft_type")} adapter without '
            f'{error}; it is not one of {type(kind).__name__}.'
        ) from error
