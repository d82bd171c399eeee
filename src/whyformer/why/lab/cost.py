"""Cost of a computation: its time, and the memory that training must hold for it.

B batch · Q query length · K key length · H heads · D head dimension
"""

import math
import time
from collections.abc import Callable, Mapping
from itertools import count

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.checkpoint import checkpoint
from typing_extensions import override

from whyformer.attention.mask import Causal, Everything, Mask
from whyformer.attention.multihead import Taps, attend
from whyformer.attention.score import Score
from whyformer.dropout import Dropout
from whyformer.nn.recurrent.cells import LSTMSpec
from whyformer.position.layout import Layout
from whyformer.why.lab.toys.reader import small_network, small_stack
from whyformer.why.question import Text

Work = Callable[[], Tensor]


@torch.no_grad()
def milliseconds(arms: Mapping[Text, Work], turns: int) -> dict[Text, float]:
    """The processor's time of each arm without gradients, its least in so many turns.

    On one thread that is the time that passes on an idle machine; on a busy one, waiting does not count. In a
    turn all arms run one after the other, so that what else the machine does hits all of them.
    """
    fastest = dict.fromkeys(arms, math.inf)
    for _ in range(turns):
        for arm, work in arms.items():
            began = time.process_time()
            work()
            fastest[arm] = min(fastest[arm], 1e3 * (time.process_time() - began))
    return fastest


def kept_megabytes(work: Work) -> float:
    """Memory that ``work`` keeps for the backward pass, each tensor counted once."""
    storages: dict[int, int] = {}

    def keep(x: Tensor) -> Tensor:
        storages[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
        return x

    with saved_tensors_hooks(keep, lambda x: x):
        held = work()  # while it lives no address is used twice
    assert held.requires_grad
    return sum(storages.values()) / 1e6


class Sliced(Score):
    """The same scores, a few queries at a time; a slice is forgotten, and made anew for the gradient."""

    def __init__(self, score: Score, rows: int) -> None:
        super().__init__()
        self.score = score
        self.rows = rows

    @override
    def forward(self, query: Tensor, key: Tensor) -> Tensor:
        parts = query.split(self.rows, dim=2)
        # (B,H,rows,D) -> (B,H,rows,K), joined to (B,H,Q,K)
        return torch.cat([checkpoint(self.score, part, key, use_reentrant=False) for part in parts], dim=2)


def attention(score: Score, tokens: Tensor) -> Tensor:
    """Context (B,H,Q,D) of queries, keys and values ``tokens`` (3,B,H,Q,D)."""
    query, key, value = tokens
    layout = Layout(torch.arange(query.shape[2])[None])
    mask, dropout, query = Mask(Everything(), layout, layout), Dropout(0.0), score.prepare(query)
    # Asked for the weights, all scores run through the same plain body.
    return attend(
        query, key, value, score=score, bias=None, mask=mask, dropout=dropout, need_weights=True, taps=Taps()
    )[0]


def one_more_token(length: int) -> Work:
    """A step of a wide Transformer layer after so many tokens, which are cached, in 16 sentences."""
    stack = small_stack(1, mask=Causal(), feed_forward=small_network(256)).build(128)
    cache, place = stack.new_cache(), count(length)
    with torch.no_grad():
        stack(torch.randn(16, length, 128), Layout.counting(16, length), cache=cache)
    token = torch.randn(16, 1, 128)
    return lambda: stack(token, Layout.counting(16, 1, start=next(place)), cache=cache)


def one_more_state(length: int) -> Work:
    """A step of an LSTM layer as wide after so many tokens."""
    layer = LSTMSpec().build(128, layers=1, dropout=0.0)
    with torch.no_grad():
        memory = layer.layers(torch.randn(16, length, 128))[1]
    token = torch.randn(16, 1, 128)
    return lambda: layer(token, memory)[0]


def one_update(model: nn.Module, length: int) -> Work:
    """Loss and gradient of a model for 16 sentences of so many tokens."""
    tokens = torch.zeros(16, length, dtype=torch.int64)

    def work() -> Tensor:
        with torch.enable_grad():
            loss = model(tokens).square().mean()
            loss.backward()
        return loss

    return work
