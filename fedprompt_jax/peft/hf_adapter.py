"""Soft prompts in the adapter format of Hugging Face PEFT."""

import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from safetensors import numpy as safetensors

from fedprompt_jax.peft.prompt import Params

KEY = 'prompt_embeddings'


def save(folder: Path, params: Params, base_model: str, sizes: dict) -> None:
    """Writes a folder that peft.PeftModel.from_pretrained reads.

    Args:
      folder: adapter_config.json and adapter_model.safetensors go here.
      params: {'prompt': [P, D]}.
      base_model: what PEFT should call the base model.
      sizes: num_layers and num_attention_heads of the base model.
    """
    prompt = np.asarray(params['prompt'], np.float32)
    config = {
        'peft_type': 'PROMPT_TUNING',
        'task_type': 'CAUSAL_LM',
        'base_model_name_or_path': base_model,
        'inference_mode': True,
        'num_virtual_tokens': prompt.shape[0],
        'token_dim': prompt.shape[1],
        'num_transformer_submodules': 1,
        'prompt_tuning_init': 'RANDOM',
        **sizes,
    }
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(config, indent=2, sort_keys=True)
    (folder / 'adapter_config.json').write_text(text, 'utf-8')
    weights = {KEY: np.ascontiguousarray(prompt)}
    # Without this PEFT and transformers refuse the file.
    metadata = {'format': 'pt'}
    path = folder / 'adapter_model.safetensors'
    safetensors.save_file(weights, path, metadata)


def load(folder: Path) -> Params:
    """{'prompt': f32 [P, D]} of a PEFT prompt-tuning adapter.

    Raises:
      ValueError: the adapter is of another kind.
    """
    config = json.loads((folder / 'adapter_config.json').read_text('utf-8'))
    if config.get('peft_type') != 'PROMPT_TUNING':
        raise ValueError(
            f'{folder} holds a {config.get("peft_type")} adapter; a '
            'PROMPT_TUNING one is needed.'
        )
    weights = safetensors.load_file(folder / 'adapter_model.safetensors')
    return {'prompt': jnp.asarray(weights[KEY], jnp.float32)}
