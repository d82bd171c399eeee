"""Log-probabilities of a completion's tokens, as OpenAI's clients read them."""

from collections.abc import Sequence
from typing import NamedTuple

from pydantic import BaseModel

from whyformer.analysis.token_scores import TokenScore
from whyformer.data.tokenizers.tokenizer import Tokenizer
from whyformer.special_tokens import NAMES
from whyformer.tasks.output import TextOutput

_LEAST = -9999.0
"""Value that stands for minus infinity, which JSON does not have."""
_BROKEN = "\N{REPLACEMENT CHARACTER}"


class LogProbabilities(BaseModel):
    """The tokens of a text and what was known of each."""

    tokens: list[str]
    """Text of each; bytes that are no whole character as ``bytes:\\xe4``."""
    token_logprobs: list[float | None]
    """Log-probability of each in nats; null where nothing was read before."""
    top_logprobs: list[dict[str, float] | None] | None
    """The likeliest tokens there, and the one that stands there; null where none are asked for."""
    text_offset: list[int]
    """Characters of the text in front of each."""


class ScoredText(NamedTuple):
    """A text in tokens, of which some are shown."""

    ids: Sequence[int]
    first: int
    """Number of tokens in front of those that are shown."""
    scores: Sequence[TokenScore | None]
    """Scores of all."""


def whole_text(tokenizer: Tokenizer, prompt: Sequence[int], output: TextOutput) -> list[int]:
    """The tokens of a prompt and of what follows it, whose first may hold the end of the prompt, too."""
    if not output.completing:
        return [*prompt, *output.ids]
    text = tokenizer.decode(prompt) + output.text
    kept = range(len(prompt) - 1, -1, -1)
    wholes = ([*prompt[:count], *output.ids] for count in kept)
    return next((ids for ids in wholes if tokenizer.decode(ids) == text), [*prompt, *output.ids])


def log_probabilities(
    tokenizer: Tokenizer, scored: ScoredText, text: str, *, likeliest: bool
) -> LogProbabilities:
    """The tokens of ``text`` with what was known of each; those behind its end are left out."""
    ids, first = scored.ids, scored.first
    begun = tokenizer.decode_all([ids[:count] for count in range(len(ids))])
    # Half a character is none yet.
    sizes = [len(each.rstrip(_BROKEN)) for each in begun]
    before = sizes[first] if first < len(sizes) else 0
    told = LogProbabilities(
        tokens=[], token_logprobs=[], top_logprobs=[] if likeliest else None, text_offset=[]
    )
    for place in range(first, len(ids)):
        offset, score = max(0, sizes[place] - before), scored.scores[place]
        if offset >= len(text):
            break
        told.tokens.append(spelled(tokenizer, ids[place]))
        told.token_logprobs.append(None if score is None else max(_LEAST, score.log_probability))
        told.text_offset.append(offset)
        if told.top_logprobs is not None:
            told.top_logprobs.append(None if score is None else _likeliest(tokenizer, score))
    return told


def spelled(tokenizer: Tokenizer, id: int) -> str:
    """The text that a token stands for inside of a text."""
    spelling = tokenizer.spelled[id]
    if spelling is None:
        return NAMES[id] if id < len(NAMES) else tokenizer.pieces[id]
    try:
        return spelling.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in spelling)


def _likeliest(tokenizer: Tokenizer, score: TokenScore) -> dict[str, float]:
    found: dict[str, float] = {}
    # Two tokens may spell the same; the likelier one counts.
    for id, value in (*score.likeliest, (score.id, score.log_probability)):
        _ = found.setdefault(spelled(tokenizer, id), max(_LEAST, value))
    return found
