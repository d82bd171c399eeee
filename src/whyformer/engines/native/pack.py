"""A Transformer's weights as the library reads them, and what of a Transformer it cannot express.

L length · M model dimension · H heads · D head dimension · V vocabulary · I inputs and O outputs of a product
"""

import ctypes
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from whyformer.attention.multihead import AttentionSpec, MultiHeadAttention
from whyformer.attention.score import Dot
from whyformer.engines.native import library
from whyformer.models.transformer import Transformer, TransformerSpec
from whyformer.nn.embedding import TokenEmbedding
from whyformer.nn.feed_forward import FeedForward
from whyformer.nn.norm import LayerNorm, Norm
from whyformer.nn.placement import Placement
from whyformer.nn.stack import Block, Stack, StackSpec
from whyformer.position.rotary import Rotary
from whyformer.special_tokens import BOS, EOS, PAD

NativePrecision = Literal["int8", "fp32"]
PackedWeights = tuple[Tensor, Tensor]
"""A matrix (O,I) and a bias (O,)."""

# As in decode.cpp: the outputs of a panel, and the numbers of `Activation`.
PANEL = 32
_NONE, _RELU, _GELU = 0, 1, 2
_ACTIVATIONS: dict[Callable[[Tensor], Tensor], int] = {F.relu: _RELU, F.gelu: _GELU}
# What is added to inputs to make them unsigned.
_SHIFT = 128


def fault(spec: TransformerSpec) -> str | None:
    """The first field of ``spec`` that the library cannot express, or None."""
    return next(chain(_faults("encoder", spec.encoder), _faults("decoder", spec.decoder)), None)


def _faults(name: str, stack: StackSpec) -> Iterator[str]:
    block = stack.block
    fits = {
        "mask.kind": stack.mask.kind == ("causal" if name == "decoder" else "everything"),
        "positions": all(scheme.kind in ("sinusoidal", "learned", "rotary") for scheme in stack.positions)
        and sum(scheme.kind == "rotary" for scheme in stack.positions) <= 1,
        "block.convolution": block.convolution is None,
        "block.macaron": not block.macaron,
        "block.norm.kind": block.norm.kind == "layer",
        "block.placement.kind": block.placement.kind in ("pre", "post"),
        "block.feed_forward.kind": block.feed_forward.kind in ("relu", "gelu"),
        "block.attention": _is_plain(block.attention),
        "block.cross_attention": block.cross_attention is None or _is_plain(block.cross_attention),
    }
    yield from (f"{name}.{field}" for field, fitting in fits.items() if not fitting)


def _is_plain(attention: AttentionSpec) -> bool:
    """Whether each query head has keys and values of its own, compared by a dot product."""
    own = attention.keys.kind == "own" and attention.heads.key_value_heads == attention.heads.query
    return own and attention.score.kind in ("scaled_dot", "dot")


class Packed:
    """A copy of the weights of a ``model`` that has no ``fault``, and the struct that points at it."""

    def __init__(self, model: Transformer, precision: NativePrecision) -> None:
        self.precision: NativePrecision = precision
        self._kept: list[object] = []
        """Tensors that pointers point at."""
        self._widest = 0
        with torch.no_grad():
            encoder = self._stack(model.encoder, model.source_embedding, model.longest)
            decoder = self._stack(model.decoder, model.target_embedding, model.longest)
            widest, table, bias = self._widest, model.output_weight, model.scoring_bias
            bias = table.new_zeros(len(table)) if bias is None else bias
            output = self.linear(table, bias.index_fill(0, torch.tensor([PAD]), -torch.inf))
        vocabulary, d_model = table.shape
        self.struct = library.ModelStruct(encoder, decoder, output, d_model, vocabulary, BOS, EOS, widest)

    def linear(self, weight: Tensor, bias: Tensor, activation: int = _NONE) -> library.LinearStruct:
        """The product with ``weight`` (O,I), plus ``bias`` (O,), and what follows."""
        outputs, inputs = weight.shape
        if self.precision == "int8":
            weight, scale = quantised(weight)
            start, in_word = weight.sum(dim=1, dtype=torch.int32) * -_SHIFT, 4
        else:
            scale, start, in_word = torch.ones(outputs), torch.zeros(outputs), 1
        rows = [F.pad(row, (0, -outputs % PANEL)) for row in (start, scale, bias)]
        pointers = [self._pointer(tensor) for tensor in (panels(weight, in_word), *rows)]
        self._widest = max(self._widest, inputs, len(rows[0]))
        return library.LinearStruct(*pointers, inputs, len(rows[0]), activation)

    def _stack(self, stack: Stack, table: TokenEmbedding, longest: int) -> library.StackStruct:
        blocks = cast("list[Block]", list(stack.blocks))
        rotary = next((scheme for scheme in stack.positions if isinstance(scheme, Rotary)), None)
        turn = None if rotary is None else self._pointer(_turns(rotary, longest))
        layers = [self._layer(block, turn, rotary.turned if rotary else 0) for block in blocks]
        array = (library.LayerStruct * len(layers))(*layers)
        self._kept.append(array)
        position = stack.added(longest, table.weight.shape[1])
        return library.StackStruct(
            *(ctypes.addressof(array), len(layers), self._pointer(table.weight), self._pointer(position)),
            *(
                table.scale,
                library.NormStruct() if stack.final_norm is None else self._norm(stack.final_norm),
            ),
        )

    def _layer(self, block: Block, turn: int | None, turned: int) -> library.LayerStruct:
        network, branch = block.feed_forward, block.feed_forward_branch
        assert isinstance(network, FeedForward), "others are refused"
        assert branch is not None, "it has one where it has a network"
        own, cross = block.attention, block.cross_attention
        attention, memory = library.AttentionStruct(), library.LinearStruct()
        if cross is not None and block.cross_branch is not None:
            attention = self._attention(cross, block.cross_branch, [_query(cross)])
            memory = self.linear(*_joined(_weights(cross.key), _weights(cross.value)))
        inputs = [_query(own), _weights(own.key), _weights(own.value)]
        reading = self._attention(own, block.attention_branch, inputs)
        reading.turn, reading.turned = turn, turned
        return library.LayerStruct(
            reading,
            attention,
            memory,
            self.linear(*_weights(network.enter), _ACTIVATIONS[network.activation]),
            self.linear(*_weights(network.leave)),
            self._norm(branch.norm),
        )

    def _attention(
        self, attention: MultiHeadAttention, branch: Placement, inputs: list[PackedWeights]
    ) -> library.AttentionStruct:
        return library.AttentionStruct(
            self.linear(*_joined(*inputs)),
            self.linear(*_weights(attention.output)),
            self._norm(branch.norm),
            attention.heads,
            attention.query.out_features // attention.heads,
        )

    def _norm(self, norm: Norm) -> library.NormStruct:
        assert isinstance(norm, LayerNorm), "others are refused"
        return library.NormStruct(self._pointer(norm.weight), self._pointer(norm.bias), norm.eps)

    def _pointer(self, tensor: Tensor) -> int:
        """The address of what the library reads: ``tensor``, whole numbers as they are, others in fp32."""
        held = tensor.detach()
        held = (held.float() if held.is_floating_point() else held).contiguous()
        self._kept.append(held)
        return held.data_ptr()


def _turns(rotary: Rotary, longest: int) -> Tensor:
    """The cosines and sines by which a head's first components turn at each position: (longest,R)."""
    unit = torch.zeros(1, 1, longest, rotary.turned)
    unit[..., : rotary.turned // 2] = 1.0
    return rotary.rotate(unit, torch.arange(longest)[None])[0, 0]


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


def _weights(linear: nn.Module) -> PackedWeights:
    assert isinstance(linear, nn.Linear), "keys without a matrix of their own are refused"
    bias = cast("Tensor | None", linear.bias)
    return linear.weight, linear.weight.new_zeros(linear.out_features) if bias is None else bias


def _query(attention: MultiHeadAttention) -> PackedWeights:
    """The projection to queries that come out scaled."""
    assert isinstance(attention.score, Dot), "others are refused"
    weight, bias = _weights(attention.query)
    return weight * attention.score.scale, bias * attention.score.scale


def _joined(*parts: PackedWeights) -> PackedWeights:
    """One product that does those of all ``parts``, side by side."""
    weights, biases = zip(*parts, strict=True)
    return torch.cat(weights), torch.cat(biases)
