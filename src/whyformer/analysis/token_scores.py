"""Log-probabilities of the tokens of a text, and which tokens the model would rather have had there.

L length · T target length · N likeliest tokens · V vocabulary
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from whyformer.data.batches.batch import Batch, PairBatch
from whyformer.data.tokenizers.imported import opens_with_bos
from whyformer.special_tokens import BOS
from whyformer.tasks.causal_lm.generator import Generator
from whyformer.tasks.translation.translator import Translator


class TokenScore(NamedTuple):
    """A token where it stands, given all before it."""

    id: int
    log_probability: float
    """Log-probability in nats."""
    likeliest: tuple[tuple[int, float], ...]
    """The likeliest tokens there, with their log-probabilities, best first."""


@torch.inference_mode()
def text_scores(generator: Generator, ids: Sequence[int], top: int) -> list[TokenScore | None]:
    """The score of each of the tokens ``ids`` of a text, BOS left out, with the ``top`` likeliest.

    The first has none where the model opens a text with no BOS. There may be one more than the model reads.
    """
    model, ids = generator.model, [*ids]
    opened = opens_with_bos(generator.tokenizer)
    read = ([BOS, *ids] if opened else ids)[:-1]
    missing: list[TokenScore | None] = [] if opened else [None] * bool(ids)
    if not read:
        return missing
    rows = Batch.of([read], model.output_weight.device)
    # (1,L,M) -> (L,V)
    predictions = model.logits(model(rows.tokens, rows.layout)[0]).log_softmax(-1, torch.float32)
    return [*missing, *_scores(predictions, ids[len(missing) :], top)]


@torch.inference_mode()
def translation_scores(
    translator: Translator, source: Sequence[int], target: Sequence[int], top: int
) -> list[TokenScore]:
    """The score of each token of a translation ``target`` of ``source``, with the ``top`` likeliest.

    Neither has its BOS or EOS.
    """
    if not target:
        return []
    model = translator.model
    pair = PairBatch.of([(source, target)], model.output_weight.device)
    read, valid = pair.target.tokens[:, :-2], pair.target.valid[:, :-2]
    # (1,T,M) -> (T,V)
    hidden = model(pair.source.tokens, pair.source.valid, read, valid)[0]
    return _scores(model.logits(hidden).log_softmax(-1, torch.float32), target, top)


def _scores(predictions: Tensor, ids: Sequence[int], top: int) -> list[TokenScore]:
    """The scores of ``ids`` (L) by the log-probabilities ``predictions`` (L,V)."""
    told = predictions.gather(1, torch.tensor(ids, device=predictions.device)[:, None])[:, 0].tolist()
    # (L,V) -> (L,N)
    best = predictions.topk(min(top, predictions.shape[1]))
    rows = zip(best.indices.tolist(), best.values.tolist(), strict=True)
    return [
        TokenScore(id, score, tuple(zip(tokens, values, strict=True)))
        for id, score, (tokens, values) in zip(ids, told, rows, strict=True)
    ]
