"""Loss of connectionist temporal classification, by our own forward algorithm and, the same, by torch's.

B rows · L frames · V symbols, of which 0 is the blank
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from whyformer.decoding.ctc.sums import CTC_BLANK, check_rows, frames_needed, text_log_probabilities


class CTCLosses(NamedTuple):
    """Negative log-probabilities of the texts of a batch, in nats."""

    losses: Tensor
    """(B,) at least fp32; exactly 0, without gradient, for a text that does not fit its frames."""
    impossible: tuple[int, ...]
    """Rows whose text needs more frames than there are: one a symbol, one between two that are the same."""


def reference_ctc_losses(
    log_probs: Tensor, lengths: Sequence[int], texts: Sequence[Sequence[int]], delay_penalty: float = 0.0
) -> CTCLosses:
    """The definition: -ln of the sum over all alignments, with gradients by autograd.

    A text that has no alignment would cost infinitely much and teach nothing: no weights can make it more
    probable. So it costs 0 and is named, and whoever counts the losses can tell how many there are.

    Args:
        log_probs: (B,L,V); whatever the type, the sums are at least fp32.
        lengths: (B) frames of each row, 0 to L.
        texts: (B) symbols of each row, 1 to V-1; none is legal.
        delay_penalty: see ``delayed``.

    Raises:
        ValueError: numbers of rows differ, or a length or symbol is out of range.
    """
    check_rows(log_probs, lengths, texts)
    with torch.autocast(log_probs.device.type, enabled=False):
        scores = delayed(_widened(log_probs), lengths, delay_penalty)
        losses = -text_log_probabilities(scores, lengths, texts)
        return CTCLosses(torch.where(losses == torch.inf, 0.0, losses), _impossible(lengths, texts))


def ctc_losses(
    log_probs: Tensor, lengths: Sequence[int], texts: Sequence[Sequence[int]], delay_penalty: float = 0.0
) -> CTCLosses:
    """The same losses and gradients by ``torch.nn.functional.ctc_loss``.

    Torch's gradient is right only where a frame's probabilities sum to one, which they do not under a
    penalty. Every alignment passes every frame once, so frames are normalised first and what that took is
    given back: loss(s) = loss(log_softmax(s)) - Σ_t ln Σ_v exp(s_tv), exactly, gradients included.
    """
    check_rows(log_probs, lengths, texts)
    impossible = _impossible(lengths, texts)
    # Torch has no loss of no frames. (B,)
    kept = [row for row, length in enumerate(lengths) if row not in impossible and length > 0]
    with torch.autocast(log_probs.device.type, enabled=False):
        scores = delayed(_widened(log_probs), lengths, delay_penalty)
        # A sum of nothing is 0 and has a graph, so that a batch of impossible texts may go backwards too.
        losses = scores.new_zeros(len(texts)) + scores.flatten()[:0].sum()
        if not kept:
            return CTCLosses(losses, impossible)
        rows = torch.tensor(kept, device=scores.device)
        part = scores[rows]
        frames = torch.tensor([lengths[row] for row in kept])
        given = frames.to(scores.device)
        real = torch.arange(scores.shape[1], device=scores.device) < given[:, None]
        back = (part.logsumexp(dim=-1) * real).sum(dim=1)
        some = F.ctc_loss(
            part.log_softmax(dim=-1).transpose(0, 1),
            torch.tensor([symbol for row in kept for symbol in texts[row]], dtype=torch.int64).to(
                scores.device
            ),
            frames,
            torch.tensor([len(texts[row]) for row in kept]),
            blank=CTC_BLANK,
            reduction="none",
            zero_infinity=True,
        )
        # A loss of 0 here is an infinite one: probabilities that are 0 leave the text no alignment.
        return CTCLosses(losses.index_add(0, rows, torch.where(some == 0.0, 0.0, some - back)), impossible)


def delayed(log_probs: Tensor, lengths: Sequence[int], penalty: float) -> Tensor:
    """Log-probabilities (B,L,V) that favour texts said early (Kang et al. 2022, arXiv 2211.00490).

    s_tv = ln p_tv + λ·((T - 1)/2 - t) for every symbol v but the blank, in frames t = 0 … T-1 of a row of T:
    an alignment gains λ for each frame that a symbol comes earlier. Counted from the middle, the penalty
    makes symbols no dearer or cheaper on the whole. There is one difference from a transducer, where a symbol
    has one frame: here all frames of its run count, so early runs grow and late ones shrink a little. The
    loss is no likelihood under a penalty and may be below 0.
    """
    if penalty == 0.0:
        return log_probs
    frame = torch.arange(log_probs.shape[1], device=log_probs.device, dtype=log_probs.dtype)
    frames = torch.tensor(list(lengths), device=log_probs.device, dtype=log_probs.dtype)
    # A column for each row: (B,L,1)
    earliness = ((frames[:, None] - 1) / 2 - frame)[:, :, None] * penalty
    said = torch.arange(log_probs.shape[2], device=log_probs.device) != CTC_BLANK
    return log_probs + earliness * said


def _impossible(lengths: Sequence[int], texts: Sequence[Sequence[int]]) -> tuple[int, ...]:
    return tuple(
        row
        for row, (length, text) in enumerate(zip(lengths, texts, strict=True))
        if frames_needed(text) > length
    )


def _widened(log_probs: Tensor) -> Tensor:
    """At least fp32: on a CPU, autocast leaves ``log_softmax`` in bf16, in which sums over frames drown."""
    return log_probs.to(torch.promote_types(log_probs.dtype, torch.float32))
