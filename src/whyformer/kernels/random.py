"""Random words, each a function of a seed and its place: by any number of threads they are the same.

The generator is SplitMix64 (Steele, Lea and Flood 2014). torch's own draws one word after another, by one
thread, which took a twentieth of a small model's step.
"""

import torch
from torch import Tensor

from whyformer.kernels.library import are_callable, required

_GOLDEN = 0x9E3779B97F4A7C15
_FACTORS = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_SHIFTS = 30, 27, 31


def random_words(count: int) -> Tensor:
    """Draw ``count`` random int64 (count,) from a seed that torch's default generator gives."""
    seed = torch.empty((), dtype=torch.int64).random_(-(1 << 63), None)
    if not are_callable():
        return plain_words(seed, count)
    words = torch.empty(count, dtype=torch.int64)
    required().whyformer_random_words(int(seed), words.data_ptr(), count, torch.get_num_threads())
    return words


def plain_words(seed: Tensor, count: int) -> Tensor:
    """The words (count,) of a ``seed`` () by torch's own operations."""
    words = torch.arange(1, count + 1) * _signed(_GOLDEN) + seed
    first, second = map(_signed, _FACTORS)
    words = _folded(words, _SHIFTS[0]) * first
    words = _folded(words, _SHIFTS[1]) * second
    return _folded(words, _SHIFTS[2])


def _folded(words: Tensor, shift: int) -> Tensor:
    """``words`` with their upper bits laid over the lower ones."""
    return words ^ ((words >> shift) & ((1 << (64 - shift)) - 1))


def _signed(word: int) -> int:
    """The int64 with the bits of ``word``."""
    return word - (1 << 64) if word >> 63 else word
