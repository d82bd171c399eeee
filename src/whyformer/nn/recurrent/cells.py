"""Recurrent layers: what the Transformer replaced.

B batch · L length · I input components · M components of the state
"""

from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from typing_extensions import override

from whyformer.position.layout import Layout, Padding, real_tokens
from whyformer.spec import Spec

Memory = tuple[Tensor, ...]
"""States of the layers, (layers,B,M) each: the hidden state, and of an LSTM the cell's too."""


class _CellSpec(Spec):
    """Base of both cells: torch has layers of each."""

    layers_type: ClassVar[type[nn.LSTM] | type[nn.GRU]]

    def build(self, width: int, layers: int, dropout: float, *, both_ways: bool = False) -> "Recurrent":
        """Layers of ``width`` components, between which ``dropout`` acts."""
        size = width // 2 if both_ways else width
        between = dropout if layers > 1 else 0.0
        return Recurrent(
            self.layers_type(width, size, layers, batch_first=True, dropout=between, bidirectional=both_ways)
        )


class LSTMSpec(_CellSpec):
    """Long short-term memory: gates decide what a cell keeps, takes in and lets out."""

    origin: ClassVar[str] = "Hochreiter and Schmidhuber 1997, section 4"
    layers_type = nn.LSTM
    kind: Literal["lstm"] = "lstm"


class GRUSpec(_CellSpec):
    """Gated recurrent unit: an LSTM without a cell apart from its state."""

    origin: ClassVar[str] = "Cho et al. 2014, section 2.3"
    layers_type = nn.GRU
    kind: Literal["gru"] = "gru"


CellSpec = Annotated[LSTMSpec | GRUSpec, Field(discriminator="kind")]


class Recurrent(nn.Module):
    """torch's recurrent layers behind one signature; both ways, each direction has half the width."""

    def __init__(self, layers: nn.LSTM | nn.GRU) -> None:
        super().__init__()
        self.layers = layers

    def read(self, x: Tensor, valid: Padding) -> tuple[Tensor, Memory]:
        """Read whole sentences, padded on the right.

        Args:
            x: (B,L,M).
            valid: (B,L). A row without a real token is read as if it had one.

        Returns:
            States (B,L,M), zero at padding, and what is remembered after each sentence's last token.
        """
        known = valid.lengths if isinstance(valid, Layout) else None
        # torch wants them on the CPU.
        lengths = real_tokens(valid).sum(dim=1).cpu() if known is None else torch.tensor(known)
        lengths = lengths.clamp_min(1)
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        states, memory = self.layers(packed)
        states, _ = pad_packed_sequence(states, batch_first=True, total_length=x.shape[1])
        return states, tuple(self._joined(part) for part in _parts(memory))

    @override
    def forward(self, x: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        """Go on from ``memory`` over ``x`` (B,L,M), one way: states (B,L,M), and the memory after them."""
        states, memory = self.layers(x, memory if isinstance(self.layers, nn.LSTM) else memory[0])
        return states, _parts(memory)

    def _joined(self, part: Tensor) -> Tensor:
        """Both directions of each layer side by side: (layers·2,B,M/2) -> (layers,B,M)."""
        if not self.layers.bidirectional:
            return part
        forward, backward = part.unflatten(0, (-1, 2)).unbind(dim=1)
        return torch.cat([forward, backward], dim=-1)


def _parts(memory: Tensor | Memory) -> Memory:
    return (memory,) if isinstance(memory, Tensor) else tuple(memory)
