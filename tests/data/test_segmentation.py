"""Training text cut anew: no merge left out gives the tokenizer's own cut, arrays equal the definition."""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest

from whyformer.data.segmentation.merging import IdArray, Merges, can_merge, reference_merged
from whyformer.data.segmentation.segmentation import BPEDropout, DroppedMerges, Fixed
from whyformer.data.tokenizers.kinds import BPE, Character, Unigram
from whyformer.data.tokenizers.pair import JointTokenizer, SeparateTokenizers, TokenizerPair
from whyformer.data.tokenizers.tokenizer import Tokenizer
from whyformer.errors import TokenizerError

LINES = [
    "two young people people are walking their dogs along the river",
    "a walker's dog, the younger one, is running (and running) in 2023!",
    "ein junger Hund läuft am Ufer entlang; zwei ältere Hunde schlafen",
    "小狗在河边跑 小狗 在睡觉",
    "",
    "aaaa aaa aa a",
    "x  y   z",
    "</s> <unk> <0x41> ##a",
]


def trained(*, vocabulary: int = 330, split: str = "words", byte_fallback: bool = True) -> Tokenizer:
    spec = BPE.model_validate({"vocabulary": vocabulary, "split": split, "byte_fallback": byte_fallback})
    return spec.train([line for line in LINES for _ in range(3)])


TOKENIZERS = {
    "words": trained(vocabulary=420),
    "spaces": trained(split="spaces", vocabulary=420),
    "without bytes": trained(byte_fallback=False, vocabulary=150),
    "few merges": trained(vocabulary=325),
}


@pytest.fixture(params=TOKENIZERS)
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    return TOKENIZERS[request.param]


def drawn(seed: int, rate: float):
    """Whether candidates stay: a pure function of place and number."""

    def kept(places: IdArray, number: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        return np.array(
            [np.random.default_rng([seed, place, number]).random() >= rate for place in places.tolist()],
            dtype=np.bool_,
        )

    return kept


def test_with_all_merges_the_cut_is_the_tokenizers(tokenizer: Tokenizer):
    unseen = ["Dogs' owners ran 100 km — 小狗们!", "ÄÖÜ aaaaaaaaa", "  leading", "🙂 people"]
    rows = tokenizer.encode_all([*LINES, *unseen])
    merges = Merges(tokenizer)
    assert merges.merged(merges.spell(rows)) == rows


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_all_rows_at_once_are_merged_as_the_definition_merges_each(tokenizer: Tokenizer, rate: float):
    merges, rows = Merges(tokenizer), tokenizer.encode_all(LINES)
    spelled = merges.spell(rows)
    starts = np.searchsorted(spelled.row_of, np.arange(len(rows)))

    def of_row(start: int, symbols: list[int]) -> list[int]:
        # Word by word, as rounds are counted in each.
        words = _words(merges, symbols)
        done, place = list[int](), start
        for word in words:
            begin = place
            done += reference_merged(
                word, merges.table, lambda places, number, begin=begin: drawn(7, rate)(places + begin, number)
            )
            place += len(word)
        return done

    expected = [of_row(int(start), merges.spelled(row)) for start, row in zip(starts, rows, strict=True)]
    actual = merges.merged(spelled, drawn(7, rate))
    assert actual == expected
    assert tokenizer.decode_all(actual) == tokenizer.decode_all(rows)


def _words(merges: Merges, symbols: Sequence[int]) -> list[list[int]]:
    """Stretches across whose borders no merge goes: cut before what opens none of the right parts."""
    inner = {merges.spelled([right])[0] for _, right in merges.table}
    words = list[list[int]]()
    for symbol in symbols:
        if symbol in inner and words:
            words[-1].append(symbol)
        else:
            words.append([symbol])
    return words


def test_a_cut_depends_on_seed_epoch_and_number_and_on_no_other_row():
    tokenizer = TOKENIZERS["words"]
    rows, numbers = tokenizer.encode_all(LINES), np.arange(len(LINES)) + 40
    cut = DroppedMerges(Merges(tokenizer), 0.3, seed=1, side=0, longest=1000)
    whole = cut(rows, numbers, 2)
    assert whole == [cut([row], numbers[[place]], 2)[0] for place, row in enumerate(rows)]
    backwards = cut(rows[::-1], numbers[::-1], 2)
    assert whole == [*backwards][::-1]
    others = [
        cut(rows, numbers, 3),
        cut(rows, numbers + 1, 2),
        DroppedMerges(cut.merges, 0.3, seed=2, side=0, longest=1000)(rows, numbers, 2),
        DroppedMerges(cut.merges, 0.3, seed=1, side=1, longest=1000)(rows, numbers, 2),
    ]
    assert all(other != whole for other in others)


def test_cuts_have_the_probabilities_of_the_algorithm():
    # "ab" has one merge, "abc" two in a row: P(a b c) = p, or p after the first; worked out by hand.
    tokenizer = BPE(vocabulary=300, split="spaces").train(["ab abc abc"] * 3)
    rows = tokenizer.encode_all(["ab"])
    table = Merges(tokenizer)
    rate, times = 0.2, 20_000
    counts = Counter(
        tuple(tokenizer.tokens(row))
        for row in DroppedMerges(table, rate, seed=3, side=0, longest=99)(rows * times, np.arange(times), 0)
    )
    symbols, chances = table.spelled(rows[0]), defaultdict[tuple[str, ...], float](float)
    _exact(tuple(symbols), table.table, rate, 1.0, chances, tokenizer)
    assert math.isclose(sum(chances.values()), 1.0)
    for pieces, chance in chances.items():
        assert abs(counts[pieces] / times - chance) < 4 * math.sqrt(chance * (1 - chance) / times) + 1e-9


def _exact(
    symbols: tuple[int, ...],
    table: dict[tuple[int, int], tuple[int, int]],
    rate: float,
    chance: float,
    found: defaultdict[tuple[str, ...], float],
    tokenizer: Tokenizer,
) -> None:
    """Add the probability of every end that algorithm 1 may come to."""
    candidates = sorted(
        (*table[pair], place) for place, pair in enumerate(pairwise(symbols)) if pair in table
    )
    for lost, (_, merged, place) in enumerate(candidates):
        after = (*symbols[:place], merged, *symbols[place + 2 :])
        _exact(after, table, rate, chance * rate**lost * (1 - rate), found, tokenizer)
    found[tuple(tokenizer.tokens(symbols))] += chance * rate ** len(candidates)


def test_a_text_that_would_get_too_long_keeps_its_cut():
    tokenizer = TOKENIZERS["words"]
    rows = tokenizer.encode_all(LINES[:3])
    longest = max(map(len, rows))
    cut = DroppedMerges(Merges(tokenizer), 1.0, seed=1, side=0, longest=longest)(rows, np.arange(3), 0)
    assert cut == rows
    characters = DroppedMerges(Merges(tokenizer), 1.0, seed=1, side=0, longest=999)(rows, np.arange(3), 0)
    assert [*map(len, characters)] == [len(f" {line}") for line in LINES[:3]]


def test_sides_are_cut_as_asked():
    tokenizer = TOKENIZERS["words"]
    pair = TokenizerPair(tokenizer, tokenizer)
    rows, numbers = tokenizer.encode_all(LINES), np.arange(len(LINES))
    for sides, changes in (("both", (True, True)), ("source", (True, False)), ("target", (False, True))):
        spec = BPEDropout.model_validate({"rate": 0.5, "sides": sides})
        cuts = spec.build(pair, (999, 999), 1)
        made = cuts.sources(rows, numbers, 0) != rows, cuts.targets(rows, numbers, 0) != rows
        assert made == changes
    as_cut = Fixed().build(pair, (999, 999), 1)
    assert as_cut.sources(rows, numbers, 0) is rows
    assert as_cut.targets(rows, numbers, 0) is rows


def test_tokenizers_without_merges_are_refused():
    lines = LINES[:3] * 3
    assert can_merge(TOKENIZERS["words"])
    for spec in (Character(), Unigram(vocabulary=320)):
        pair = JointTokenizer(both=spec).train(lines, lines)
        assert not can_merge(pair.source)
        with pytest.raises(TokenizerError, match=f"of kind {spec.kind} and has none"):
            BPEDropout().build(pair, (99, 99), 1)
    mixed = SeparateTokenizers(source=BPE(vocabulary=330), target=Character()).train(lines, lines)
    BPEDropout(sides="source").build(mixed, (99, 99), 1)
    with pytest.raises(TokenizerError, match="of kind character"):
        BPEDropout(sides="target").build(mixed, (99, 99), 1)
