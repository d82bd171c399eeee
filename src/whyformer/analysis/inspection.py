"""A close look at one translation: how likely each token was, and who attended to whom.

T target length · H heads · Q query length · K key length · V vocabulary
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from whyformer.data.batches.batch import PairBatch
from whyformer.data.tokenizers.tokenizer import Tokenizer
from whyformer.engines.native.engine import NativeEngine
from whyformer.errors import DecodingError
from whyformer.plots.inspection.map import AttentionKind, AttentionMap
from whyformer.special_tokens import BOS, EOS, NAMES
from whyformer.tap import record
from whyformer.tasks.translation.translator import Translator

_OTHERS = 3
"""Number of tokens that are named besides the one that was written."""


@dataclass(frozen=True)
class Step:
    """One token of a translation, given the source and the tokens before it."""

    token: str
    log_probability: float
    """Log-probability of the token, in nats."""
    likeliest: str
    """The token that the model would rather have written, or the same one."""
    likeliest_log_probability: float
    """Log-probability of that token, in nats."""
    others: list[tuple[str, float]]
    """The likeliest tokens besides the one that was written, with their log-probabilities in nats."""


@dataclass(frozen=True)
class Inspection:
    """Look inside the model at one source and one translation."""

    source: str
    translation: str
    source_tokens: list[str]
    """Tokens of the source; EOS is the last."""
    steps: list[Step]
    """Step of each token that was written; EOS is the last."""
    attention: list[AttentionMap]
    """Every layer of the encoder's and the decoder's self-attention and of the cross-attention."""

    @property
    def log_probability(self) -> float:
        """Log-probability of the whole translation, in nats."""
        return sum(step.log_probability for step in self.steps)


def inspect_translation(translator: Translator, source: str, translation: str | None = None) -> Inspection:
    """Inspect how ``source`` becomes ``translation``; by default the translator's own best one.

    The model reads the translation token by token as if it had written it (teacher forcing).

    Raises:
        DecodingError: there is no source, or a side is longer than the model takes.
    """
    if not source.strip():
        raise DecodingError("there is nothing to look at: the sentence is blank.")
    tokenizers = translator.tokenizers
    if translation is None:
        best = translator.translate([source])[0][0]
        translation, target_ids = best.text, list(best.ids)
    else:
        target_ids = tokenizers.target.encode(translation)
    return inspect_tokens(translator, source, [*target_ids, EOS], translation)


def inspect_tokens(
    translator: Translator, source: str, written: Sequence[int], translation: str | None = None
) -> Inspection:
    """Inspect how ``source`` becomes the tokens ``written``, of which EOS is the last where they end.

    ``translation`` is their text; if left out, it is read from them.

    Raises:
        DecodingError: a side is longer than the model takes.
    """
    tokenizers = translator.tokenizers
    source_ids = tokenizers.source.encode(source)
    _refuse_overlong("sentence", len(source_ids) + 1, translator)
    _refuse_overlong("translation", len(written) + 1, translator)
    predictions, weights = _forced(translator, source_ids, written)
    source_tokens = [*tokenizers.source.tokens(source_ids), NAMES[EOS]]
    ends = [*written[-1:]] == [EOS]
    words = written[:-1] if ends else written
    target_tokens = [*tokenizers.target.tokens(words), *([NAMES[EOS]] if ends else [])]
    steps = [
        _step(tokenizers.target, predicted, id, token)
        for predicted, id, token in zip(predictions, written, target_tokens, strict=True)
    ]
    attention = _maps(weights, source_tokens, target_tokens)
    if translation is None:
        translation = tokenizers.target.decode(words)
    return Inspection(source, translation, source_tokens, steps, attention)


def _step(tokenizer: Tokenizer, predicted: Tensor, written: int, token: str) -> Step:
    """The step that wrote the id ``written``; ``predicted`` (V) are the log-probabilities of all ids."""
    # (V) -> (_OTHERS + 1): one of them may be the one that was written.
    top = predicted.topk(min(_OTHERS + 1, len(predicted)))
    ids: list[int] = top.indices.tolist()
    named = list(zip(tokenizer.tokens(ids), top.values.tolist(), strict=True))
    others = [each for id, each in zip(ids, named, strict=True) if id != written][:_OTHERS]
    return Step(token, float(predicted[written]), *named[0], others)


@torch.inference_mode()
def _forced(
    translator: Translator, source: Sequence[int], written: Sequence[int]
) -> tuple[Tensor, dict[str, NDArray[np.float32]]]:
    """Log-probabilities (T,V) of each place of what was ``written``, and attention (H,Q,K) by tap."""
    model, fed = translator.model, written[:-1]
    if isinstance(translator.engine, NativeEngine):
        seen = translator.engine.look([*source, EOS], [BOS, *fed])
        return seen.logits.log_softmax(dim=-1), seen.attention
    pair = PairBatch.of([(source, fed)], model.output_weight.device)
    read, valid = pair.target.tokens[:, :-1], pair.target.valid[:, :-1]
    with record(model, "*.weights") as tape:
        hidden = model(pair.source.tokens, pair.source.valid, read, valid)
    # (1,T,M) -> (T,V)
    predictions = model.logits(hidden[0]).log_softmax(dim=-1, dtype=torch.float32).cpu()
    return predictions, {name: recorded[0][0].float().cpu().numpy() for name, recorded in tape.items()}


def _maps(
    weights: dict[str, NDArray[np.float32]], source: Sequence[str], written: Sequence[str]
) -> list[AttentionMap]:
    """Attention by place and layer, as its tap's name tells: ``encoder.blocks.0.attention.taps.weights``.

    A recurrent model has one, between its decoder and the source: ``attention.taps.weights``. The decoder is
    fed BOS and all tokens but the last, and writes the next of each.
    """
    target = [NAMES[BOS], *written[:-1]]
    maps: list[AttentionMap] = []
    for name, layer_weights in weights.items():
        place: AttentionKind
        match name.split("."):
            case ["attention", *_]:
                place, layer, queries, keys = "cross", "0", target, source
            case [_, _, layer, "cross_attention", *_]:
                place, queries, keys = "cross", target, source
            case ["decoder", _, layer, *_]:
                place, queries, keys = "decoder self", target, target
            case [_, _, layer, *_]:
                place, queries, keys = "encoder self", source, source
            case _:
                continue
        writes = None if place == "encoder self" else written
        maps.append(AttentionMap(place, int(layer), layer_weights, queries, keys, writes))
    return maps


def _refuse_overlong(side: str, tokens: int, translator: Translator) -> None:
    longest = translator.model.longest
    if tokens > longest:
        raise DecodingError(
            f"the {side} has {tokens:,} tokens with its marks, but the model takes {longest:,}; shorten it."
        )
