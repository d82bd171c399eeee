"""GPT-2 in the format of Hugging Face (Radford et al. 2019)."""

import re
from collections.abc import Collection, Mapping
from typing import ClassVar, Literal

from torch import Tensor
from typing_extensions import override

from whyformer.attention.mask import Causal
from whyformer.huggingface.format import (
    Activation,
    Config,
    OneStackFormat,
    TensorPlace,
    Tensors,
    activation_of,
    attention_of,
    embedding_of,
    epsilon_of,
    feed_forward,
)
from whyformer.huggingface.tokenizers.token_ids import TokenIds
from whyformer.models.gpt import GPTSpec
from whyformer.nn.norm import LayerNormSpec
from whyformer.nn.placement import PreNormSpec
from whyformer.nn.stack import BlockSpec, StackSpec
from whyformer.position.absolute import LearnedSpec
from whyformer.special_tokens import BOS, EOS, PAD, UNK

_MATRICES = {
    "attention.output": "attn.c_proj",
    "feed_forward.enter": "mlp.c_fc",
    "feed_forward.leave": "mlp.c_proj",
}
_OUTPUT = "lm_head.weight"
_MASK = re.compile(r"h\.\d+\.attn\.(masked_)?bias")
"""Constants that old files hold."""


class GPT2Config(Config):
    """Their config.json."""

    model_type: Literal["gpt2"] = "gpt2"
    vocab_size: int = 50257
    n_positions: int = 1024
    n_embd: int = 768
    n_layer: int = 12
    n_head: int = 12
    n_inner: int | None = None
    activation_function: Activation = "gelu_new"
    resid_pdrop: float = 0.1
    embd_pdrop: float = 0.1
    attn_pdrop: float = 0.1
    layer_norm_epsilon: float = 1e-5
    scale_attn_weights: Literal[True] = True
    scale_attn_by_inverse_layer_idx: Literal[False] = False
    add_cross_attention: Literal[False] = False
    tie_word_embeddings: bool = True
    bos_token_id: int = 50256
    eos_token_id: int = 50256
    pad_token_id: int | None = None
    architectures: list[str] | None = None

    @property
    @override
    def longest(self) -> int:
        return self.n_positions


class HuggingFaceGPT2(OneStackFormat[GPT2Config, GPTSpec]):
    """GPT2Model and GPT2LMHeadModel."""

    model_type = "gpt2"
    config_type = GPT2Config
    roles: ClassVar = {"pad_token": PAD, "unk_token": UNK, "bos_token": BOS, "eos_token": EOS}

    @override
    def marks(self, config: GPT2Config, roles: Mapping[str, int]) -> tuple[int | None, ...]:
        start, end = config.bos_token_id, config.eos_token_id
        # What has two meanings in their files is the end mark in the model.
        pad, unknown = (
            None if id in (start, end) else id for id in (config.pad_token_id, roles.get("unk_token"))
        )
        return pad, unknown, start, end

    @override
    def one_name_each(self, config: GPT2Config, tensors: Tensors) -> dict[str, Tensor]:
        named = {name.removeprefix("transformer."): tensor for name, tensor in tensors.items()}
        tied = {_OUTPUT} if config.tie_word_embeddings else set[str]()
        return {name: each for name, each in named.items() if name not in tied and not _MASK.fullmatch(name)}

    @override
    def spec(self, config: GPT2Config, names: Collection[str], unpredicted: tuple[int, ...]) -> GPTSpec:
        hidden = 4 * config.n_embd if config.n_inner is None else config.n_inner
        block = BlockSpec(
            attention=attention_of(config.n_head, config.attn_pdrop),
            feed_forward=feed_forward(config.activation_function, hidden),
            norm=LayerNormSpec(epsilon=config.layer_norm_epsilon),
            placement=PreNormSpec(),
            dropout=config.resid_pdrop,
        )
        positions = (LearnedSpec(longest=config.n_positions),)
        return GPTSpec(
            d_model=config.n_embd,
            embedding=embedding_of(config.embd_pdrop, unpredicted, tied=_OUTPUT not in names),
            stack=StackSpec(layers=config.n_layer, mask=Causal(), positions=positions, block=block),
            longest=config.n_positions,
        )

    @override
    def config(self, spec: GPTSpec, token_ids: TokenIds) -> GPT2Config:
        block = spec.stack.block
        activation, hidden, _ = activation_of(block.feed_forward)
        return GPT2Config(
            vocab_size=token_ids.their_size,
            n_positions=spec.longest,
            n_embd=spec.d_model,
            n_layer=spec.stack.layers,
            n_head=block.attention.heads.query,
            n_inner=hidden,
            activation_function=activation,
            resid_pdrop=block.dropout,
            embd_pdrop=spec.embedding.dropout,
            attn_pdrop=block.attention.dropout,
            layer_norm_epsilon=epsilon_of(block.norm),
            tie_word_embeddings=spec.embedding.tie == "output",
            bos_token_id=token_ids.known(BOS),
            eos_token_id=token_ids.known(EOS),
            pad_token_id=token_ids.first[PAD],
            architectures=["GPT2LMHeadModel"],
        )

    @override
    def places(self, spec: GPTSpec) -> dict[str, TensorPlace]:
        found = {
            "embedding.weight": TensorPlace("wte.weight", tokens=True),
            self.positions: TensorPlace("wpe.weight"),
            "stack.final_norm.weight": TensorPlace("ln_f.weight"),
            "stack.final_norm.bias": TensorPlace("ln_f.bias"),
        }
        if spec.embedding.tie == "none":
            found["own_output.weight"] = TensorPlace(_OUTPUT, tokens=True)
        for layer in range(spec.stack.layers):
            ours, theirs = f"stack.blocks.{layer}", f"h.{layer}"
            for kind in ("weight", "bias"):
                for norm, name in (("attention_branch", "ln_1"), ("feed_forward_branch", "ln_2")):
                    found[f"{ours}.{norm}.norm.{kind}"] = TensorPlace(f"{theirs}.{name}.{kind}")
                turned = kind == "weight"
                for part, name in enumerate(("query", "key", "value")):
                    place = TensorPlace(f"{theirs}.attn.c_attn.{kind}", transposed=turned, part=part)
                    found[f"{ours}.attention.{name}.{kind}"] = place
                for our, their in _MATRICES.items():
                    found[f"{ours}.{our}.{kind}"] = TensorPlace(f"{theirs}.{their}.{kind}", transposed=turned)
        return found

    @override
    def named(self, spec: GPTSpec, tensors: Tensors) -> dict[str, Tensor]:
        return {name if name == _OUTPUT else f"transformer.{name}": each for name, each in tensors.items()}
