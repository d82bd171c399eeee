"""Examples beside the field of a page: sources that the run has never trained on."""

from random import Random

from whyformer.data.corpora.held_out import VALID
from whyformer.data.corpora.parallel import AnyData, FilesSpec, load_held_out
from whyformer.errors import WhyformerError, without_notes

_MANY = 6
_SHORT = 60
"""Characters that fit a button."""


def short_sources(data: AnyData | None) -> list[str]:
    """Return a few short sources of a held-out set of ``data``, the shortest first.

    Where no set can be had without reading all training data, or its files are gone, there are none.
    """
    set_name = _quick_set(data)
    if data is None or set_name is None:
        return []
    try:
        with without_notes():
            pairs = load_held_out(data, [set_name])[set_name]
    except WhyformerError:
        return []
    short = sorted({pair.source for pair in pairs if 0 < len(pair.source.strip()) <= _SHORT})
    return sorted(Random(0).sample(short, min(_MANY, len(short))), key=len)


def _quick_set(data: AnyData | None) -> str | None:
    """The name of a set that has files of its own, or of one that is written on the spot."""
    match data:
        case FilesSpec(test=test) if test:
            return next(iter(test))
        case FilesSpec(valid=float() | int()):
            return None
        case FilesSpec():
            return VALID
        case None:
            return None
        case _:
            return "test"
