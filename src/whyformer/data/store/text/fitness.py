"""Examples that are fit to train on: text, and not what ``Cleaning`` drops."""

from collections.abc import Sequence

from whyformer.data.corpora.lines import Reason, SentencePair
from whyformer.data.corpora.pairs.cleaning import Cleaning


def decoded(text: bytes) -> str | Reason:
    """The text, or the reason for which it is none."""
    try:
        whole = text.decode("utf-8")
    except UnicodeDecodeError:
        return Reason.NOT_UTF8
    return Reason.NUL if "\0" in whole else whole


def unfit_reason(example: Sequence[str]) -> str | None:
    """The reason for which an example is not trained on: an empty one, or a pair that ``Cleaning`` drops."""
    if len(example) == 1:
        return None if example[0].strip() else str(Reason.EMPTY)
    reason = Cleaning().reason(SentencePair(*example), set())
    return None if reason is None else str(reason)
