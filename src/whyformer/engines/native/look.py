"""A look at one sentence while the library translates it: logits, and who attends to whom.

S source length · T target length · V vocabulary · H heads · Q query length · K key length
"""

import ctypes
from collections.abc import Sequence
from ctypes import byref
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from whyformer.engines.native.pack import Packed

_ENCODER, _DECODER, _CROSS = range(3)
"""Places of attention, as in ``source/attention.h``."""


@dataclass(frozen=True, eq=False)
class NativeLook:
    """Logits and attention of one sentence, given its translation."""

    logits: Tensor
    """Logits of what follows each token that was fed, (T,V)."""
    attention: dict[str, NDArray[np.float32]]
    """Weights (H,Q,K) by the name that their tap has in the model."""


def look(functions: ctypes.CDLL, packed: Packed, source: Sequence[int], fed: Sequence[int]) -> NativeLook:
    """Let the library read ``source``, EOS included, and feed it ``fed``, BOS first."""
    model, int8 = packed.struct, packed.precision == "int8"
    tokens, length = torch.tensor(source), torch.tensor([len(source)])
    lens = functions.whyformer_lens(byref(model))
    search = functions.whyformer_read(byref(model), int8, tokens.data_ptr(), length.data_ptr(), 1, 1, lens)
    seen = _Seen(functions, lens)
    try:
        for layer, (heads, _) in enumerate(model.encoder.heads()):
            seen.take(_ENCODER, layer, heads, len(source), len(source))
        logits = torch.empty(len(fed), model.output.outputs)
        for place, token in enumerate(fed):
            last = torch.tensor([token])
            functions.whyformer_step(
                search, int8, last.data_ptr(), 1, logits[place].data_ptr(), logits.shape[1]
            )
            for layer, (own, cross) in enumerate(model.decoder.heads()):
                if own:  # none where a recurrence takes its place
                    seen.take(_DECODER, layer, own, 1, place + 1)
                seen.take(_CROSS, layer, cross, 1, len(source))
    finally:
        functions.whyformer_forget(search)
        functions.whyformer_forget_lens(lens)
    return NativeLook(logits[:, : model.vocabulary], seen.maps())


class _Seen:
    """Recorder of what a lens has seen, by the names of taps."""

    def __init__(self, functions: ctypes.CDLL, lens: int) -> None:
        self._functions = functions
        self._lens = lens
        self._rows: dict[str, list[NDArray[np.float32]]] = {}

    def take(self, place: int, layer: int, heads: int, rows: int, keys: int) -> None:
        """Copy the weights (rows,heads,keys) of the last pass."""
        pointer = self._functions.whyformer_attention(self._lens, place, layer)
        stack = "encoder" if place == _ENCODER else "decoder"
        attention = "cross_attention" if place == _CROSS else "attention"
        weights = np.ctypeslib.as_array(pointer, (rows, heads, keys)).copy()
        self._rows.setdefault(f"{stack}.blocks.{layer}.{attention}.taps.weights", []).extend(weights)

    def maps(self) -> dict[str, NDArray[np.float32]]:
        """Each attention's weights (H,Q,K); a row that saw fewer keys has zeros for the rest."""
        return {name: np.stack(_even(rows), axis=1) for name, rows in self._rows.items()}


def _even(rows: list[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
    keys = max(row.shape[1] for row in rows)
    return [np.pad(row, ((0, 0), (0, keys - row.shape[1]))) for row in rows]
