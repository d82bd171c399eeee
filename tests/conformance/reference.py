"""A whole stack in loops, from the rows of a combination; and an example for it to work on.

B batch · L, Q query, K key length · S memory length · H heads · D head dimension · M model dimension
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from conformance import rows
from conformance import slow as formulas
from conformance.product import Combination, schemes, stack_spec
from conformance.rows import LAYERS, M, MaskRow, Scheme
from conformance.slow import Pair, Token, affine
from whyformer.attention.multihead import MultiHeadAttention
from whyformer.nn.recurrent.ssru import SSRU
from whyformer.nn.residual.placement import Placement
from whyformer.nn.stack import Block, Stack
from whyformer.position.layout import Layout

MEMORY = 4
"""Tokens of a memory."""


@dataclass(frozen=True)
class Example:
    """A stack with random parameters, and something to read."""

    c: Combination
    stack: Stack
    x: Tensor
    """(B,L,M) fp64."""
    layout: Layout
    memory: Tensor
    """(B,S,M) fp64."""
    memory_axis: Layout

    @staticmethod
    def of(c: Combination, *, dropout: float = 0.0) -> "Example":
        torch.manual_seed(0)
        stack = stack_spec(c, dropout=dropout).build(M).double()
        with torch.no_grad():
            for parameter in stack.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.2)
                # Nothing else keeps logits small there, and a softmax of large ones turns on their rounding.
                parameter.mul_(0.5 if c.norm == "none" else 1.0)
            for name, buffer in stack.named_buffers():
                if "running" in name:
                    buffer.copy_(torch.rand_like(buffer) + 0.5)
        layout = rows.PADDINGS[c.padding]()
        x, memory = torch.randn(rows.BATCH, rows.LENGTH, M), torch.randn(rows.BATCH, MEMORY, M)
        column, length = torch.arange(MEMORY), torch.tensor([[2], [4]])
        valid = column >= MEMORY - length if c.padding == "left" else column < length
        x, memory = x.double().requires_grad_(), memory.double().requires_grad_()
        return Example(c, stack, x, layout, memory, Layout.of(valid))

    @property
    def real(self) -> Tensor:
        """Which tokens are no padding: (B,L) bool."""
        return real(self.layout)

    @property
    def blocks(self) -> list[Block]:
        return cast("list[Block]", list(self.stack.blocks))

    def fast(self) -> Tensor:
        """What the library makes of it: (B,L,M)."""
        cross = self.stack.read(self.memory, self.memory_axis) if self.c.memory == "memory" else None
        return self.stack(self.stack.embed(self.x, self.layout), self.layout, cross=cross)

    def gradients(self, output: Tensor) -> list[Tensor]:
        """Gradients of x, the memory and all parameters, in a random direction without padding."""
        direction = torch.randn(output.shape, generator=torch.Generator().manual_seed(1))
        inputs = [self.x, self.memory, *self.stack.parameters()]
        total = (output * direction * self.real[..., None]).sum()
        return list(torch.autograd.grad(total, inputs, allow_unused=True, materialize_grads=True))


def real(layout: Layout) -> Tensor:
    return torch.ones_like(layout.position, dtype=torch.bool) if layout.valid is None else layout.valid


def tokens(layout: Layout) -> list[list[Token]]:
    segment = torch.zeros_like(layout.position) if layout.segment is None else layout.segment
    columns = (layout.position.tolist(), real(layout).tolist(), segment.tolist())
    return [[Token(*token) for token in zip(*row, strict=True)] for row in zip(*columns, strict=True)]


def sees(mask: MaskRow, layout: Layout) -> Tensor:
    """Whether each query sees each key: (B,L,L) bool, by the formula of the row."""
    return torch.tensor([[[k.real and mask.sees(q, k) for k in row] for q in row] for row in tokens(layout)])


def slow(example: Example) -> Tensor:
    """What the formulas make of ``example``: (B,L,M)."""
    c, x = example.c, example.x
    norm, placement, residual = rows.NORMS[c.norm], rows.PLACEMENTS[c.placement], rows.RESIDUALS[c.residual]
    network, branches = (
        rows.FEED_FORWARDS[c.feed_forward].network,
        LAYERS * (3 if c.memory == "memory" else 2),
    )

    def normalise(module: nn.Module, x: Tensor) -> Tensor:
        return norm.normalise(module, x, example.real, rows.EPSILON)

    for scheme, module in owned(example, 0):
        if scheme.embed is not None:
            added = [[scheme.embed(module, t.position, M) for t in row] for row in tokens(example.layout)]
            x = x + torch.stack([torch.stack(row) for row in added])

    def join(x: Tensor, ends: Placement, branch: rows.Map) -> Tensor:
        modules = [module for name, module in ends.named_children() if name.endswith("norm")]
        norms = [lambda y, m=module: normalise(m, y) for module in modules]
        return placement.join(x, norms, branch, lambda x, y: residual.add(ends.join, x, y), branches)

    embedded, first = x, list[Tensor]()
    for layer, block in enumerate(example.blocks):
        if residual.embedded:
            x = x + block.get_parameter("embedded") * embedded
        own = (
            attention(example, block, layer, first)
            if block.recurrence is None
            else recurrence(example, block)
        )
        x = join(x, block.attention_branch, own)
        if block.cross_branch is not None:
            x = join(x, block.cross_branch, cross_attention(example, block))
        if network is not None and block.feed_forward_branch is not None:
            module = cast("nn.Module", block.feed_forward)
            x = join(x, block.feed_forward_branch, lambda y, m=module: network(m, y))
    return normalise(cast("nn.Module", example.stack.final_norm), x) if placement.final_norm else x


def owned(example: Example, layer: int) -> Iterator[tuple[Scheme, nn.Module]]:
    """The schemes of a layer, each with the module that has its parameters."""
    shared = iter(example.stack.positions)
    own = iter(cast("nn.ModuleList", example.stack.layer_positions[layer]))
    for scheme in schemes(example.c.positions):
        yield scheme, next(own if scheme.spec.by_layer else shared)


def attention(example: Example, block: Block, layer: int, first: list[Tensor]) -> rows.Map:
    """Self-attention as a function of what enters it; ``first`` takes and gives the first layer's values."""

    def mix(value: Tensor) -> Tensor:
        first.append(value)
        return rows.VALUE_RESIDUALS[c.value_residual].mix(example.stack, layer, value, first[0])

    c, places = example.c, tokens(example.layout)
    module = cast("MultiHeadAttention", block.attention)
    sides = Sides(places, places, sees(rows.MASKS[c.mask], example.layout), list(owned(example, layer)), mix)

    def branch(x: Tensor) -> Tensor:
        return attend(c, module, x, (x, keys(c, c.keys, module, x)), sides)

    return branch


def recurrence(example: Example, block: Block) -> rows.Map:
    """What stands in self-attention's place, as a function of what enters it."""
    module = cast("SSRU", block.recurrence)
    return lambda x: torch.stack(
        [formulas.ssru(module, row, valid) for row, valid in zip(x, example.real.tolist(), strict=True)]
    )


def cross_attention(example: Example, block: Block) -> rows.Map:
    """Cross-attention as a function of what enters it: all of the memory is seen, and no scheme acts."""
    module, memory = cast("MultiHeadAttention", block.cross_attention), example.memory
    seen = real(example.memory_axis)[:, None].expand(-1, rows.LENGTH, -1)
    sides = Sides(tokens(example.layout), tokens(example.memory_axis), seen)
    key = keys(example.c, "own", module, memory)
    return lambda x: attend(example.c, module, x, (memory, key), sides)


def keys(c: Combination, kind: str, module: MultiHeadAttention, source: Tensor) -> Tensor:
    """Keys (B,K,H,D) of ``source`` (B,K,M), normalised and not turned."""
    projected = rows.KEYS[kind].project(module, source, head_dim(module))
    return rows.QUERY_KEY_NORMS[c.query_key_norm].normalise(module.key_norm, projected, rows.EPSILON)


def head_dim(module: MultiHeadAttention) -> int:
    return module.query.out_features // module.heads


@dataclass(frozen=True)
class Sides:
    """Where queries and keys stand, which keys each query sees (B,Q,K), and the schemes that care."""

    queries: list[list[Token]]
    keys: list[list[Token]]
    seen: Tensor
    schemes: Sequence[tuple[Scheme, nn.Module]] = ()
    mix: rows.Map = lambda value: value
    """What becomes of the values (B,K,H,D) before they are attended to."""


def attend(
    c: Combination, module: MultiHeadAttention, x: Tensor, source: tuple[Tensor, Tensor], sides: Sides
) -> Tensor:
    """Each query by itself: the keys that it sees, their logits, a softmax, a mean. (B,Q,M) -> (B,Q,M).

    ``source`` is what values are made of (B,K,M), and keys (B,K,H,D).
    """
    score, heads, dim = rows.SCORES[c.score], module.heads, head_dim(module)
    norm = rows.QUERY_KEY_NORMS[c.query_key_norm]
    query = norm.normalise(
        module.query_norm, affine(module.query, x).unflatten(-1, (heads, dim)), rows.EPSILON
    )
    query = query * score.scale(dim)
    value = sides.mix(affine(module.value, source[0]).unflatten(-1, (-1, dim)))
    # Query head h reads the key and the value of head h // times.
    readers = torch.arange(heads) // (heads // value.shape[2])
    key, value = source[1][:, :, readers], value[:, :, readers]
    turned_query, turned_key = turned(query, sides.queries, sides), turned(key, sides.keys, sides)
    contexts: list[Tensor] = []
    for b, row in enumerate(sides.queries):
        for q, place in enumerate(row):
            seen = sides.seen[b, q].nonzero().flatten().tolist()
            if not seen:
                contexts.append(torch.zeros(heads, dim).double())
                continue
            # (n,H) and (n,H,D): a row for each key that is seen
            logits = score.fit(module.score, turned_query[b, q], turned_key[b, seen])
            values = value[b, seen]
            for scheme, owner in sides.schemes:
                pairs = [
                    Pair(
                        scheme.spec,
                        owner,
                        query[b, q],
                        key[b, k],
                        sides.keys[b][k].position - place.position,
                        rows.MASKS[c.mask].causal,
                    )
                    for k in seen
                ]
                if scheme.logit is not None:
                    logits = logits + torch.stack([scheme.logit(pair) for pair in pairs])
                if scheme.value is not None:
                    values = values + torch.stack([scheme.value(pair) for pair in pairs])[:, None]
            contexts.append((logits.softmax(0)[..., None] * values).sum(0))
    # B·Q times (H,D) -> (B,Q,H·D)
    context = torch.stack(contexts).view(*x.shape[:2], heads * dim)
    return affine(module.output, rows.GATES[c.gate].passed(module, context, x))


def turned(x: Tensor, places: list[list[Token]], sides: Sides) -> Tensor:
    """Queries or keys (B,L,H,D) after the schemes that rotate them, token by token."""
    for scheme, _ in sides.schemes:
        if scheme.rotate is not None:
            every = [
                [scheme.rotate(scheme.spec, x[b, i], token.position) for i, token in enumerate(row)]
                for b, row in enumerate(places)
            ]
            x = torch.stack([torch.stack(row) for row in every])
    return x
