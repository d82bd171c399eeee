"""Training steps of other toolkits on our batches: the same network, loss, optimizer and clipping.

B batch · S source length · T target length · V vocabulary

All get our weights. x-transformers, whose norms and projections have no biases, can only take fresh ones,
where ours are zero; it has the same shape: post-norm, ReLU, sinusoids, tied embeddings, dropout in the same
places.
"""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from whyformer.data.batches.batch import PairBatch
from whyformer.huggingface.formats.marian import HuggingFaceMarian
from whyformer.models.transformer import TransformerSpec
from whyformer.position.absolute import sinusoids
from whyformer.special_tokens import BOS, PAD
from whyformer.training.settings import TrainingSpec

Precision = Literal["fp32", "bf16"]
Logits = Callable[[PairBatch], Tensor]
"""Logits (B,T,V) of a batch, each position having read the target up to itself."""


class Stepper:
    """Trains one of their models as its users would, with what torch offers for speed."""

    def __init__(
        self,
        made: "tuple[nn.Module, Logits, Tensor]",
        spec: TrainingSpec,
        precision: Precision,
        device: str = "cpu",
    ) -> None:
        model, self._logits, gold = made
        self.model, self._spec, self._precision = model.to(device), spec, precision
        self._device = device
        self._gold = gold.to(device)
        """(V,) their ids of our tokens."""
        optimizer = spec.optimizer
        betas = (optimizer.beta1, optimizer.beta2)
        self._parameters = list(model.parameters())
        self._optimizer = torch.optim.Adam(self._parameters, betas=betas, eps=optimizer.epsilon, fused=True)

    def learn(self, pairs: PairBatch, rate: float = 1e-4) -> float:
        """One step with a learning rate; the loss."""
        self.model.train()
        self._optimizer.param_groups[0]["lr"] = rate
        loss = self._loss(pairs, self._spec.loss.label_smoothing)
        loss.backward()
        if self._spec.clip is not None:
            torch.nn.utils.clip_grad_norm_(self._parameters, self._spec.clip)
        self._optimizer.step()
        self._optimizer.zero_grad()
        return loss.item()

    @torch.no_grad()
    def judge(self, pairs: PairBatch) -> float:
        """Negative log-likelihood in nats per token, without dropout."""
        self.model.eval()
        # A model in evaluation would be compiled once more.
        with torch.compiler.set_stance("force_eager"):
            return self._loss(pairs, 0.0).item()

    def _loss(self, pairs: PairBatch, smoothing: float) -> Tensor:
        low, pairs = self._precision == "bf16", pairs.to(self._device)
        with torch.autocast(self._device, dtype=torch.bfloat16) if low else nullcontext():
            logits = self._logits(pairs)
            gold, pad = self._gold[pairs.target.tokens[:, 1:]], int(self._gold[PAD])
            if not self.model.training and pad != int(self._gold[BOS]):
                logits[..., pad] = -torch.inf  # as ours, which never predicts padding
            # (B,T,V) -> (B·T,V)
            return F.cross_entropy(
                logits.flatten(0, 1), gold.flatten(), ignore_index=pad, label_smoothing=smoothing
            )


def marian(run: Path, vocabulary: int, attention: str, compiled: bool) -> tuple[nn.Module, Logits, Tensor]:
    """Hugging Face's Marian with the weights of ``run``; ``attention`` is sdpa, its default, or eager.

    ``vocabulary`` is how many tokens we have.
    """
    from transformers import MarianMTModel

    model: Any = MarianMTModel.from_pretrained(run / "marian", attn_implementation=attention)
    numbering = HuggingFaceMarian().own_token_ids(vocabulary)
    theirs = torch.tensor([numbering.known(BOS) if id is None else id for id in numbering.theirs])
    # Goes wherever the model goes.
    model.register_buffer("our_tokens", theirs, persistent=False)
    if compiled:
        model.compile(dynamic=True)

    def logits(pairs: PairBatch) -> Tensor:
        theirs = model.our_tokens
        source, target = pairs.source, pairs.target.tokens[:, :-1]
        # Targets are padded on the right, so the causal mask hides the padding from all that counts.
        return model(
            input_ids=theirs[source.tokens],
            attention_mask=source.valid.long(),
            decoder_input_ids=theirs[target],
            use_cache=False,
        ).logits

    return model, logits, theirs


class TorchTransformer(nn.Module):
    """The tutorial's model: ``torch.nn.Transformer`` between an embedding and an output layer, here tied."""

    def __init__(self, spec: TransformerSpec, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        layers, width, block = spec.encoder.layers, spec.d_model, spec.encoder.block
        heads, hidden = block.attention.heads.query, len(weights["encoder.blocks.0.feed_forward.enter.bias"])
        options: dict[str, Any] = {"dropout": block.dropout, "batch_first": True}
        # Ours has no norm behind the last layer, which is post-norm.
        encoder = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(width, heads, hidden, **options), layers, enable_nested_tensor=False
        )
        decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(width, heads, hidden, **options), layers)
        self.body = nn.Transformer(
            width, heads, custom_encoder=encoder, custom_decoder=decoder, batch_first=True
        )
        self.table = nn.Parameter(weights["source_embedding.weight"].clone())
        self.positions = nn.Buffer(sinusoids(torch.arange(spec.longest), width))
        self.dropout = nn.Dropout(spec.embedding.dropout)
        self.body.load_state_dict(_torch_weights(weights, layers))
        for module in self.body.modules():
            # Ours drops neither attention weights nor hidden components; it would cost them the fused kernel.
            match module:
                case nn.MultiheadAttention():
                    module.dropout = 0.0
                case nn.TransformerEncoderLayer() | nn.TransformerDecoderLayer():
                    module.dropout.p = 0.0
                case _:
                    pass

    def forward(self, pairs: PairBatch) -> Tensor:
        """Logits (B,T,V)."""
        target, padding = pairs.target.tokens[:, :-1], ~pairs.source.valid
        causal = nn.Transformer.generate_square_subsequent_mask(target.shape[1], device=target.device)
        hidden = self.body(
            self._embedded(pairs.source.tokens),
            self._embedded(target),
            tgt_mask=causal,
            tgt_is_causal=True,
            src_key_padding_mask=padding,
            memory_key_padding_mask=padding,
        )
        return F.linear(hidden, self.table)

    def _embedded(self, tokens: Tensor) -> Tensor:
        x = F.embedding(tokens, self.table) * self.table.shape[1] ** 0.5
        return self.dropout(x + self.positions[: tokens.shape[1]])


_ATTENTION = {"self_attn": "attention", "multihead_attn": "cross_attention"}
_ALIKE = {
    "linear1": "feed_forward.enter",
    "linear2": "feed_forward.leave",
    "self_attn.out_proj": "attention.output",
    "multihead_attn.out_proj": "cross_attention.output",
}
_NORMS = {
    "encoder": ("attention_branch", "feed_forward_branch"),
    "decoder": ("attention_branch", "cross_branch", "feed_forward_branch"),
}


def _torch_weights(ours: Mapping[str, Tensor], layers: int) -> dict[str, Tensor]:
    """Our weights under the names of ``torch.nn.Transformer``."""
    made: dict[str, Tensor] = {}
    for stack, branches in _NORMS.items():
        norms = {f"norm{index}": f"{branch}.norm" for index, branch in enumerate(branches, start=1)}
        names = {
            theirs: name
            for theirs, name in (_ALIKE | norms).items()
            if stack == "decoder" or "multihead" not in theirs
        }
        for layer in range(layers):
            at, there = f"{stack}.blocks.{layer}", f"{stack}.layers.{layer}"
            for kind in ("weight", "bias"):
                for theirs, name in names.items():
                    made[f"{there}.{theirs}.{kind}"] = ours[f"{at}.{name}.{kind}"]
                for theirs, name in _ATTENTION.items():
                    if f"{at}.{name}.query.{kind}" in ours:
                        parts = [ours[f"{at}.{name}.{part}.{kind}"] for part in ("query", "key", "value")]
                        made[f"{there}.{theirs}.in_proj_{kind}"] = torch.cat(parts)
    return made


def torch_transformer(run: Path, spec: TransformerSpec, compiled: bool) -> tuple[nn.Module, Logits, Tensor]:
    """``torch.nn.Transformer`` with the weights of ``run``."""
    model = TorchTransformer(spec, load_file(run / "model.safetensors"))
    if compiled:
        model.body.compile(dynamic=True)
    return model, model, torch.arange(len(model.table))


def x_transformer(
    run: Path, spec: TransformerSpec, flash: bool, compiled: bool
) -> tuple[nn.Module, Logits, Tensor]:
    """x-transformers' encoder and decoder with the fresh weights of ``run``.

    ``flash``, not its default, takes torch's fused attention.
    """
    from x_transformers import Decoder, Encoder, TransformerWrapper

    weights = load_file(run / "model.safetensors")
    block, width, vocabulary = spec.encoder.block, spec.d_model, len(weights["source_embedding.weight"])
    heads, hidden = block.attention.heads.query, block.feed_forward.model_dump()["hidden"]
    layers: dict[str, Any] = {
        "dim": width,
        "depth": spec.encoder.layers,
        "heads": heads,
        "pre_norm": False,
        "attn_dim_head": width // heads,
        "attn_flash": flash,
        "attn_sublayer_dropout": block.dropout,
        "ff_mult": hidden / width,
        "ff_custom_activation": nn.ReLU(),
        "ff_sublayer_dropout": block.dropout,
    }
    around: dict[str, Any] = {
        "num_tokens": vocabulary,
        "max_seq_len": spec.longest,
        "emb_dropout": spec.embedding.dropout,
        "scaled_sinu_pos_emb": True,
    }
    encoder: Any = TransformerWrapper(attn_layers=Encoder(**layers), return_only_embed=True, **around)
    decoder: Any = TransformerWrapper(
        attn_layers=Decoder(cross_attend=True, **layers),
        token_emb=encoder.token_emb,
        tie_embedding=True,
        **around,
    )
    _fill_x_transformer(encoder, decoder, weights, spec.encoder.layers)
    if compiled:
        for wrapper in (encoder, decoder):
            wrapper.attn_layers.compile(dynamic=True)

    def logits(pairs: PairBatch) -> Tensor:
        read = encoder(pairs.source.tokens, mask=pairs.source.valid)
        return decoder(pairs.target.tokens[:, :-1], context=read, context_mask=pairs.source.valid)

    return nn.ModuleList([encoder, decoder]), logits, torch.arange(vocabulary)


def _fill_x_transformer(encoder: Any, decoder: Any, weights: Mapping[str, Tensor], layers: int) -> None:
    """Our fresh weights, components of the model in another order: its sines come before all cosines.

    Raises:
        ValueError: a bias is not zero or a norm not one, for which it has no place.
    """
    table = weights["source_embedding.weight"]
    width = table.shape[1]
    order = torch.cat([torch.arange(0, width, 2), torch.arange(1, width, 2)])
    for name, tensor in weights.items():
        if "feed_forward.enter" in name or "feed_forward.leave" in name:
            continue
        if (name.endswith(".bias") and tensor.any()) or (
            name.endswith("norm.weight") and (tensor != 1).any()
        ):
            raise ValueError(f"{name} is trained, and x-transformers has no place for it; give fresh weights")
    for wrapper in (encoder, decoder):
        wrapper.pos_emb.scale.data.fill_(1.0)
    # Its logits are divided by √M instead of its embeddings being multiplied.
    encoder.token_emb.emb.weight.data.copy_(table[:, order] * width**0.5)
    for stack, wrapper in (("encoder", encoder), ("decoder", decoder)):
        kinds = ["attention", *(["cross_attention"] if stack == "decoder" else []), "feed_forward"]
        parts = [(layer, kind) for layer in range(layers) for kind in kinds]
        for (layer, kind), (_, module, _) in zip(parts, wrapper.attn_layers.layers, strict=True):
            ours = f"{stack}.blocks.{layer}.{kind}"
            if kind == "feed_forward":
                module.ff[0][0].weight.data.copy_(weights[f"{ours}.enter.weight"][:, order])
                module.ff[2].weight.data.copy_(weights[f"{ours}.leave.weight"][order])
                module.ff[0][0].bias.data.copy_(weights[f"{ours}.enter.bias"])
                module.ff[2].bias.data.copy_(weights[f"{ours}.leave.bias"][order])
                continue
            for part, theirs in (("query", "to_q"), ("key", "to_k"), ("value", "to_v")):
                getattr(module, theirs).weight.data.copy_(weights[f"{ours}.{part}.weight"][:, order])
            module.to_out.weight.data.copy_(weights[f"{ours}.output.weight"][order])
