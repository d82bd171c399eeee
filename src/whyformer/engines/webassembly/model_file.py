"""A model as one file of int8 weights, which a browser's engine reads: ``source/model_file.h``.

M model dimension · V vocabulary · I inputs and O outputs of a product
"""

import struct
import zlib
from collections.abc import Iterator

import torch
from torch import Tensor

from whyformer.engines.native.pack import quantised
from whyformer.engines.native.plan import (
    Plan,
    PlannedAttention,
    PlannedBranchNorms,
    PlannedLayer,
    PlannedProduct,
    PlannedRecurrence,
    PlannedStack,
    plan_of,
)
from whyformer.models.encoder_decoder import AnyEncoderDecoder
from whyformer.nn.residual.norm import LayerNorm
from whyformer.special_tokens import BOS, EOS

MAGIC = b"whyformer model\n"
VERSION = 4
_TABLE, _COMPUTED, _SHARED = range(3)
"""Where position terms come from, as in ``model_file.h``."""


@torch.no_grad()
def model_bytes(model: AnyEncoderDecoder) -> bytes:
    """The file of ``model``: the very weights that the native engine has in int8.

    Raises:
        DecodingError: the native engine cannot express the model.
    """
    body = b"".join(_plan(plan_of(model)))
    return MAGIC + struct.pack("<iII", VERSION, len(body), zlib.crc32(body)) + body


def _plan(plan: Plan) -> Iterator[bytes]:
    encoder, decoder, output = plan.encoder, plan.decoder, plan.output
    vocabulary, d_model = output.weight.shape
    yield struct.pack("<6i", d_model, plan.longest, len(encoder.embedding), vocabulary, BOS, EOS)
    yield from _stack(encoder, None)
    yield from _stack(decoder, encoder)
    tied = output.weight is decoder.embedding
    yield struct.pack("<i", tied)
    if not tied:
        yield from _whole_numbers(output.weight)
    yield _reals(output.bias)


def _stack(stack: PlannedStack, encoder: PlannedStack | None) -> Iterator[bytes]:
    """A stack; that of the decoder, after which of the ``encoder`` it may share."""
    yield struct.pack("<id", len(stack.layers), stack.scale)
    shares = encoder is not None and stack.embedding is encoder.embedding
    yield struct.pack("<i", shares)
    if not shares:
        yield from _whole_numbers(stack.embedding)
    yield from _positions(stack, encoder)
    yield struct.pack("<i", 0 if stack.turns is None else stack.turns.shape[1])
    if stack.turns is not None:
        yield _reals(stack.turns)
    yield struct.pack("<i", stack.last is not None)
    if stack.last is not None:
        yield from _norm(stack.last)
    for layer in stack.layers:
        yield from _layer(layer)


def _positions(stack: PlannedStack, encoder: PlannedStack | None) -> Iterator[bytes]:
    if encoder is not None and torch.equal(stack.position, encoder.position):
        yield struct.pack("<i", _SHARED)
    elif stack.sinusoidal:
        yield struct.pack("<i", _COMPUTED)
    else:
        yield struct.pack("<i", _TABLE)
        yield _reals(stack.position)


def _layer(layer: PlannedLayer) -> Iterator[bytes]:
    yield from _own(layer.own)
    if layer.cross is not None:
        yield from _attention(layer.cross.attention)
        yield from _product(layer.cross.memory)
    yield struct.pack("<ii", len(layer.enter.weight), layer.enter.activation)
    yield from _product(layer.enter)
    yield from _product(layer.leave)
    yield from _norms(layer.norms)


def _own(own: PlannedAttention | PlannedRecurrence) -> Iterator[bytes]:
    """The mixing of one sequence's tokens; a recurrence has no heads."""
    if isinstance(own, PlannedAttention):
        yield from _attention(own)
        return
    yield struct.pack("<ii", 0, 0)
    yield from _product(own.input)
    yield from _norms(own.norms)


def _attention(attention: PlannedAttention) -> Iterator[bytes]:
    norm = attention.head_norm
    yield struct.pack("<iiii", attention.heads, attention.dim, attention.gated, norm is not None)
    yield from _product(attention.input)
    yield from _product(attention.output)
    yield from _norms(attention.norms)
    if norm is not None:
        yield struct.pack("<d", norm.epsilon)
        yield _reals(norm.query)
        yield _reals(norm.key)
    yield struct.pack("<d", attention.first_value)


def _product(product: PlannedProduct) -> Iterator[bytes]:
    yield from _whole_numbers(product.weight)
    yield _reals(product.bias)


def _whole_numbers(weight: Tensor) -> Iterator[bytes]:
    """Rows (O,I) as int8, and what 1 is worth in each."""
    rows, scale = quantised(weight)
    yield rows.contiguous().numpy().tobytes()
    yield _reals(scale)


def _norms(norms: PlannedBranchNorms) -> Iterator[bytes]:
    yield from _norm(norms.norm)
    yield struct.pack("<i", norms.leaving is not None)
    if norms.leaving is not None:
        yield from _norm(norms.leaving)


def _norm(norm: LayerNorm) -> Iterator[bytes]:
    yield struct.pack("<d", norm.eps)
    yield _reals(norm.weight)
    yield _reals(norm.bias)


def _reals(numbers: Tensor) -> bytes:
    return numbers.detach().float().contiguous().numpy().astype("<f4").tobytes()
