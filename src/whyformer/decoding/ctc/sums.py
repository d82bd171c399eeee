"""Sums over alignments, and the best of them: the numbers of connectionist temporal classification.

An alignment gives each of L frames one symbol. Its text is what is left when runs of one symbol are made one
and blanks are taken out (Graves et al. 2006, section 3.1); a symbol that comes twice needs a blank between.

B rows · L frames · U symbols of a text · S = 2U + 1 states: a blank before, between and behind the symbols
V symbols, of which 0 is the blank
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from whyformer.special_tokens import PAD

CTC_BLANK = PAD
"""Symbol of a frame that says nothing; padding's id, since neither is ever part of a text."""


class Alignment(NamedTuple):
    """The best alignment of a text."""

    score: float
    """Its log-probability; minus infinity if the text has no alignment."""
    times: tuple[int, ...]
    """Frame in which the run of each symbol begins; empty if the text has no alignment."""


def frame_log_probabilities(logits: Tensor) -> Tensor:
    """Log-probabilities (…,V) of ``logits`` (…,V): at least in fp32, whatever autocast would do."""
    with torch.autocast(logits.device.type, enabled=False):
        return logits.to(torch.promote_types(logits.dtype, torch.float32)).log_softmax(dim=-1)


def frames_needed(text: Sequence[int]) -> int:
    """The fewest frames that a text fits in: one a symbol, and a blank between two that are the same."""
    return len(text) + sum(one == other for one, other in pairwise(text))


def text_log_probabilities(
    log_probs: Tensor, lengths: Sequence[int], texts: Sequence[Sequence[int]]
) -> Tensor:
    """Log-probabilities (B,) of ``texts``: the forward algorithm (Graves et al. 2006, equations 5 to 8).

    Differentiable, in the type of ``log_probs``; minus infinity, without gradient, for a text that has no
    alignment.

    Args:
        log_probs: (B,L,V); rows need not sum to one.
        lengths: (B) frames of each row that count, 0 to L.
        texts: (B) symbols of each row, 1 to V-1; none is legal.

    Raises:
        ValueError: numbers of rows differ, or a length or symbol is out of range.
    """
    check_rows(log_probs, lengths, texts)
    states, skips, ends = _states(texts, log_probs.device)
    rows, frames, _ = log_probs.shape
    limit = torch.tensor(list(lengths), device=log_probs.device)[:, None]
    # Before the first frame a path stands before the first blank: it may enter state 0, or 1 by a skip.
    forward = log_probs.new_full((rows, states.shape[1]), -torch.inf)
    for frame in range(frames):
        emitted = log_probs[:, frame].gather(1, states)
        if frame == 0:
            entered = torch.full_like(forward, -torch.inf)
            entered[:, :2] = 0.0
        else:
            entered = _log_sum(
                forward, _later(forward, 1), _later(forward, 2).masked_fill(~skips, -torch.inf)
            )
        # A row that is over keeps what it has.
        forward = torch.where(frame < limit, entered + emitted, forward)
    last = forward.gather(1, ends[:, None]).squeeze(1)
    before_last = forward.gather(1, (ends - 1).clamp_min(0)[:, None]).squeeze(1)
    total = _log_sum(last, torch.where(ends > 0, before_last, -torch.inf))
    # No frames: nothing is certain of the empty text.
    return torch.where(limit[:, 0] > 0, total, torch.where(ends > 0, -torch.inf, 0.0).to(total))


def best_alignment(log_probs: Tensor, text: Sequence[int]) -> Alignment:
    """The alignment of ``text`` that is most probable under ``log_probs`` (L,V) (Viterbi 1967).

    Among equals, the one whose last symbol begins first, and so on from the end.
    """
    check_rows(log_probs[None], [len(log_probs)], [text])
    extended = [CTC_BLANK] + [symbol for each in text for symbol in (each, CTC_BLANK)]
    rows: list[list[float]] = log_probs.tolist()
    # Of the best path into each state: its score, and when its symbols began, as (those before, frame).
    scores, starts = _viterbi_frames(rows, extended)
    ending = [len(extended) - 1, len(extended) - 2] if text else [0]
    state = max(reversed(ending), key=lambda each: scores[each])
    if scores[state] == -torch.inf:
        return Alignment(-torch.inf, ())
    times: list[int] = []
    link = starts[state]
    while link is not None:
        link, frame = link
        times.append(frame)
    return Alignment(scores[state], tuple(reversed(times)))


_Link = tuple["_Link | None", int]


def _viterbi_frames(
    rows: Sequence[Sequence[float]], extended: Sequence[int]
) -> tuple[list[float], list[_Link | None]]:
    scores = [-torch.inf] * len(extended)
    starts: list[_Link | None] = [None] * len(extended)
    if not rows:
        scores[0] = 0.0
    for frame, row in enumerate(rows):
        earlier, begun = scores, starts
        scores, starts = list(earlier), list(begun)
        for state, symbol in enumerate(extended):
            sources = [state]
            if state >= 1:
                sources.append(state - 1)
            if state >= 2 and symbol not in (CTC_BLANK, extended[state - 2]):
                sources.append(state - 2)
            source = max(sources, key=lambda each: earlier[each])
            best, link = earlier[source], begun[source]
            if frame == 0:
                source, best, link = -1, 0.0 if state < 2 else -torch.inf, None
            scores[state] = best + row[symbol]
            starts[state] = (link, frame) if symbol != CTC_BLANK and source != state else link
    return scores, starts


def check_rows(log_probs: Tensor, lengths: Sequence[int], texts: Sequence[Sequence[int]]) -> None:
    """Refuse what is no batch of frames and texts; see ``text_log_probabilities``.

    Raises:
        ValueError: numbers of rows differ, or a length or symbol is out of range.
    """
    rows, frames, symbols = log_probs.shape
    if not rows == len(lengths) == len(texts):
        raise ValueError(
            f"{rows} rows of frames, {len(lengths)} lengths and {len(texts)} texts: not one of each"
        )
    if any(not 0 <= length <= frames for length in lengths):
        raise ValueError(
            f"lengths {list(lengths)} are not all between 0 and the {frames} frames of the batch"
        )
    if wrong := {symbol for text in texts for symbol in text if not CTC_BLANK < symbol < symbols}:
        raise ValueError(f"symbols {sorted(wrong)} are not all between 1 and {symbols - 1}; 0 is the blank")


def _states(texts: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Symbol of each state (B,S), whether one may come there from two before (B,S), the last state (B,)."""
    width = 2 * max(map(len, texts), default=0) + 1
    symbols = [
        [CTC_BLANK, *(symbol for each in text for symbol in (each, CTC_BLANK))]
        + [CTC_BLANK] * (width - 2 * len(text) - 1)
        for text in texts
    ]
    states = torch.tensor(symbols, dtype=torch.int64).view(len(texts), width)
    skips = torch.zeros_like(states, dtype=torch.bool)
    skips[:, 2:] = (states[:, 2:] != CTC_BLANK) & (states[:, 2:] != states[:, :-2])
    ends = torch.tensor([2 * len(text) for text in texts], dtype=torch.int64)
    return states.to(device), skips.to(device), ends.to(device)


def _later(forward: Tensor, by: int) -> Tensor:
    """Scores (B,S) of the states that stand ``by`` before each."""
    shifted = torch.nn.functional.pad(forward, (by, 0), value=-torch.inf)
    return shifted[:, : forward.shape[1]]


def _log_sum(*terms: Tensor) -> Tensor:
    """Logarithm of the sum of exponentials; where all are minus infinity, that, with gradients of zero.

    ``torch.logsumexp`` has gradients that are not a number there.
    """
    stacked = torch.stack(terms)
    peak = stacked.detach().amax(dim=0)
    peak = torch.where(peak == -torch.inf, 0.0, peak)
    total = (stacked - peak).exp().sum(dim=0)
    some = total > 0
    return torch.where(some, torch.where(some, total, 1.0).log() + peak, -torch.inf)
