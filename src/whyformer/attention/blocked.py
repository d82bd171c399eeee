"""Attention a block of queries at a time: memory grows with the length, and work with what the mask allows.

B batch · Q query length · K key length · H heads · D head dimension
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from whyformer.attention.mask import Mask

BlockBody = Callable[[Tensor, Tensor, Tensor, Mask], Tensor]
"""Attention of some queries (B,H,Q,D) to keys and values (B,H,K,D) under a mask: their context (B,H,Q,D)."""


def blocked(body: BlockBody, query: Tensor, key: Tensor, value: Tensor, mask: Mask) -> Tensor:
    """The context (B,H,Q,D) that ``body`` computes, without ever holding more weights than one block has.

    The gradient computes each block once more (Chen et al. 2016, "Training deep nets with sublinear memory
    cost"), with the same dropout. So the time is about a third more than that of ``body`` where everything
    is allowed; where the mask lets keys out, the time follows what it allows.
    """
    context: Tensor = _Blocked.apply(query, key, value, body, mask)
    return context


class _Blocked(torch.autograd.Function):
    """Keys that no query of a block can reach are left out; nothing else is different."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, body: BlockBody, mask: Mask) -> Tensor:
        ctx.save_for_backward(query, key, value)
        ctx.body, ctx.mask, ctx.random = body, mask, torch.get_rng_state()
        # Kept for the gradients, which are made outside of the present autocast.
        kind = query.device.type
        active, dtype = torch.is_autocast_enabled(kind), torch.get_autocast_dtype(kind)
        ctx.autocast = torch.autocast(kind, dtype=dtype, enabled=active)
        contexts = [
            body(query[:, :, rows], key[:, :, columns], value[:, :, columns], mask.part(rows, columns))
            for rows, columns in mask.blocks
        ]
        return torch.cat(contexts, dim=2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        saved = ctx.saved_tensors
        # Many blocks add to the same keys: their sum wants more bits than bf16 has.
        totals = [torch.zeros_like(x, dtype=torch.promote_types(x.dtype, torch.float32)) for x in saved]
        with torch.random.fork_rng(devices=[]), torch.enable_grad(), ctx.autocast:
            torch.set_rng_state(ctx.random)
            for rows, columns in ctx.mask.blocks:
                places = (rows, columns, columns)
                cut = [x[:, :, place].detach() for x, place in zip(saved, places, strict=True)]
                inputs = [x.requires_grad_() for x in cut]
                context = ctx.body(*inputs, ctx.mask.part(rows, columns))
                found = torch.autograd.grad(context, inputs, gradient[:, :, rows])
                for total, place, share in zip(totals, places, found, strict=True):
                    total[:, :, place] += share
        return *(total.to(x.dtype) for total, x in zip(totals, saved, strict=True)), None, None
