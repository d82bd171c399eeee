"""Shortlists: lists have what they should, and searches among them write the same where they can."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from engines.toy_models import MODELS, VOCABULARY, made, sentences
from whyformer.decoding.beam import BeamSpec
from whyformer.decoding.greedy import GreedySpec
from whyformer.decoding.hypothesis import Hypothesis
from whyformer.decoding.sampling import SamplingSpec
from whyformer.decoding.search import SearchSpec, search
from whyformer.engines.native.engine import NativeEngine
from whyformer.engines.native.library import missing
from whyformer.engines.native.pack import NativePrecision
from whyformer.engines.shortlist.lists import SentenceLists, named_tokens
from whyformer.engines.shortlist.search import ShortlistSearch, listed_search
from whyformer.engines.shortlist.table import ShortlistData, ShortlistTable
from whyformer.engines.shortlist.word_translation import word_translations
from whyformer.models.encoder_decoder import AnyEncoderDecoder
from whyformer.models.recurrent import RecurrentSpec
from whyformer.special_tokens import BOS, EOS, PAD, UNK

SETTINGS = [
    GreedySpec(longest_extra=5),
    GreedySpec(longest_extra=5, forbidden=(0, 2, *range(4, 40))),
    GreedySpec(longest_extra=5, shortest=4, prefix=(9, 8), no_repeat_ngram=1),
    GreedySpec(longest_extra=5, openings=((9,), (70, 8))),
    BeamSpec(longest_extra=5, n_best=4),
    BeamSpec(longest_extra=5, coverage_penalty=0.2),
    SamplingSpec(longest_extra=5, samples=3, top_k=9),
]


def batch(count: int) -> tuple[Tensor, Tensor]:
    rows = [sentence[0].tolist() for sentence in sentences(count)]
    longest = max(map(len, rows))
    source = torch.tensor([[*row, *[PAD] * (longest - len(row))] for row in rows])
    return source, source != PAD


def lists_of(allowed: list[set[int]], settings: SearchSpec) -> SentenceLists:
    listed = np.zeros((len(allowed), VOCABULARY), dtype=np.bool_)
    for row, ids in enumerate(allowed):
        listed[row, [PAD, UNK, BOS, EOS, *ids]] = True
    return SentenceLists.of(listed, named_tokens(settings))


def drawn(count: int, size: int) -> list[set[int]]:
    generator = torch.Generator().manual_seed(3)
    return [set(torch.randint(4, VOCABULARY, (size,), generator=generator).tolist()) for _ in range(count)]


def slow_model_1(
    sources: list[list[int]], targets: list[list[int]], rounds: int
) -> dict[tuple[int, int], float]:
    """The formulas of Brown et al. 1993 as they stand, cell by cell."""
    kinds = {
        (s, t)
        for source, target in zip(sources, targets, strict=True)
        for s in (PAD, *source)
        for t in target
    }
    chance = dict.fromkeys(kinds, 1.0)
    for _ in range(rounds):
        counts = dict.fromkeys(kinds, 0.0)
        for source, target in zip(sources, targets, strict=True):
            for t in target:
                total = sum(chance[s, t] for s in (PAD, *source))
                for s in (PAD, *source):
                    counts[s, t] += chance[s, t] / total
        sums: dict[int, float] = {}
        for (s, _), count in counts.items():
            sums[s] = sums.get(s, 0.0) + count
        chance = {(s, t): count / sums[s] for (s, t), count in counts.items()}
    return chance


class TestWordTranslations:
    def test_it_is_model_1(self):
        generator = np.random.default_rng(1)
        sources = [generator.integers(4, 12, generator.integers(1, 6)).tolist() for _ in range(40)]
        targets = [generator.integers(4, 15, generator.integers(1, 6)).tolist() for _ in range(40)]
        found = word_translations(sources, targets, rounds=3)
        pairs = zip(found.source.tolist(), found.target.tolist(), strict=True)
        assert dict(zip(pairs, found.probability.tolist(), strict=True)) == pytest.approx(
            slow_model_1(sources, targets, 3)
        )

    def test_the_likeliest_come_first(self):
        found = word_translations([[4, 5], [4], [5]], [[7, 8], [7], [8]])
        assert found.target[found.source == 4].tolist() == [7, 8]
        assert found.target[found.source == 5].tolist() == [8, 7]
        assert found.rank.tolist() == [0, 1] * 3
        assert found.target[found.rank < 1][1:].tolist() == [7, 8]

    @pytest.mark.parametrize("pairs", [([], []), ([[]], [[4]]), ([[4], []], [[], [5]])])
    def test_pairs_without_words_say_nothing(self, pairs: tuple[list[list[int]], list[list[int]]]):
        assert len(word_translations(*pairs).source) == 0


def toy_table(rare: int = 0, *, joint: bool = True) -> ShortlistTable:
    sources = [[4, 5], [4], [5], [6, 4], [7]]
    targets = [[14, 15], [14], [15], [16, 14], [17, 14]]
    return ShortlistData.of(sources, targets, (20, 20), joint=joint, unreliable=[7]).table(1, 1, rare)


class TestTable:
    def test_a_list_has_special_tokens_the_frequent_and_what_its_pieces_stand_for(self):
        source = torch.tensor([[5, EOS, PAD], [6, 5, EOS]])
        lists = toy_table(joint=False).lists(source, source != PAD, (PAD, UNK, BOS, EOS))
        assert lists.ids.tolist() == [[0, 1, 2, 3, 14, 15, 0], [0, 1, 2, 3, 14, 15, 16]]
        assert lists.lengths.tolist() == [6, 7]

    def test_where_both_sides_are_one_vocabulary_a_piece_may_stay_what_it_is(self):
        source = torch.tensor([[5, EOS]])
        assert toy_table().listed(source, source != PAD).nonzero()[1].tolist() == [0, 1, 2, 3, 5, 14, 15]

    def test_what_is_named_comes_first(self):
        source = torch.tensor([[5, EOS]])
        settings = GreedySpec(prefix=(18, 15))
        lists = toy_table().lists(source, source != PAD, named_tokens(settings))
        assert lists.ids.tolist() == [[0, 1, 2, 3, 15, 18, 5, 14]]
        assert lists.settings(settings) == GreedySpec(prefix=(5, 4))

    def test_rare_unknown_and_foreign_pieces_take_the_whole_vocabulary(self):
        source = torch.tensor([[4], [5], [6], [7], [UNK], [19], [20], [EOS]])
        real = torch.ones_like(source, dtype=torch.bool)
        takes_all = [False, True, True, True, True, True, True, False]
        assert toy_table(rare=3).takes_all(source, real).tolist() == takes_all
        assert toy_table(rare=0).takes_all(source[:6], real[:6]).tolist() == [False] * 6

    def test_padding_is_no_piece(self):
        source = torch.tensor([[4, 19]])
        assert toy_table(rare=3).takes_all(source, torch.tensor([[True, False]])).tolist() == [False]


@pytest.mark.parametrize("settings", SETTINGS)
def test_with_all_pieces_listed_nothing_changes(settings: SearchSpec):
    model = made()
    source, valid = batch(30)
    lists = lists_of([{*range(4, VOCABULARY)}] * 30, settings)
    found = listed_search(model, lists, source, valid, settings, model_limit=60)
    expected = search(model, source, valid, settings, model_limit=60)
    assert [[each.tokens for each in best] for best in found] == [
        [each.tokens for each in best] for best in expected
    ]
    for ours, theirs in zip(found, expected, strict=True):
        assert [each.score for each in ours] == pytest.approx([each.score for each in theirs], abs=1e-4)


def toy_model(recurrent: bool) -> AnyEncoderDecoder:
    torch.manual_seed(5)
    return RecurrentSpec(d_model=16).build(VOCABULARY, VOCABULARY).eval() if recurrent else made()


def written_inside(full: list[list[Hypothesis]], extra: int) -> list[set[int]]:
    """Lists that have what was written with all, and some more."""
    return [{*each[0].tokens, *more} for each, more in zip(full, drawn(len(full), extra), strict=True)]


@pytest.mark.parametrize("recurrent", [False, True])
def test_greedy_search_writes_the_same_where_all_of_that_is_listed(recurrent: bool):
    model = toy_model(recurrent)
    source, valid = batch(30)
    full = search(model, source, valid, SETTINGS[0], model_limit=60)
    lists = lists_of(written_inside(full, 5), SETTINGS[0])
    found = listed_search(model, lists, source, valid, SETTINGS[0], model_limit=60)
    assert [each[0].tokens for each in found] == [each[0].tokens for each in full]
    for ours, theirs in zip(found, full, strict=True):
        assert ours[0].log_probability >= theirs[0].log_probability


@pytest.mark.parametrize("settings", SETTINGS)
def test_nothing_but_what_is_listed_is_written(settings: SearchSpec):
    source, valid = batch(20)
    allowed = drawn(20, 6)
    lists = lists_of(allowed, settings)
    found = listed_search(made(), lists, source, valid, settings, model_limit=60)
    for own, best in zip(allowed, found, strict=True):
        assert all({*each.tokens} <= own | {UNK, BOS, *lists.common} for each in best)


@pytest.mark.skipif(missing() is not None, reason="needs the native engine compiled")
class TestNative:
    @pytest.mark.parametrize("settings", SETTINGS)
    @pytest.mark.parametrize("name", MODELS)
    @pytest.mark.filterwarnings("ignore::whyformer.errors.WhyformerNote")
    def test_it_searches_lists_like_torch(self, name: str, settings: SearchSpec):
        model = MODELS[name]()
        source, valid = batch(40)
        lists = lists_of(drawn(40, 9), settings)
        found = NativeEngine(model, "fp32").listed(lists, source, valid, settings, model_limit=60)
        expected = listed_search(model, lists, source, valid, settings, model_limit=60)
        pairs = [
            pair
            for ours, theirs in zip(found, expected, strict=True)
            for pair in zip(ours, theirs, strict=True)
        ]
        same = [pair for pair in pairs if pair[0].tokens == pair[1].tokens]
        # One in forty may hang on a tie or on the edge of a draw.
        assert len(pairs) - len(same) <= len(pairs) // 40
        for ours, theirs in same:
            assert ours.finished == theirs.finished
            assert ours.token_log_probabilities == pytest.approx(theirs.token_log_probabilities, abs=1e-4)

    @pytest.mark.parametrize("precision", ["fp32", "int8"])
    def test_greedy_search_writes_the_same_where_all_of_that_is_listed(self, precision: NativePrecision):
        for make in MODELS.values():
            engine = NativeEngine(make(), precision)
            source, valid = batch(40)
            full = engine(source, valid, SETTINGS[0], model_limit=60)
            lists = lists_of(written_inside(full, 5), SETTINGS[0])
            found = engine.listed(lists, source, valid, SETTINGS[0], model_limit=60)
            assert [each[0].tokens for each in found] == [each[0].tokens for each in full]

    @pytest.mark.parametrize("precision", ["fp32", "int8"])
    @pytest.mark.parametrize("settings", SETTINGS[:5])
    def test_no_sentence_depends_on_its_batch(self, precision: NativePrecision, settings: SearchSpec):
        """To the last bit: neither on the sentences beside it, nor on their lists."""
        engine = NativeEngine(made(), precision)
        source, valid = batch(40)
        allowed = drawn(40, 9)
        together = engine.listed(lists_of(allowed, settings), source, valid, settings, model_limit=60)
        for row in range(40):
            length = int(valid[row].sum())
            alone = engine.listed(
                lists_of(allowed[row : row + 1], settings),
                source[row : row + 1, :length],
                valid[row : row + 1, :length],
                settings,
                model_limit=60,
            )
            assert [each.tokens for each in alone[0]] == [each.tokens for each in together[row]]
            if isinstance(settings, GreedySpec) and settings == SETTINGS[0]:
                assert alone[0] == together[row]

    def test_logits_of_a_list_are_those_of_all(self):
        engine = NativeEngine(made(), "int8")
        source, valid = batch(7)
        lists = lists_of(drawn(7, 12), GreedySpec())
        state, full = engine.state(source, valid, lists), engine.start(source, valid)
        for rows in (torch.arange(7), torch.tensor([3, 3, 5, 0]), torch.tensor([0, 0, 2])):
            state.select(rows)
            full.select(rows)
            places = torch.ones(len(rows), dtype=torch.int64)
            logits = state.step(places)
            expected = full.step(lists.tokens(places, torch.tensor([0])))
            sentence = {7: torch.arange(7), 4: torch.tensor([3, 3, 5, 0]), 3: torch.tensor([3, 3, 5])}[
                len(rows)
            ]
            for row, own in enumerate(sentence.tolist()):
                size = int(lists.lengths[own])
                assert torch.equal(logits[row, :size], expected[row, lists.ids[own, :size]])
                assert bool((logits[row, size:] == -torch.inf).all())


def test_a_sentence_with_a_rare_piece_is_translated_with_all(tmp_path: Path):
    model = made()
    source, valid = batch(20)
    table = ShortlistData.of(
        [row[real].tolist() for row, real in zip(source[:10], valid[:10], strict=True)],
        [[5, 6, 7]] * 10,
        (VOCABULARY, VOCABULARY),
        joint=False,
    ).table(2, 2, 1)
    takes_all = table.takes_all(source, valid)
    assert takes_all[10:].any()
    assert not takes_all[:10].any()

    def whole(*told: object, **more: object) -> list[list[Hypothesis]]:
        return search(model, *told, **more)  # pyright: ignore[reportArgumentType]

    def listed(*told: object, **more: object) -> list[list[Hypothesis]]:
        return listed_search(model, *told, **more)  # pyright: ignore[reportArgumentType]

    engine = ShortlistSearch(table, whole, listed)
    for settings in SETTINGS:
        found = engine(source, valid, settings, model_limit=60, numbers=range(20))
        full = search(model, source, valid, settings, model_limit=60)
        own = listed_search(
            model, table.lists(source, valid, named_tokens(settings)), source, valid, settings, model_limit=60
        )
        for row, all_pieces in enumerate(takes_all.tolist()):
            expected = full[row] if all_pieces else own[row]
            assert [each.tokens for each in found[row]] == [each.tokens for each in expected]
