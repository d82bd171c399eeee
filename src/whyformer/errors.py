"""The errors that a user can cause: each is one sentence that names the place and what to do."""

import re
import warnings
from collections.abc import Generator
from contextlib import contextmanager

# Pydantic's words before what a check of ours says.
_PREFIX = re.compile(r"(?:Value error|Assertion failed), ")


class WhyformerError(Exception):
    """Something the user can put right; the command line prints the sentence and exits with code 2."""


class WhyformerNote(UserWarning):
    """Something that works and that the user may want to change; the command line prints the sentence."""


class RecipeError(WhyformerError):
    """A recipe, preset or override that is unknown or does not fit; lists every fault with its path."""


class DataError(WhyformerError):
    """A file or line of data that is missing, empty, damaged or does not match its partner."""


class TokenizerError(WhyformerError):
    """A tokenizer that cannot be trained, read, or does not fit the model."""


class CheckpointError(WhyformerError):
    """A run folder or weight file that is missing, damaged, foreign, or unsafe to read."""


class TrainingError(WhyformerError):
    """Training cannot start or continue: a leak, a loss that is not a number, a full disk."""


class StoppedError(TrainingError):
    """The user stopped a training, as is their right; it can go on."""


class DecodingError(WhyformerError):
    """A search setting or an input sentence that the model cannot take."""


@contextmanager
def without_notes() -> Generator[None]:
    """Tell no notes inside the block: they advise on what is not the user's to change there."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", WhyformerNote)
        yield


def bare_complaint(message: str) -> str:
    """The complaint of a check of ours in a ``message`` of pydantic's, which puts two words before it."""
    return _PREFIX.sub("", message)
