"""Scores of hypotheses that something else has found, by the model's own probabilities.

B batch · S source length · R rows, a hypothesis each · T target length, EOS included · V vocabulary
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from whyformer.decoding.hypothesis import Hypothesis
from whyformer.decoding.protocol import StateT, StepDecoder
from whyformer.decoding.search import SearchSpec
from whyformer.position.layout import Padding
from whyformer.special_tokens import BOS, EOS, PAD


@torch.inference_mode()
def rescored(
    model: StepDecoder[StateT],
    source: Tensor,
    valid: Padding,
    found: Sequence[Sequence[Hypothesis]],
    settings: SearchSpec,
) -> list[list[Hypothesis]]:
    """Hypotheses ``found`` for each sentence of ``source`` (B,S), with the numbers that ``search`` gives.

    Probabilities are those among all tokens, whatever was forbidden; the score is by ``settings``, without a
    coverage penalty. Those that ended stay before those that were cut off. What a ranking has compared keeps
    its order and its scores.
    """
    targets = [_target(hypothesis) for each in found for hypothesis in each]
    if not targets:
        return [[] for _ in found]
    sentence = torch.tensor([index for index, each in enumerate(found) for _ in each], device=source.device)
    summands = _summands(model, source, valid, sentence, targets)
    strategy = settings.build()
    scorer, compared = strategy.scorer, strategy.ranking.compares
    results: list[list[Hypothesis]] = []
    rest = iter(zip(targets, summands, strict=True))
    for each in found:
        scored: list[Hypothesis] = []
        for hypothesis, (target, row) in zip(each, rest, strict=False):
            total, length = row[: len(target)].sum(), torch.tensor(len(target))
            score = scorer.score(total, length, torch.ones(1))
            told = tuple(row[: len(target)].tolist())
            scored.append(
                replace(
                    hypothesis,
                    score=hypothesis.score if compared else float(score),
                    log_probability=float(total),
                    token_log_probabilities=told,
                )
            )
        scored.sort(key=lambda one: (one.finished, one.score), reverse=True)
        results.append(scored)
    return results


def _target(hypothesis: Hypothesis) -> list[int]:
    return [*hypothesis.tokens, EOS] if hypothesis.finished else [*hypothesis.tokens]


def _summands(
    model: StepDecoder[StateT],
    source: Tensor,
    valid: Padding,
    sentence: Tensor,
    targets: Sequence[Sequence[int]],
) -> Tensor:
    """Log-probabilities (R,T) of the tokens of ``targets`` (R), on the CPU."""
    longest = max(map(len, targets))
    padded = [[*target, *[PAD] * (longest - len(target))] for target in targets]
    # One row a hypothesis: (R,T)
    written = torch.tensor(padded, dtype=torch.int64, device=source.device).view(len(targets), longest)
    state = model.start(source, valid)
    state.select(sentence)
    last = torch.full_like(sentence, BOS)
    columns: list[Tensor] = []
    for place in range(longest):
        # (R,V) -> (R,1)
        scores = torch.log_softmax(model.step(last, state), 1, torch.float32)
        last = written[:, place]
        columns.append(scores.gather(1, last[:, None]))
    return torch.cat(columns, dim=1).cpu() if columns else torch.empty(len(targets), 0)
