"""A plan's weights in memory, in the order in which the library reads them.

M model dimension · V vocabulary · I inputs and O outputs of a product
"""

import ctypes
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from whyformer.engines.native import library
from whyformer.engines.native.plan import (
    Plan,
    PlannedAttention,
    PlannedBranchNorms,
    PlannedHeadNorm,
    PlannedLayer,
    PlannedProduct,
    PlannedRecurrence,
    PlannedStack,
)
from whyformer.nn.residual.norm import LayerNorm
from whyformer.special_tokens import BOS, EOS

NativePrecision = Literal["int8", "fp32"]

PANEL = 32
"""Outputs of a panel, as in ``product.h``."""
_SHIFT = 128
"""Number that is added to inputs to make them unsigned."""


class Packed:
    """A copy of the weights of a ``plan``, and the struct that points at it."""

    def __init__(self, plan: Plan, precision: NativePrecision) -> None:
        self.precision: NativePrecision = precision
        self._kept: list[object] = []
        """Tensors that pointers point at."""
        self._widest = 0
        with torch.no_grad():
            encoder = self._stack(plan.encoder)
            before = self._bytes()
            decoder = self._stack(plan.decoder)
            widest, output = self._widest, self.linear(plan.output)
            self.decoder_bytes = self._bytes() - before
            """Bytes that are read to write a token, or a few more."""
        vocabulary, d_model = plan.output.weight.shape
        self.struct = library.ModelStruct(encoder, decoder, output, d_model, vocabulary, BOS, EOS, widest)

    def linear(self, product: PlannedProduct) -> library.LinearStruct:
        """The struct of one product."""
        weight, bias = product.weight, product.bias
        outputs, inputs = weight.shape
        if self.precision == "int8":
            weight, scale = quantised(weight)
            start, in_word = weight.sum(dim=1, dtype=torch.int32) * -_SHIFT, 4
        else:
            scale, start, in_word = torch.ones(outputs), torch.zeros(outputs), 1
        rows = [F.pad(row, (0, -outputs % PANEL)) for row in (start, scale, bias)]
        pointers = [self._pointer(tensor) for tensor in (panels(weight, in_word), *rows)]
        self._widest = max(self._widest, inputs, len(rows[0]))
        return library.LinearStruct(*pointers, inputs, len(rows[0]), product.activation)

    def _stack(self, stack: PlannedStack) -> library.StackStruct:
        turns = (None, 0) if stack.turns is None else (self._pointer(stack.turns), stack.turns.shape[1])
        layers = [self._layer(layer, *turns) for layer in stack.layers]
        array = (library.LayerStruct * len(layers))(*layers)
        self._kept.append(array)
        return library.StackStruct(
            ctypes.addressof(array),
            len(layers),
            self._table(stack.embedding),
            self._pointer(stack.position),
            stack.scale,
            library.NormStruct() if stack.last is None else self._norm(stack.last),
        )

    def _table(self, rows: Tensor) -> library.TableStruct:
        if self.precision == "fp32":
            return library.TableStruct(self._pointer(rows), None)
        return library.TableStruct(*map(self._pointer, quantised(rows)))

    def _layer(self, layer: PlannedLayer, turn: int | None, turned: int) -> library.LayerStruct:
        own, attention, memory = self._own(layer.own), library.AttentionStruct(), library.LinearStruct()
        own.turn, own.turned = turn, turned
        if layer.cross is not None:
            attention, memory = self._attention(layer.cross.attention), self.linear(layer.cross.memory)
        enter, leave = self.linear(layer.enter), self.linear(layer.leave)
        return library.LayerStruct(own, attention, memory, enter, leave, self._norms(layer.norms))

    def _own(self, own: PlannedAttention | PlannedRecurrence) -> library.AttentionStruct:
        """The mixing of one sequence's tokens; a recurrence has no heads and no last product."""
        if isinstance(own, PlannedAttention):
            return self._attention(own)
        return library.AttentionStruct(input=self.linear(own.input), norms=self._norms(own.norms))

    def _attention(self, attention: PlannedAttention) -> library.AttentionStruct:
        return library.AttentionStruct(
            self.linear(attention.input),
            self.linear(attention.output),
            self._norms(attention.norms),
            attention.heads,
            attention.dim,
            head_norm=self._head_norm(attention.head_norm),
            gated=attention.gated,
            first_value=attention.first_value,
        )

    def _head_norm(self, norm: PlannedHeadNorm | None) -> library.HeadNormStruct:
        if norm is None:
            return library.HeadNormStruct()
        return library.HeadNormStruct(self._pointer(norm.query), self._pointer(norm.key), norm.epsilon)

    def _norms(self, norms: PlannedBranchNorms) -> library.BranchNormsStruct:
        leaving = library.NormStruct() if norms.leaving is None else self._norm(norms.leaving)
        return library.BranchNormsStruct(self._norm(norms.norm), leaving)

    def _norm(self, norm: LayerNorm) -> library.NormStruct:
        return library.NormStruct(self._pointer(norm.weight), self._pointer(norm.bias), norm.eps)

    def _bytes(self) -> int:
        return sum(kept.nbytes for kept in self._kept if isinstance(kept, Tensor))

    def _pointer(self, tensor: Tensor) -> int:
        """The address of what the library reads: ``tensor``, whole numbers as they are, others in fp32."""
        held = tensor.detach()
        held = (held.float() if held.is_floating_point() else held).contiguous()
        self._kept.append(held)
        return held.data_ptr()


def quantised(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Each row of ``weight`` (O,I) as integers from -127 to 127, and what 1 is worth in it (O,)."""
    largest = weight.float().abs().amax(dim=1)
    scale = torch.where(largest == 0, 1.0, largest / 127)
    return (weight / scale[:, None]).round().to(torch.int8), scale


def panels(weight: Tensor, in_word: int) -> Tensor:
    """``weight`` (O,I) in the order in which it is read: panel by panel, word by word, output by output."""
    padded = F.pad(weight, (0, -weight.shape[1] % in_word, 0, -len(weight) % PANEL))
    # (O,I) -> (panels,PANEL,words,in_word) -> (panels,words,PANEL,in_word)
    return padded.unflatten(1, (-1, in_word)).unflatten(0, (-1, PANEL)).transpose(1, 2).contiguous()
