"""The compiled library, and its structs: see ``source/model.h``, whose order of fields is this one's.

M model dimension · V vocabulary · O outputs of a product
"""

import ctypes
import functools
from ctypes import c_bool, c_double, c_float, c_int64, c_void_p
from pathlib import Path
from typing import ClassVar

from whyformer.engines.native.build import LIBRARY, fingerprint

_AGAIN = "run `python -m whyformer.engines.native.build`"


class LinearStruct(ctypes.Structure):
    """One product, its bias and what follows."""

    _fields_: ClassVar = [
        *((name, c_void_p) for name in ("weight", "start", "scale", "bias")),
        *((name, c_int64) for name in ("inputs", "outputs", "activation")),
    ]


class NormStruct(ctypes.Structure):
    """A LayerNorm; null pointers where there is none."""

    _fields_: ClassVar = [("gain", c_void_p), ("shift", c_void_p), ("epsilon", c_double)]


class BranchNormsStruct(ctypes.Structure):
    """The norm of a branch, and that of what it has made; null pointers where there is none."""

    _fields_: ClassVar = [("norm", NormStruct), ("leaving", NormStruct)]


class HeadNormStruct(ctypes.Structure):
    """The norm of queries and keys; null pointers where there is none."""

    _fields_: ClassVar = [("query", c_void_p), ("key", c_void_p), ("epsilon", c_double)]


class AttentionStruct(ctypes.Structure):
    """An attention, or a recurrence without heads in its place, and the norms of its branch."""

    _fields_: ClassVar = [
        *(("input", LinearStruct), ("output", LinearStruct), ("norms", BranchNormsStruct)),
        *(("heads", c_int64), ("dim", c_int64), ("turn", c_void_p), ("turned", c_int64)),
        *(("head_norm", HeadNormStruct), ("gated", c_int64), ("first_value", c_double)),
    ]


class LayerStruct(ctypes.Structure):
    """A layer; in an encoder ``cross`` and ``memory`` are zeros."""

    _fields_: ClassVar = [
        *(("own", AttentionStruct), ("cross", AttentionStruct), ("memory", LinearStruct)),
        *(("enter", LinearStruct), ("leave", LinearStruct), ("norms", BranchNormsStruct)),
    ]


class TableStruct(ctypes.Structure):
    """A vector for each token: fp32, or int8 where there is a scale."""

    _fields_: ClassVar = [("rows", c_void_p), ("scale", c_void_p)]


class StackStruct(ctypes.Structure):
    """A stack with the table of its tokens and that of its positions."""

    _fields_: ClassVar = [
        *(("layers", c_void_p), ("depth", c_int64), ("embedding", TableStruct), ("position", c_void_p)),
        *(("scale", c_double), ("last", NormStruct)),
    ]

    def heads(self) -> list[tuple[int, int]]:
        """Number of heads of each layer's attention to its own sequence, and to the memory; 0 for none."""
        layers = ctypes.cast(self.layers, ctypes.POINTER(LayerStruct))
        return [(layers[at].own.heads, layers[at].cross.heads) for at in range(self.depth)]


class ModelStruct(ctypes.Structure):
    """Everything."""

    _fields_: ClassVar = [
        *(("encoder", StackStruct), ("decoder", StackStruct), ("output", LinearStruct)),
        *((name, c_int64) for name in ("d_model", "vocabulary", "start", "end", "widest")),
    ]


class WantedStruct(ctypes.Structure):
    """Flags of sentences that are wanted; none where all are."""

    _fields_: ClassVar = [("flags", c_void_p), ("place", c_void_p)]


class PenaltiesStruct(ctypes.Structure):
    """Penalties of all tokens, (V,) each: of those that may end a sentence, and of those before."""

    _fields_: ClassVar = [("late", c_void_p), ("early", c_void_p), ("shortest", c_int64)]


class GreedyStruct(ctypes.Structure):
    """Arguments of a greedy search, and where it writes."""

    _fields_: ClassVar = [
        *(("penalties", PenaltiesStruct), ("longest", c_void_p), ("stride", c_int64)),
        *((name, c_void_p) for name in ("tokens", "log_probabilities", "written")),
        ("wanted", WantedStruct),
    ]


class BeamStruct(ctypes.Structure):
    """Arguments of a beam search, and where it writes."""

    _fields_: ClassVar = [
        *(("penalties", PenaltiesStruct), ("longest", c_void_p), ("length_penalty", c_void_p)),
        *((name, c_int64) for name in ("stride", "width", "best", "enough")),
        *((name, c_void_p) for name in ("tokens", "log_probabilities", "written", "score", "total")),
        ("wanted", WantedStruct),
    ]


class ListsStruct(ctypes.Structure):
    """Tokens that each sentence may be translated into."""

    _fields_: ClassVar = [("ids", c_void_p), ("lengths", c_void_p), ("stride", c_int64)]


def missing(path: Path = LIBRARY) -> str | None:
    """Reason for which the library at ``path`` cannot be used, and its cure; None where it can."""
    if not path.exists():
        return f"the native engine was not compiled when whyformer was installed; {_AGAIN}"
    try:
        found = library(path)
        if found.whyformer_fingerprint() != fingerprint():
            return f"the native engine was compiled from another version's source; {_AGAIN}"
        usable = bool(found.whyformer_runs_here())
    except (OSError, AttributeError) as error:
        return f"the native engine cannot be loaded ({error}); {_AGAIN}"
    return None if usable else f"the native engine was compiled for another processor; {_AGAIN}"


@functools.cache
def library(path: Path = LIBRARY) -> ctypes.CDLL:
    """The functions of the library at ``path``, typed.

    Raises:
        OSError: there is none, or it is one of another system.
    """
    loaded = ctypes.CDLL(str(path))
    loaded.whyformer_fingerprint.restype = c_int64
    loaded.whyformer_runs_here.restype = c_bool
    loaded.whyformer_multiply.argtypes = [c_void_p, c_void_p, c_int64, c_void_p]
    loaded.whyformer_multiply.restype = None
    loaded.whyformer_rank.argtypes = [c_void_p, c_void_p, c_int64, c_int64, c_void_p, c_void_p]
    loaded.whyformer_rank.restype = c_int64
    loaded.whyformer_read.argtypes = [c_void_p, c_bool, c_void_p, c_void_p, c_int64, c_int64, c_void_p]
    loaded.whyformer_read.restype = c_void_p
    loaded.whyformer_list.argtypes = [c_void_p, c_bool, c_void_p]
    loaded.whyformer_list.restype = None
    loaded.whyformer_step.argtypes = [c_void_p, c_bool, c_void_p, c_int64, c_void_p, c_int64]
    loaded.whyformer_step.restype = None
    loaded.whyformer_select.argtypes = [c_void_p, c_void_p, c_int64]
    loaded.whyformer_select.restype = None
    for write in (loaded.whyformer_write, loaded.whyformer_write_beam):
        write.argtypes = [c_void_p, c_bool, c_void_p, c_int64]
        write.restype = None
    loaded.whyformer_lens.argtypes = [c_void_p]
    loaded.whyformer_lens.restype = c_void_p
    loaded.whyformer_attention.argtypes = [c_void_p, c_int64, c_int64]
    loaded.whyformer_attention.restype = ctypes.POINTER(c_float)
    for forget in (loaded.whyformer_forget, loaded.whyformer_forget_lens):
        forget.argtypes = [c_void_p]
        forget.restype = None
    return loaded
