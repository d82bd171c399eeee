"""Weights in a folder of Hugging Face."""

from pathlib import Path

from torch import Tensor

from whyformer.errors import CheckpointError
from whyformer.huggingface.tokenizers.json_files import read_object
from whyformer.training.storage.checkpoint import read_safetensors

WEIGHTS_FILE = "model.safetensors"
_INDEX = "model.safetensors.index.json"
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")


def read_tensors(folder: Path) -> dict[str, Tensor]:
    """All tensors of ``folder`` in fp32, from one file or from several.

    Raises:
        CheckpointError: there are none in safetensors, or a file is damaged.
    """
    names = [WEIGHTS_FILE]
    if not (folder / WEIGHTS_FILE).is_file() and (folder / _INDEX).is_file():
        index = read_object(folder / _INDEX).get("weight_map")
        if not isinstance(index, dict) or not all(isinstance(name, str) for name in index.values()):
            raise CheckpointError(f"{folder / _INDEX}: has no weight_map; restore it.")
        names = sorted(set(index.values()))
        if missing := [name for name in names if not (folder / name).is_file()]:
            raise CheckpointError(
                f"{folder / missing[0]}: this file is missing, though {_INDEX} names it; restore it."
            )
    elif not (folder / WEIGHTS_FILE).is_file():
        pickles = [path.name for pattern in _PICKLES for path in sorted(folder.glob(pattern))]
        if pickles:
            raise CheckpointError(
                f"{folder}: has no {WEIGHTS_FILE} but a pickle ({pickles[0]}), which can run code when it is "
                "opened, so it is never read; convert it to safetensors first."
            )
        raise CheckpointError(f"{folder}: has no {WEIGHTS_FILE}; name the folder of a whole model.")
    tensors: dict[str, Tensor] = {}
    for name in names:
        tensors |= read_safetensors(folder / name)[0]
    return {name: tensor.float() for name, tensor in tensors.items()}
