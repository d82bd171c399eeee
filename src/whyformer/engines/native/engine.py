"""The native engine: greedy and beam search in one call of the library, others step by step.

B batch · S source length · R rows, a live hypothesis each · T target length · V vocabulary
"""

import ctypes
import warnings
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from ctypes import byref
from itertools import chain
from math import fsum
from pathlib import Path
from typing import Any, TypedDict

import torch
from torch import Tensor
from typing_extensions import override

from whyformer.decoding.beam import BeamSpec
from whyformer.decoding.greedy import GreedySpec
from whyformer.decoding.hypothesis import Hypothesis
from whyformer.decoding.protocol import DecoderState, StepDecoder
from whyformer.decoding.ranking.scorer import length_penalty
from whyformer.decoding.search import SearchSpec, search
from whyformer.decoding.stopping import Wanted
from whyformer.engines.native import library
from whyformer.engines.native.look import NativeLook, look
from whyformer.engines.native.pack import NativePrecision, Packed
from whyformer.engines.native.plan import misfit, plan_of
from whyformer.engines.shortlist.lists import SentenceLists
from whyformer.engines.shortlist.search import listed_search, search_places
from whyformer.errors import DecodingError, WhyformerNote
from whyformer.models.encoder_decoder import AnyEncoderDecoder
from whyformer.position.layout import Padding, real_tokens
from whyformer.special_tokens import EOS

_GROUP, _BEAM_GROUP = 16, 8
"""Sentences that the library searches side by side, greedily and by beams: the keys, values and logits of so
many still lie in a core's own cache (docs/log.md). Logits of lists are few, so there twice as many do."""
_LARGE = 16 * 2**20
"""Bytes from which on no cache keeps the weights until the next step; then more sentences share them."""
_LARGE_GROUP, _LARGE_BEAM_GROUP = 64, 16


class _More(TypedDict):
    model_limit: int | None
    numbers: Sequence[int] | None
    wanted: Wanted | None


class NativeState(DecoderState):
    """Sentences that the library has read, and the hypotheses of their translations."""

    def __init__(
        self,
        packed: Packed,
        source: Tensor,
        valid: Tensor,
        functions: ctypes.CDLL,
        threads: int,
        lists: SentenceLists | None = None,
    ) -> None:
        """Read ``source`` (B,S), tokens ``valid`` (B,S); with ``lists`` places in them stand for tokens."""
        lengths = valid.sum(dim=1)
        self._functions = functions
        self._threads = threads
        # Until it is forgotten, what it points at has to stay.
        self._packed = packed
        self._int8 = packed.precision == "int8"
        self._logits = torch.empty(0)
        tokens = source[valid]
        self._search = functions.whyformer_read(
            *(byref(packed.struct), self._int8, tokens.data_ptr(), lengths.data_ptr(), len(source)),
            *(threads, None),
        )
        weakref.finalize(self, functions.whyformer_forget, self._search)
        self._lists = lists
        self._sentence = torch.arange(len(source))
        if lists is not None:
            ids, sizes = lists.ids.contiguous(), lists.lengths.contiguous()
            told = library.ListsStruct(ids.data_ptr(), sizes.data_ptr(), ids.shape[1])
            functions.whyformer_list(self._search, self._int8, byref(told))

    @override
    def select(self, rows: Tensor) -> None:
        rows = rows.contiguous()
        self._functions.whyformer_select(self._search, rows.data_ptr(), len(rows))
        self._sentence = self._sentence[rows]

    def step(self, tokens: Tensor) -> Tensor:
        """Feed each row its last token, ``tokens`` (R,); logits (R,V) of the next, until the next step.

        With lists both are places: logits are (R,K), K the length of the longest.
        """
        output, lists = self._packed.struct.output.outputs, self._lists
        stride = output if lists is None else lists.ids.shape[1]
        tokens = (tokens if lists is None else lists.tokens(tokens, self._sentence)).contiguous()
        logits = self._logits.resize_(len(tokens), stride)
        self._functions.whyformer_step(
            self._search, self._int8, tokens.data_ptr(), self._threads, logits.data_ptr(), stride
        )
        return logits[:, : self._packed.struct.vocabulary]

    def write(
        self,
        longest: Tensor,
        penalties: Tensor,
        settings: GreedySpec | BeamSpec,
        wanted: Wanted | None = None,
    ) -> list[list[Hypothesis] | None]:
        """The whole search, where nothing was written yet.

        Args:
            longest: the maximum number of tokens of each sentence, (B,).
            penalties: what is added to all logits, (2,V): 0, or minus infinity; of a token that may be the
                end, and of one before.
            settings: the search; but for its size, ranking, stopping and ``shortest``, what is given here
                counts.
            wanted: whether each sentence still is; what others have so far comes out.

        Returns:
            The hypotheses of each sentence, best first; None where ``search`` has to say what is wrong.
        """
        flags = (None, None) if wanted is None else (wanted.flags.data_ptr(), wanted.place.data_ptr())
        about = library.WantedStruct(*flags)
        if isinstance(settings, BeamSpec):
            return self._write_beam(longest, penalties, settings, about)
        stride = int(longest.max())
        tokens = torch.empty(len(longest), stride, dtype=torch.int64)
        log_probabilities = torch.empty(len(longest), stride)
        written = torch.empty_like(longest)
        told = library.GreedyStruct(
            *(_penalties_struct(penalties, settings), longest.data_ptr(), stride),
            *(tokens.data_ptr(), log_probabilities.data_ptr(), written.data_ptr(), about),
        )
        self._functions.whyformer_write(self._search, self._int8, byref(told), self._threads)
        # As plain numbers at once: a tensor a row would cost more than some of the searches.
        rows = zip(tokens.tolist(), log_probabilities.tolist(), written.tolist(), strict=True)
        return [
            [_hypothesis(row[:length], summands[:length])] if length > 0 else None
            for row, summands, length in rows
        ]

    def _write_beam(
        self, longest: Tensor, penalties: Tensor, settings: BeamSpec, wanted: library.WantedStruct
    ) -> list[list[Hypothesis] | None]:
        strategy = settings.build()
        stride, shape = int(longest.max()), (len(longest), strategy.kept)
        tokens = torch.empty(*shape, stride, dtype=torch.int64)
        log_probabilities = torch.empty(*shape, stride)
        written = torch.zeros(shape, dtype=torch.int64)
        score, total = torch.empty(shape), torch.empty(shape)
        by_length = length_penalty(torch.arange(stride + 1), settings.length_penalty)
        told = library.BeamStruct(
            *(_penalties_struct(penalties, settings), longest.data_ptr(), by_length.data_ptr()),
            *(stride, settings.size, strategy.kept, strategy.enough or 0),
            *(each.data_ptr() for each in (tokens, log_probabilities, written, score, total)),
            wanted,
        )
        self._functions.whyformer_write_beam(self._search, self._int8, byref(told), self._threads)
        found = zip(
            *(tokens.tolist(), log_probabilities.tolist(), score.tolist(), total.tolist(), written.tolist()),
            strict=True,
        )
        return [
            None
            if lengths[0] < 0
            else strategy.best(
                [
                    _scored(row[:n], summands[:n], ranked, whole)
                    for row, summands, ranked, whole, n in zip(*each, lengths, strict=True)
                    if n > 0
                ]
            )
            for *each, lengths in found
        ]


def _penalties_struct(penalties: Tensor, settings: GreedySpec | BeamSpec) -> library.PenaltiesStruct:
    late, early = penalties
    return library.PenaltiesStruct(late.data_ptr(), early.data_ptr(), settings.shortest)


def _hypothesis(written: list[int], summands: list[float]) -> Hypothesis:
    total = fsum(summands)
    return _scored(written, summands, total, total)


def _scored(written: list[int], summands: list[float], score: float, total: float) -> Hypothesis:
    finished = written[-1] == EOS
    return Hypothesis(tuple(written[:-1] if finished else written), score, total, tuple(summands), finished)


class NativeEngine(StepDecoder[NativeState]):
    """Search with a model, computed by the library; and the model as ``search`` sees it.

    It has a copy of the weights as they were at first; ``model`` may be packed or moved then.
    """

    def __init__(
        self, model: AnyEncoderDecoder, precision: NativePrecision, *, path: Path = library.LIBRARY
    ) -> None:
        """Pack the weights for the library at ``path``.

        Raises:
            DecodingError: there is no such library, or it cannot express the model.
        """
        if (reason := library.missing(path)) is not None:
            raise DecodingError(f"{reason}, or translate with --engine torch.")
        plan = plan_of(model)
        self.model = model
        self._functions = library.library(path)
        self._longest = plan.longest
        self._source_vocabulary = len(plan.encoder.embedding)
        self._packed = Packed(plan, precision)
        self._told = False

    def __call__(
        self,
        source: Tensor,
        valid: Padding,
        settings: SearchSpec,
        *,
        model_limit: int | None = None,
        numbers: Sequence[int] | None = None,
        wanted: Wanted | None = None,
    ) -> list[list[Hypothesis]]:
        """See ``search``; torch does what needs attention to be watched, or more than the tables hold."""
        more: _More = {"model_limit": model_limit, "numbers": numbers, "wanted": wanted}
        return self._search(None, source, valid, settings, more)

    def listed(
        self,
        lists: SentenceLists,
        source: Tensor,
        valid: Padding,
        settings: SearchSpec,
        *,
        model_limit: int | None = None,
        numbers: Sequence[int] | None = None,
        wanted: Wanted | None = None,
    ) -> list[list[Hypothesis]]:
        """See ``listed_search``; each sentence's rows are multiplied with what its own list has, alone."""
        more: _More = {"model_limit": model_limit, "numbers": numbers, "wanted": wanted}
        return self._search(lists, source, valid, settings, more)

    @torch.inference_mode()
    def _search(
        self,
        lists: SentenceLists | None,
        source: Tensor,
        valid: Padding,
        settings: SearchSpec,
        more: _More,
    ) -> list[list[Hypothesis]]:
        real = real_tokens(valid)
        longest = settings.longest(real.sum(dim=1), more["model_limit"])
        if _watches(settings) and not self._told:
            self._told = True
            warnings.warn(
                "the native engine does not see where a model looks, so torch computes with a "
                "coverage_penalty; leave out --coverage-penalty, or decoding.coverage_penalty in the recipe.",
                WhyformerNote,
                stacklevel=3,
            )
        by_torch = not self._fits(source, real, longest) or _watches(settings)
        if not by_torch and isinstance(settings, GreedySpec | BeamSpec) and _is_free(settings):
            found = self._write(source, real, longest, settings, lists, more["wanted"])
            if None not in found:
                return [hypotheses for hypotheses in found if hypotheses is not None]
        # It also says what is wrong where logits were not numbers, or nothing was allowed to follow.
        if lists is None:
            decoder: StepDecoder[Any] = self.model if by_torch else self
            return search(decoder, source, valid, settings, **more)
        if by_torch:
            return listed_search(self.model, lists, source, valid, settings, **more)
        return search_places(_NativeLists(self, lists), lists, source, valid, settings, **more)

    @override
    def start(self, source: Tensor, valid: Padding, watch_attention: bool = False) -> NativeState:
        return self.state(source, valid, None)

    def state(self, source: Tensor, valid: Padding, lists: SentenceLists | None) -> NativeState:
        """The state of ``start``, in which with ``lists`` places in them stand for tokens."""
        threads = torch.get_num_threads()
        return NativeState(self._packed, source, real_tokens(valid), self._functions, threads, lists)

    @override
    def step(self, tokens: Tensor, state: NativeState) -> Tensor:
        return state.step(tokens)

    @torch.inference_mode()
    def look(self, source: Sequence[int], fed: Sequence[int]) -> NativeLook:
        """Look at ``source``, EOS included, while its translation is ``fed``, BOS first.

        Raises:
            DecodingError: there are no positions or vectors for all of it.
        """
        tokens = torch.tensor([list(source)])
        if not self._fits(tokens, torch.ones_like(tokens, dtype=torch.bool), torch.tensor([len(fed)])):
            raise DecodingError(
                f"the native engine knows {self._longest:,} positions and {self._source_vocabulary:,} source "
                "tokens, which is less than this sentence needs; shorten it."
            )
        return look(self._functions, self._packed, source, fed)

    def _write(
        self,
        source: Tensor,
        valid: Tensor,
        longest: Tensor,
        settings: GreedySpec | BeamSpec,
        lists: SentenceLists | None,
        wanted: Wanted | None,
    ) -> list[list[Hypothesis] | None]:
        """Search by groups that run side by side, or by all threads if there is only one."""
        threads, penalties = torch.get_num_threads(), self._penalties(settings)
        group = self._group(len(source), threads, isinstance(settings, GreedySpec), lists is not None)
        sizes = source.split(group), valid.split(group), longest.split(group)
        parts = [None] * len(sizes[0]) if lists is None else lists.split(group)
        places = torch.arange(len(source)).split(group)
        still = [None if wanted is None else wanted[place] for place in places]
        groups = list(zip(*sizes, parts, still, strict=True))
        workers = min(threads, len(groups))

        def write(
            group: tuple[Tensor, Tensor, Tensor, SentenceLists | None, Wanted | None],
        ) -> list[list[Hypothesis] | None]:
            source, valid, longest, lists, wanted = group
            state = NativeState(self._packed, source, valid, self._functions, threads // workers, lists)
            return state.write(longest, penalties, settings, wanted)

        if workers == 1:
            return list(chain.from_iterable(map(write, groups)))
        with ThreadPoolExecutor(workers) as pool:
            return list(chain.from_iterable(pool.map(write, groups)))

    def _group(self, sentences: int, threads: int, is_greedy: bool, is_listed: bool) -> int:
        """Sentences of a group: as many as pay, and as few as give each thread one."""
        least, most = (_GROUP, _LARGE_GROUP) if is_greedy else (_BEAM_GROUP, _LARGE_BEAM_GROUP)
        if self._packed.decoder_bytes < _LARGE:
            most = 2 * least if is_listed else least
        return max(least, min(most, -(-sentences // threads)))

    def _fits(self, source: Tensor, valid: Tensor, longest: Tensor) -> bool:
        """Whether there are positions for all tokens, and vectors for those of the source."""
        lengths, tokens = valid.sum(dim=1), source[valid]
        return bool(
            (lengths > 0).all()
            and (lengths <= self._longest).all()
            and (longest <= self._longest).all()
            and (tokens >= 0).all()
            and (tokens < self._source_vocabulary).all()
        )

    def _penalties(self, settings: GreedySpec | BeamSpec) -> Tensor:
        """Penalties (2,V) that are added to logits: of a token that may be the end, and of one before."""
        penalties = torch.zeros(2, self._packed.struct.vocabulary)
        for penalty, before in zip(penalties.split(1), (settings.shortest - 1, 0), strict=True):
            settings.apply(penalty, torch.zeros(1, before, dtype=torch.int64))
        return penalties


def obstacle(model: AnyEncoderDecoder, path: Path = library.LIBRARY) -> str | None:
    """The clause that says why the library at ``path`` cannot compute ``model``; None where it can."""
    # What is wrong with the model first: nobody shall compile for nothing.
    return misfit(model) or library.missing(path)


class _NativeLists(StepDecoder[NativeState]):
    """An engine's model whose vocabulary is a sentence's list."""

    def __init__(self, engine: NativeEngine, lists: SentenceLists) -> None:
        self._engine = engine
        self._lists = lists

    @override
    def start(self, source: Tensor, valid: Padding, watch_attention: bool = False) -> NativeState:
        return self._engine.state(source, valid, self._lists)

    @override
    def step(self, tokens: Tensor, state: NativeState) -> Tensor:
        return state.step(tokens)


def _is_free(settings: GreedySpec | BeamSpec) -> bool:
    """Whether nothing depends on what was written before but by its length; tokens may be forbidden."""
    return not settings.prefix and not settings.openings and settings.no_repeat_ngram is None


def _watches(settings: SearchSpec) -> bool:
    """Whether it counts where the model looked."""
    return isinstance(settings, BeamSpec) and settings.coverage_penalty > 0
