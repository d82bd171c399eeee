"""GPT-2 in the format of Hugging Face (Radford et al. 2019)."""

from collections.abc import Collection, Mapping
from typing import ClassVar, Literal

from torch import Tensor
from typing_extensions import override

from whyformer.attention.mask import Causal
from whyformer.huggingface.config import Config, Count, DropShare, Epsilon, TokenIdSetting
from whyformer.huggingface.formats.format import Marks, OneStackFormat, Say, TensorPlace, Tensors
from whyformer.huggingface.formats.parts import (
    Activation,
    activation_of,
    attention_of,
    embedding_of,
    epsilon_of,
    feed_forward,
    settle_output,
)
from whyformer.huggingface.shapes import Size
from whyformer.huggingface.tokenizers.token_ids import TokenIds
from whyformer.models.gpt import GPTSpec
from whyformer.nn.residual.norm import LayerNormSpec
from whyformer.nn.residual.placement import PreNormSpec
from whyformer.nn.stack import BlockSpec, StackSpec
from whyformer.position.absolute import LearnedSpec
from whyformer.special_tokens import BOS, EOS, PAD, UNK

_MATRICES = {
    "attention.output": "attn.c_proj",
    "feed_forward.enter": "mlp.c_fc",
    "feed_forward.leave": "mlp.c_proj",
}
_TABLE = "wte.weight"
_OUTPUT = "lm_head.weight"


class GPT2Config(Config):
    """Their config.json."""

    split: ClassVar = {"n_head": "n_embd"}

    model_type: Literal["gpt2"] = "gpt2"
    vocab_size: Count = 50257
    n_positions: Count = 1024
    n_embd: Count = 768
    n_layer: Count = 12
    n_head: Count = 12
    n_inner: Count | None = None
    activation_function: Activation = "gelu_new"
    resid_pdrop: DropShare = 0.1
    embd_pdrop: DropShare = 0.1
    attn_pdrop: DropShare = 0.1
    layer_norm_epsilon: Epsilon = 1e-5
    scale_attn_weights: Literal[True] = True
    scale_attn_by_inverse_layer_idx: Literal[False] = False
    add_cross_attention: Literal[False] = False
    tie_word_embeddings: bool = True
    bos_token_id: TokenIdSetting = 50256
    eos_token_id: TokenIdSetting = 50256
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
    framed = (BOS,)
    root = "transformer."
    anchor = _TABLE

    @property
    @override
    def layer_counts(self) -> Mapping[str, str]:
        return {"n_layer": "h"}

    @property
    @override
    def sizes(self) -> tuple[Size, ...]:
        return (
            Size("vocab_size", _TABLE, 0, at_most=True),
            Size("n_embd", _TABLE, 1),
            Size("n_positions", "wpe.weight", 0),
            Size("n_inner", "h.0.mlp.c_fc.weight", 1),
        )

    @override
    def marks(self, config: GPT2Config, roles: Mapping[str, int], size: int, say: Say) -> Marks:
        start = self._known("bos_token", config.bos_token_id, (roles, "bos_token", "cls_token"), size, say)
        end = self._known("eos_token", config.eos_token_id, (roles, "eos_token", "sep_token"), size, say)
        start = end if start is None else start
        pads = (config.pad_token_id, roles.get("pad_token"))
        pad = next((id for id in pads if id is not None and 0 <= id < size), None)
        # What has two meanings in their files is the end mark in the model.
        pad, unknown = (None if id in (start, end) else id for id in (pad, roles.get("unk_token")))
        return pad, None if unknown == pad else unknown, start, end

    def _known(
        self, role: str, told: int | None, tokenizer: tuple[Mapping[str, int], str, str], size: int, say: Say
    ) -> int | None:
        """Id of the token with a ``role`` that config.json tells, or else the tokenizer; None for none."""
        if told is not None and 0 <= told < size:
            return told
        roles, *names = tokenizer
        found = next((roles[name] for name in names if name in roles), None)
        if told is not None:
            instead = "there is none" if found is None else f"it is token {found}, by the tokenizer"
            say(f"config.json names token {told} as {role}, but the last is {size - 1}; {instead}")
        if found is None and role == "eos_token":
            say("the model has no token that ends a text; it writes until the length limit")
        return found

    @override
    def one_name_each(self, config: GPT2Config, tensors: Tensors, say: Say) -> dict[str, Tensor]:
        found = dict(tensors)
        settle_output(found, _TABLE, _OUTPUT, said_tied=config.tie_word_embeddings, say=say)
        return found

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
            n_head=block.self_attention.heads.query,
            n_inner=hidden,
            activation_function=activation,
            resid_pdrop=block.dropout,
            embd_pdrop=spec.embedding.dropout,
            attn_pdrop=block.self_attention.dropout,
            layer_norm_epsilon=epsilon_of(block.norm),
            tie_word_embeddings=spec.embedding.tie == "output",
            bos_token_id=token_ids.first[BOS],
            eos_token_id=token_ids.first[EOS],
            pad_token_id=token_ids.first[PAD],
            architectures=["GPT2LMHeadModel"],
        )

    @override
    def places(self, spec: GPTSpec) -> dict[str, TensorPlace]:
        found = {
            "embedding.weight": TensorPlace(_TABLE, tokens="target"),
            self.positions: TensorPlace("wpe.weight"),
            "stack.final_norm.weight": TensorPlace("ln_f.weight"),
            "stack.final_norm.bias": TensorPlace("ln_f.bias"),
        }
        if spec.embedding.tie == "none":
            found["own_output.weight"] = TensorPlace(_OUTPUT, tokens="target")
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
