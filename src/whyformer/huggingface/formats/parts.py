"""Parts that several formats describe alike: layers, activations, embeddings, and heads tied or not."""

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from whyformer.attention.heads import HeadsSpec
from whyformer.attention.multihead import AttentionSpec
from whyformer.errors import CheckpointError
from whyformer.huggingface.formats.format import Say, TensorPlace
from whyformer.nn.embedding import EmbeddingSpec
from whyformer.nn.feed_forward import (
    FeedForwardSpec,
    GeluSpec,
    GeluTanhSpec,
    LinearSpec,
    ReluSpec,
    SiluSpec,
)
from whyformer.nn.residual.norm import LayerNormSpec, NormSpec

Activation = Literal[
    "relu",
    "gelu",
    "gelu_python",
    "gelu_new",
    "gelu_fast",
    "gelu_accurate",
    "gelu_pytorch_tanh",
    "gelu_python_tanh",
    "silu",
    "swish",
    "linear",
]
"""Their names of the functions that our networks have; several are names of one function."""


def layers(count: int, ours: str, theirs: str, table: Mapping[str, str]) -> dict[str, TensorPlace]:
    """The weights and biases of ``count`` equal layers; ``table`` has our and their names within a layer."""
    return {
        f"{ours}.{layer}.{our}.{kind}": TensorPlace(f"{theirs}.{layer}.{their}.{kind}")
        for layer in range(count)
        for our, their in table.items()
        for kind in ("weight", "bias")
    }


def settle_output(found: dict[str, Tensor], table: str, output: str, *, said_tied: bool, say: Say) -> None:
    """Keep the ``output`` table in ``found`` only if it differs from the ``table`` of embeddings.

    What the tensors say counts, as in transformers from version 5, whatever the config says.
    """
    if output not in found:
        if not said_tied:
            say(
                f"config.json says tie_word_embeddings: false, but the weights have no {output}; tokens are "
                f"scored by {table}, where transformers would draw a head at random"
            )
    elif table not in found:
        found[table] = found.pop(output)
    elif torch.equal(found[table], found[output]):
        found.pop(output)
    elif said_tied:
        say(
            f"{output} differs from {table}, though config.json does not say tie_word_embeddings: false; "
            "both are kept, as two tables (embedding.tie: none)"
        )


def attention_of(heads: int, dropout: float) -> AttentionSpec:
    """Our attention of so many equal ``heads``."""
    return AttentionSpec(heads=HeadsSpec(query=heads), dropout=dropout)


def embedding_of(dropout: float, unpredicted: tuple[int, ...] = (), *, tied: bool) -> EmbeddingSpec:
    """Our embedding of a model of one stack, ``tied`` with its output or with a table of its own there."""
    tie = "output" if tied else "none"
    return EmbeddingSpec(tie=tie, scale=False, deviation=0.02, dropout=dropout, unpredicted=unpredicted)


def feed_forward(activation: Activation, hidden: int, dropout: float = 0.0) -> FeedForwardSpec:
    """Our network with their ``activation``."""
    match activation:
        case "relu":
            return ReluSpec(hidden=hidden, dropout=dropout)
        case "gelu" | "gelu_python":
            return GeluSpec(hidden=hidden, dropout=dropout)
        case "gelu_new" | "gelu_fast" | "gelu_accurate" | "gelu_pytorch_tanh" | "gelu_python_tanh":
            return GeluTanhSpec(hidden=hidden, dropout=dropout)
        case "silu" | "swish":
            return SiluSpec(hidden=hidden, dropout=dropout)
        case "linear":
            return LinearSpec(hidden=hidden, dropout=dropout)


def activation_of(network: FeedForwardSpec) -> tuple[Activation, int, float]:
    """Their name of our network's activation, its hidden components and its dropout.

    Raises:
        CheckpointError: no format has such a network.
    """
    match network:
        case ReluSpec():
            name: Activation = "relu"
        case GeluSpec():
            name = "gelu"
        case GeluTanhSpec():
            name = "gelu_new"
        case SiluSpec():
            name = "swish"
        case LinearSpec():
            name = "linear"
        case _:
            raise CheckpointError(
                f"the model has feed_forward.kind {network.kind}, which no Hugging Face format that we write "
                "can say; such a model cannot be exported."
            )
    return name, network.hidden, network.dropout


def epsilon_of(norm: NormSpec) -> float:
    """Epsilon of a layer norm; any for other norms, which no format has."""
    return norm.epsilon if isinstance(norm, LayerNormSpec) else LayerNormSpec().epsilon
