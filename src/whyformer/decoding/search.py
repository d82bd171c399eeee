"""The search loop: greedy, beam and sampling.

What comes out for a sentence depends on the sentence, its number and the settings, never on its batch. It is
finished, unless every hypothesis met the length limit first: then the best unfinished ones come out.

B batch · S source length · P searches in all · G searches still running · W live hypotheses of a search
R = G·W rows · C candidates of a search · V vocabulary
"""

from collections.abc import Callable, Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from whyformer.decoding.beam import BeamSpec
from whyformer.decoding.greedy import GreedySpec
from whyformer.decoding.hypothesis import Candidates, Hypothesis, Prefixes, Searches
from whyformer.decoding.protocol import AttendingState, DecoderState, StateT, StepDecoder
from whyformer.decoding.sampling import SamplingSpec
from whyformer.decoding.stopping import Pool, Wanted
from whyformer.errors import DecodingError
from whyformer.position.layout import Padding, real_tokens
from whyformer.special_tokens import BOS

SearchSpec = Annotated[GreedySpec | BeamSpec | SamplingSpec, Field(discriminator="kind")]


@torch.inference_mode()
def search(
    model: StepDecoder[StateT],
    source: Tensor,
    valid: Padding,
    settings: SearchSpec,
    *,
    consider: Callable[[Candidates], None] | None = None,
    model_limit: Tensor | int | None = None,
    first: Tensor | None = None,
    numbers: Sequence[int] | None = None,
    wanted: Wanted | None = None,
    watch: Callable[[Tensor], None] | None = None,
) -> list[list[Hypothesis]]:
    """Write what follows each sentence of ``source`` (B,S) with ``valid`` (B,S): hypotheses, best first.

    ``model_limit`` is the maximum number of tokens that the model can write to a sentence, EOS included; or
    to each of them, (B,). ``first`` (B,) is what it is fed first, BOS unless given. ``numbers`` (B) are the
    indices of the sentences in the caller's data, 0, 1, … unless given: they seed sampling, and name a
    sentence in errors. Those that are no longer ``wanted`` leave. ``watch`` is shown the live prefixes (R,T)
    whenever they have grown, ``consider`` the candidates of each step before any is chosen.

    Raises:
        DecodingError: the settings do not suit the model, or its logits are not numbers.
    """
    strategy = settings.build()
    watch_attention = strategy.scorer.beta > 0
    real = real_tokens(valid)
    longest = settings.longest(real.sum(dim=1), model_limit)
    numbers = range(len(source)) if numbers is None else numbers
    searches, sentence = _all_searches(longest, numbers, strategy.samples)
    pool = Pool(len(searches), strategy, source.device)
    prefixes = Prefixes.empty(~real[sentence] if watch_attention else real.new_empty(len(sentence), 0))
    last = torch.full_like(sentence, BOS) if first is None else first[sentence]
    state = model.start(source, valid, watch_attention)
    _select(state, sentence, len(source))
    scores = torch.empty(0, device=source.device)

    for length in range(1, int(longest.max()) + 1):
        _score(model.step(last, state), scores, searches)
        if watch_attention:
            prefixes = prefixes.cover(_attention(state, prefixes.coverage.shape))
        settings.apply(scores, prefixes.tokens)
        candidates = strategy.choose(scores, prefixes, searches)
        if consider is not None:
            consider(candidates)
        pool.add_finished(searches, candidates, prefixes)
        living = candidates.living(strategy.width)
        over = pool.is_decided(searches, living) | (searches.longest == length)
        gone = over if wanted is None else over | _left(wanted, searches, strategy.samples)
        if gone.any():
            pool.add_cut_off(searches[over], living[over], prefixes)
            searches, living = searches[~gone], living[~gone]
            if len(searches) == 0:
                break
        prefixes, last = prefixes.grow(living), living.token.flatten()
        if watch is not None:
            watch(prefixes.tokens)
        _select(state, living.parent.flatten(), len(scores))
    return pool.best()


def _all_searches(longest: Tensor, numbers: Sequence[int], samples: int) -> tuple[Searches, Tensor]:
    """The searches, ``samples`` of them for each sentence, and which sentence (P,) each belongs to."""
    index = torch.arange(len(longest) * samples, device=longest.device)
    sentence = index // samples
    number = torch.tensor(list(numbers), device=longest.device)[sentence]
    return Searches(index, number, sample=index % samples, longest=longest[sentence]), sentence


def _left(wanted: Wanted, searches: Searches, samples: int) -> Tensor:
    """Mask (G,) of ``searches`` whose sentence, of which there are ``samples``, nobody waits for."""
    return ~wanted.now().to(searches.index.device)[searches.index // samples]


def _select(state: DecoderState, rows: Tensor, present: int) -> None:
    """Select ``rows`` of a state that has as many as ``present``, unless all of them stay in place."""
    if not torch.equal(rows, torch.arange(present, device=rows.device)):
        state.select(rows)


def _score(logits: Tensor, scores: Tensor, searches: Searches) -> None:
    """Write the log-probabilities that ``logits`` (R,V) stand for into ``scores``.

    Into the same memory each time: to take some megabytes anew costs more than to fill them.
    """
    torch.log_softmax(logits, 1, torch.float32, out=scores.resize_(logits.shape))
    _refuse_broken(scores, searches)


def _refuse_broken(scores: Tensor, searches: Searches) -> None:
    """Refuse log-probabilities (R,V) that are not numbers: a logit of NaN or +inf makes its whole row NaN."""
    # (R,V) -> (G,W)
    broken = scores[:, 0].isnan().view(len(searches), -1)
    if broken.any():
        number = int(searches[broken.any(dim=1)].number[0])
        raise DecodingError(
            f"sentence {number}: the model's logits are not finite numbers; its weights are damaged, or they "
            "need a higher precision"
        )


def _attention(state: DecoderState, shape: torch.Size) -> Tensor:
    """The last step's cross-attention, which has to be of ``shape`` (R,S)."""
    attention = state.attention if isinstance(state, AttendingState) else None
    if attention is None or attention.shape != shape:
        raise DecodingError(
            "coverage_penalty needs a model that attends to every source token, which this one does not; "
            "set it to 0"
        )
    return attention
