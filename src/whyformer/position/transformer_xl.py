"""Transformer-XL's projected sinusoids of offsets.

B batch · Q query, K key length · N offsets · H heads · D head dimension · M model dimension
"""

from collections.abc import Iterator
from typing import Any, ClassVar, Literal, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F
from typing_extensions import override

from whyformer.position.absolute import sinusoids
from whyformer.position.attention_shape import AttentionShape
from whyformer.position.layout import Layout
from whyformer.position.offsets import extent, skewed, spread
from whyformer.position.scheme import OwnedSpec, PositionScheme

# Queries whose products exist at a time: enough for a good product, few against the keys of a long text.
_ROWS = 32


class TransformerXLSpec(OwnedSpec):
    """Learned projections of sinusoids of the offset; keys by content and by offset have biases of their own.

    Sinusoids reach to any offset, so longer input needs nothing new.
    """

    origin: ClassVar[str] = "Dai et al. 2019, section 3.3"
    dot_only: ClassVar[bool] = True
    kind: Literal["transformer_xl"] = "transformer_xl"

    def build(self, shape: AttentionShape) -> PositionScheme:
        """The scheme for the heads of ``shape``."""
        return TransformerXL(shape)


class TransformerXL(PositionScheme):
    """u · k + (q + v) · W_R sinusoid(offset). Memory: H·Q·K numbers.

    u and v (H,D) join the query after it was scaled, so they hold the paper's times the scale.
    """

    def __init__(self, shape: AttentionShape) -> None:
        super().__init__()
        self.shape = shape
        self.content = nn.Parameter(torch.zeros(shape.heads, shape.dim))
        self.offset = nn.Parameter(torch.zeros(shape.heads, shape.dim))
        self.project = nn.Linear(shape.d_model, shape.heads * shape.dim, bias=False)
        nn.init.xavier_uniform_(self.project.weight)
        # Not a buffer: how far it has grown is no part of the model, to be saved, cast or synchronised.
        self.waves = torch.empty(0, 0)

    def encodings(self, lowest: int, highest: int) -> Tensor:
        """W_R sinusoid(offset) for the offsets from ``lowest`` to ``highest``, (N,H·D).

        Sines change their sign with the offset and cosines do not, so one half is the other's mirror image.
        """
        weight, farthest = self.project.weight, max(-lowest, highest)
        if farthest >= len(self.waves) or self.waves.device != weight.device:
            # They outlive this pass: what inference mode makes could not be trained with later.
            with torch.inference_mode(False):
                distances = torch.arange(max(64, 2 * farthest), device=weight.device)
                waves = sinusoids(distances, self.shape.d_model)
                # (N,M): all sines, then all cosines
                self.waves = torch.cat([waves[:, 0::2], waves[:, 1::2]], dim=-1)
        waves = self.waves[: farthest + 1].to(weight.dtype)
        sines, cosines = waves.tensor_split([(self.shape.d_model + 1) // 2], dim=-1)
        odd, even = F.linear(sines, weight[:, 0::2]), F.linear(cosines, weight[:, 1::2])
        mirrored = (even - odd)[1:].flip(0)
        return torch.cat([mirrored, even + odd])[farthest + lowest : farthest + highest + 1]

    @override
    def logits(self, query: Tensor, key: Tensor, queries: Layout, keys: Layout) -> Tensor:
        lowest, highest = extent(queries, keys)
        # (N,H·D) -> (H,D,N)
        encodings = self.encodings(lowest, highest).to(query.dtype)
        encodings = encodings.unflatten(-1, (self.shape.heads, -1)).permute(1, 2, 0)
        x = query + self.offset[:, None].to(query.dtype)
        # (H,1,D) @ (B,H,D,K) -> (B,H,1,K)
        content = self.content[:, None].to(query.dtype) @ key.transpose(-2, -1)
        if queries.start is None or keys.start is None:
            # (B,H,Q,D) @ (H,D,N) -> (B,H,Q,N)
            return content + spread(lambda x, _: torch.matmul(x, encodings), x, queries, keys)
        return cast("Tensor", _Products.apply(x, encodings, content))


class _Products(torch.autograd.Function):
    """``content + spread(x · encodings)`` in blocks of queries that never exist all at once.

    Autograd would copy every block four times more, which took longer than the products themselves.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, encodings: Tensor, content: Tensor) -> Tensor:
        """X (B,H,Q,D), encodings (H,D,N) of rising offsets, content (B,H,1,K) -> (B,H,Q,K)."""
        batch, heads, length, _ = x.shape
        # Heads in front, so that each multiplies its encodings once for the whole batch.
        x = x.transpose(0, 1).contiguous()
        logits = x.new_empty(heads, batch, length, content.shape[-1])
        for rows, offsets in _blocks(length, content.shape[-1]):
            # (H,B·Q,D) @ (H,D,N) -> (H,B·Q,N)
            by_offset = x[:, :, rows].flatten(1, 2) @ encodings[..., offsets]
            by_key = skewed(by_offset.unflatten(1, (batch, -1)))
            torch.add(by_key, content.transpose(0, 1), out=logits[:, :, rows])
        ctx.save_for_backward(x, encodings)
        return logits.transpose(0, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The same blocks again, the other way round."""
        x, encodings = ctx.saved_tensors
        gradient = gradient.transpose(0, 1)
        x_gradient, encodings_gradient = torch.empty_like(x), torch.zeros_like(encodings)
        content_gradient = gradient.new_zeros(*gradient.shape[:2], 1, gradient.shape[-1])
        by_offset = x.new_empty(0)
        for rows, offsets in _blocks(x.shape[2], gradient.shape[-1]):
            block = gradient[:, :, rows]
            content_gradient += block.sum(dim=-2, keepdim=True)
            shape = (*block.shape[:3], offsets.stop - offsets.start)
            if by_offset.shape != shape:
                by_offset = x.new_zeros(shape)
            # What is outside the band stays zero from block to block.
            skewed(by_offset).copy_(block)
            flat = by_offset.flatten(1, 2)
            products = flat @ encodings[..., offsets].transpose(1, 2)
            x_gradient[:, :, rows] = products.unflatten(1, shape[1:3])
            encodings_gradient[..., offsets] += x[:, :, rows].flatten(1, 2).transpose(1, 2) @ flat
        return x_gradient.transpose(0, 1), encodings_gradient, content_gradient.transpose(0, 1)


def _blocks(length: int, count: int) -> Iterator[tuple[slice, slice]]:
    """Rows of ``length`` queries, and the places, from the lowest, of their offsets to ``count`` keys."""
    for first in range(0, length, _ROWS):
        last = min(first + _ROWS, length)
        yield slice(first, last), slice(length - last, length - first + count - 1)
