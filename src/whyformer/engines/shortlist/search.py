"""Search among each sentence's list of target pieces: our own loop, with logits of the lists alone.

B batch · S source length · K length of the longest list · R rows, a live hypothesis each
U pieces that are in any list · M model dimension
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F
from typing_extensions import override

from whyformer.decoding.hypothesis import Hypothesis
from whyformer.decoding.protocol import DecoderState, StateT, StepDecoder
from whyformer.decoding.search import SearchSpec, search
from whyformer.decoding.stopping import Wanted, still_wanted
from whyformer.engines.engine import Engine
from whyformer.engines.shortlist.lists import SentenceLists, named_tokens
from whyformer.engines.shortlist.table import ShortlistTable
from whyformer.models.encoder_decoder import AnyEncoderDecoder, EncoderDecoderState
from whyformer.nn.embedding import without_padding
from whyformer.position.layout import Padding, real_tokens


class ListedSearch(Protocol):
    """A search that knows no tokens but those of each sentence's list."""

    def __call__(
        self,
        lists: SentenceLists,
        source: Tensor,
        valid: Padding,
        settings: SearchSpec,
        *,
        model_limit: int,
        numbers: Sequence[int],
        wanted: Wanted | None = None,
    ) -> list[list[Hypothesis]]:
        """See ``search``; ids go in and come out, whatever is computed with."""
        ...


class ShortlistSearch:
    """An engine that looks for translations among each sentence's list, and among all where it has none.

    The lists are those of Jean et al. 2015 and of L'Hostis et al. 2016. Probabilities are those among the
    list, so scores are a little higher than among all.

    Guaranteed is this: greedy search writes what it writes with the whole vocabulary whenever all pieces of
    that lie in the list, since a piece that is likelier than all others is so among fewer, too; and a
    sentence without a list is translated as ever. Not guaranteed is that they lie there: no bound on what
    an unlisted piece could score is both cheap and tight enough to tell (docs/log.md). Nor is it, of a beam,
    that it finds the same: each of its hypotheses is measured against its own list. `whyformer shortlist`
    says how often they lie there on the validation set.
    """

    def __init__(self, table: ShortlistTable, whole: Engine, listed: ListedSearch) -> None:
        """Search by ``listed`` where ``table`` has a list for a sentence, else by ``whole``."""
        self.table = table
        self._whole = whole
        self._listed = listed

    def __call__(
        self,
        source: Tensor,
        valid: Padding,
        settings: SearchSpec,
        *,
        model_limit: int,
        numbers: Sequence[int],
        wanted: Wanted | None = None,
    ) -> list[list[Hypothesis]]:
        """See ``search``."""
        real = real_tokens(valid)
        common = named_tokens(settings)
        takes_all = self.table.takes_all(source, real)
        # The whole vocabulary also says what is wrong with an id that is not in it.
        if takes_all.all() or common[-1] >= self.table.vocabulary:
            return self._whole(
                source, valid, settings, model_limit=model_limit, numbers=numbers, wanted=wanted
            )
        found: list[list[Hypothesis]] = [[] for _ in source]
        for with_all in (False, True):
            places = (takes_all == with_all).nonzero().flatten()
            rows = places.to(source.device)
            part = valid if len(places) == len(source) else real[rows]
            named = [numbers[place] for place in places.tolist()]
            kept = still_wanted(wanted, places.tolist())
            if with_all:
                best = self._whole(
                    source[rows], part, settings, model_limit=model_limit, numbers=named, wanted=kept
                )
            else:
                lists = self.table.lists(source[rows], real[rows], common).to(source.device)
                told = (lists, source[rows], part, settings)
                best = self._listed(*told, model_limit=model_limit, numbers=named, wanted=kept)
            for place, each in zip(places.tolist(), best, strict=True):
                found[place] = each
            if len(places) == len(source):
                break
        return found


class ListedState(DecoderState):
    """The memory of a model, and which sentence each row belongs to."""

    def __init__(self, inner: EncoderDecoderState, sentences: int, device: torch.device) -> None:
        self.inner = inner
        self.sentence = torch.arange(sentences, device=device)
        """(R,)"""

    @property
    def attention(self) -> Tensor | None:
        """See ``AttendingState``."""
        return self.inner.attention

    @override
    def select(self, rows: Tensor) -> None:
        self.inner.select(rows)
        self.sentence = self.sentence[rows]


class ListedDecoder(StepDecoder[ListedState]):
    """A model whose vocabulary is a sentence's list: it is fed places in it, and gives logits of it."""

    def __init__(self, model: AnyEncoderDecoder, lists: SentenceLists) -> None:
        self._model = model
        self._lists = lists
        # All pieces of any list are scored in one product: (B,K) -> (U,), (B,K)
        used, self._place = lists.ids.unique(return_inverse=True)
        self._rows, bias = model.output_weight.detach()[used], model.scoring_bias
        self._bias = None if bias is None else bias.detach()[used]

    @override
    def start(self, source: Tensor, valid: Padding, watch_attention: bool = False) -> ListedState:
        inner = self._model.start(source, valid, watch_attention)
        inner.scores_tokens = False
        return ListedState(inner, len(source), source.device)

    @override
    def step(self, tokens: Tensor, state: ListedState) -> Tensor:
        hidden = self._model.step(self._lists.tokens(tokens, state.sentence), state.inner)
        # (R,M) -> (R,U) -> (R,K); PAD is the first in use, and stands where a list has ended
        scores = without_padding(F.linear(hidden, self._rows, self._bias))
        return scores.gather(1, self._place[state.sentence])


def listed_search(
    model: AnyEncoderDecoder,
    lists: SentenceLists,
    source: Tensor,
    valid: Padding,
    settings: SearchSpec,
    *,
    model_limit: int | None = None,
    numbers: Sequence[int] | None = None,
    wanted: Wanted | None = None,
) -> list[list[Hypothesis]]:
    """See ``search``, here among the tokens of ``lists`` (B); of a low precision logits are fp32 still."""
    decoder = ListedDecoder(model, lists)
    return search_places(
        decoder, lists, source, valid, settings, model_limit=model_limit, numbers=numbers, wanted=wanted
    )


def search_places(
    decoder: StepDecoder[StateT],
    lists: SentenceLists,
    source: Tensor,
    valid: Padding,
    settings: SearchSpec,
    *,
    model_limit: int | None,
    numbers: Sequence[int] | None,
    wanted: Wanted | None,
) -> list[list[Hypothesis]]:
    """See ``search``, by a ``decoder`` whose tokens are places in ``lists`` (B); ids go in and come out."""
    places = lists.settings(settings)
    found = search(decoder, source, valid, places, model_limit=model_limit, numbers=numbers, wanted=wanted)
    return lists.spelled(found)
