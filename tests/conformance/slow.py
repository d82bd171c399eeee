"""The slow reference: every alternative by its formula, one query and one key at a time.

B batch · L length · H heads · D head dimension · M model dimension

Nothing here is shared with the library but its parameters.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from whyformer.position.positions import PositionSpec
from whyformer.position.rotary import RotarySpec


class Token(NamedTuple):
    """What a mask rule may know of one token."""

    position: int
    real: bool
    segment: int


class Pair(NamedTuple):
    """What a position scheme may know of one query and one key."""

    spec: PositionSpec
    module: nn.Module
    query: Tensor
    """(H,D), scaled."""
    key: Tensor
    """(H,D)."""
    offset: int
    """The key's position minus the query's."""
    causal: bool


def affine(layer: nn.Module, x: Tensor) -> Tensor:
    parameters = dict(layer.named_parameters())
    y = x @ parameters["weight"].T
    return y + parameters["bias"] if "bias" in parameters else y


def ssru(unit: nn.Module, x: Tensor, valid: list[bool]) -> Tensor:
    """One sentence (L,M), token by token; padding leaves the state as it is."""
    state, made = torch.zeros_like(x[0]), list[Tensor]()
    for token, is_real in zip(x, valid, strict=True):
        if is_real:
            keep = affine(unit.get_submodule("forget"), token).sigmoid()
            state = keep * state + (1 - keep) * affine(unit.get_submodule("input"), token)
        made.append(state.clamp_min(0))
    return torch.stack(made)


# Scores: a query (H,D) and a key (H,D) -> (H,).


def dot(score: nn.Module, query: Tensor, key: Tensor) -> Tensor:
    return (query * key).sum(-1)


def additive(score: nn.Module, query: Tensor, key: Tensor) -> Tensor:
    return (score.get_parameter("vector") * torch.tanh(query + key)).sum(-1)


# Keys: a source (B,L,M) -> (B,L,H,D).


def own_keys(attention: nn.Module, source: Tensor, dim: int) -> Tensor:
    return affine(attention.get_submodule("key"), source).unflatten(-1, (-1, dim))


def shared_keys(attention: nn.Module, source: Tensor, dim: int) -> Tensor:
    return affine(attention.get_submodule("query"), source).unflatten(-1, (-1, dim))


def shared_unit_keys(attention: nn.Module, source: Tensor, dim: int) -> Tensor:
    key = shared_keys(attention, source, dim)
    return key / key.square().sum(-1, keepdim=True).sqrt()


# Values: those of a layer and of the first (B,L,H,D) -> (B,L,H,D).


def own_values(stack: nn.Module, layer: int, value: Tensor, first: Tensor) -> Tensor:
    return value


def mixed_values(stack: nn.Module, layer: int, value: Tensor, first: Tensor) -> Tensor:
    if layer == 0:
        return value
    own, other = (stack.get_parameter(f"value_residual.{name}")[layer - 1] for name in ("own", "first"))
    return own * value + other * first


# Norms of queries or keys: (B,L,H,D) -> (B,L,H,D).


def no_head_norm(norm: nn.Module, x: Tensor, epsilon: float) -> Tensor:
    return x


def rms_head_norm(norm: nn.Module, x: Tensor, epsilon: float) -> Tensor:
    return x / (x.square().mean(-1, keepdim=True) + epsilon).sqrt() * norm.get_parameter("weight")


# Gates: a context (B,Q,H·D) and an input (B,Q,M) -> (B,Q,H·D).


def no_gate(attention: nn.Module, context: Tensor, x: Tensor) -> Tensor:
    return context


def sigmoid_gate(attention: nn.Module, context: Tensor, x: Tensor) -> Tensor:
    return context / (1 + torch.exp(-affine(attention.get_submodule("gate.open"), x)))


# Positions in the input: what is added at one position (M,).


def sinusoid(position: int, d_model: int) -> Tensor:
    """Rounded to fp32, as the library keeps it."""
    angles = [position / 10_000 ** (2 * (i // 2) / d_model) for i in range(d_model)]
    numbers = [math.cos(angle) if i % 2 else math.sin(angle) for i, angle in enumerate(angles)]
    return torch.tensor(numbers, dtype=torch.float32).double()


def learned(module: nn.Module, position: int, d_model: int) -> Tensor:
    return module.get_parameter("table")[position]


# Positions as a rotation: a query or key (H,D) at one position -> (H,D).


def rotary(spec: PositionSpec, x: Tensor, position: int) -> Tensor:
    assert isinstance(spec, RotarySpec)
    turned = round(spec.fraction * x.shape[-1])
    half, components = turned // 2, list(x.unbind(-1))
    for i in range(half):
        angle = position / spec.stretch / spec.base ** (2 * i / turned)
        sine, cosine = math.sin(angle), math.cos(angle)
        first, second = x[:, i], x[:, i + half]
        components[i], components[i + half] = first * cosine - second * sine, first * sine + second * cosine
    return torch.stack(components, dim=-1)


# Positions in the logits (H,), and in the values (D,).


def alibi(pair: Pair) -> Tensor:
    return -abs(pair.offset) * torch.tensor(alibi_slopes(len(pair.query)), dtype=pair.query.dtype)


def alibi_slopes(heads: int) -> list[float]:
    below = 2 ** math.floor(math.log2(heads))
    if heads == below:
        return [2 ** (-8 * (h + 1) / heads) for h in range(heads)]
    return alibi_slopes(below) + alibi_slopes(2 * below)[0::2][: heads - below]


def t5(pair: Pair, buckets: int, farthest: int) -> Tensor:
    return pair.module.get_parameter("table")[t5_bucket(pair.offset, buckets, farthest, pair.causal)]


def t5_bucket(offset: int, buckets: int, farthest: int, causal: bool) -> int:
    if not causal:
        half = buckets // 2
        return t5_bucket(-abs(offset), half, farthest, causal=True) + (half if offset > 0 else 0)
    distance, near = max(0, -offset), buckets // 2
    if distance < near:
        return distance
    growth = math.log(distance / near) / math.log(farthest / near)
    return min(buckets - 1, near + math.floor(growth * (buckets - near)))


def shaw_keys(pair: Pair, distance: int) -> Tensor:
    return pair.query @ shaw_values(pair, distance)


def shaw_values(pair: Pair, distance: int) -> Tensor:
    return pair.module.get_parameter("table")[distance + max(-distance, min(distance, pair.offset))]


def transformer_xl(pair: Pair) -> Tensor:
    matrix = pair.module.get_parameter("project.weight")
    # (H·D,M) @ (M,) -> (H,D)
    by_offset = (matrix @ sinusoid(pair.offset, matrix.shape[1])).view_as(pair.query)
    content, place = pair.module.get_parameter("content"), pair.module.get_parameter("offset")
    return ((pair.query + place) * by_offset + content * pair.key).sum(-1)


# Norms: (B,L,M) -> (B,L,M).


def layer_norm(norm: nn.Module, x: Tensor, real: Tensor, epsilon: float) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    normal = centred / (centred.square().mean(-1, keepdim=True) + epsilon).sqrt()
    return normal * norm.get_parameter("weight") + norm.get_parameter("bias")


def rms_norm(norm: nn.Module, x: Tensor, real: Tensor, epsilon: float) -> Tensor:
    return x / (x.square().mean(-1, keepdim=True) + epsilon).sqrt() * norm.get_parameter("weight")


def batch_norm(norm: nn.Module, x: Tensor, real: Tensor, epsilon: float) -> Tensor:
    mean, variance = norm.get_buffer("running_mean"), norm.get_buffer("running_var")
    if norm.training:
        mean = x[real].mean(0)
        variance = (x[real] - mean).square().mean(0)
    normal = (x - mean) / (variance + epsilon).sqrt()
    return (normal * norm.get_parameter("weight") + norm.get_parameter("bias")) * real[..., None]


def no_norm(norm: nn.Module, x: Tensor, real: Tensor, epsilon: float) -> Tensor:
    return x


# Residual and branch (B,L,M) -> (B,L,M).


def plain_sum(join: nn.Module, x: Tensor, branch: Tensor) -> Tensor:
    return x + branch


def weighted_sum(join: nn.Module, x: Tensor, branch: Tensor) -> Tensor:
    return join.get_parameter("kept") * x + join.get_parameter("added") * branch


# Feed-forward networks: (B,L,M) -> (B,L,M).


def relu(network: nn.Module, x: Tensor) -> Tensor:
    hidden = affine(network.get_submodule("enter"), x)
    return affine(network.get_submodule("leave"), torch.where(hidden > 0, hidden, 0))


def relu_squared(network: nn.Module, x: Tensor) -> Tensor:
    hidden = affine(network.get_submodule("enter"), x)
    return affine(network.get_submodule("leave"), torch.where(hidden > 0, hidden**2, 0))


def gelu(network: nn.Module, x: Tensor) -> Tensor:
    hidden = affine(network.get_submodule("enter"), x)
    return affine(network.get_submodule("leave"), hidden * (1 + torch.erf(hidden / math.sqrt(2))) / 2)


def gelu_tanh(network: nn.Module, x: Tensor) -> Tensor:
    hidden = affine(network.get_submodule("enter"), x)
    bend = torch.tanh(math.sqrt(2 / math.pi) * (hidden + 0.044715 * hidden**3))
    return affine(network.get_submodule("leave"), hidden * (1 + bend) / 2)


def silu(network: nn.Module, x: Tensor) -> Tensor:
    hidden = affine(network.get_submodule("enter"), x)
    return affine(network.get_submodule("leave"), hidden / (1 + torch.exp(-hidden)))


def linear(network: nn.Module, x: Tensor) -> Tensor:
    return affine(network.get_submodule("leave"), affine(network.get_submodule("enter"), x))


def swiglu(network: nn.Module, x: Tensor) -> Tensor:
    gate = affine(network.get_submodule("gate"), x)
    hidden = gate / (1 + torch.exp(-gate)) * affine(network.get_submodule("enter"), x)
    return affine(network.get_submodule("leave"), hidden)
