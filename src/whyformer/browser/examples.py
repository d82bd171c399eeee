"""Examples beside the field of a page: sources that the run has never trained on."""

from random import Random

from whyformer.data.corpora.held_out import VALID
from whyformer.data.corpora.parallel import FilesSpec
from whyformer.data.store.pair_data import AnyPairData, StoredPairsSpec, held_out_pairs
from whyformer.errors import WhyformerError, without_notes

_MANY = 6
_SHORT = 60
"""Characters that fit a button."""


def short_sources(data: AnyPairData | None) -> list[str]:
    """Return a few short sources of a held-out set of ``data``, the shortest first.

    Where no set can be had without reading all training data, or its files are gone, there are none.
    """
    set_name = _quick_set(data)
    if data is None or set_name is None:
        return []
    try:
        with without_notes():
            pairs = held_out_pairs(data, [set_name])[set_name]
    except WhyformerError:
        return []
    short = sorted({pair.source for pair in pairs if 0 < len(pair.source.strip()) <= _SHORT})
    return sorted(Random(0).sample(short, min(_MANY, len(short))), key=len)


def _quick_set(data: AnyPairData | None) -> str | None:
    """The name of a set that has files of its own, or of one that is written on the spot."""
    match data:
        case FilesSpec(test=test) | StoredPairsSpec(test=test) if test:
            return next(iter(test))
        case FilesSpec(valid=float() | int()):
            return None
        case FilesSpec() | StoredPairsSpec():
            return VALID
        case None:
            return None
        case _:
            return "test"
