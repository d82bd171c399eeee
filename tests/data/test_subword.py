"""The merges: counted without recounting, best by measurement, and for BPE those of the library."""

import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from functools import cache
from itertools import islice, pairwise
from math import log, log2
from pathlib import Path
from typing import Literal

import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st

from whyformer import special_tokens
from whyformer.data.corpora.cldr import CldrSpec, CorpusLanguage
from whyformer.data.corpora.lines import read_lines
from whyformer.data.tokenizers import pre_tokenization as cutting
from whyformer.data.tokenizers.kinds import BPE, WordPiece
from whyformer.data.tokenizers.merges import (
    Merge,
    MergeScore,
    SymbolCounts,
    Symbols,
    frequency,
    learned_merges,
    likelihood_gain,
)
from whyformer.data.tokenizers.text.normalization import TextSpec
from whyformer.data.tokenizers.tokenizer import Tokenizer
from whyformer.data.tokenizers.training import learn

SCORES = pytest.mark.parametrize("score", [frequency, likelihood_gain])
Words = dict[Symbols, int]
Names = tuple[str, str]

plain = st.dictionaries(st.text("abc", min_size=1, max_size=8).map(tuple), st.integers(1, 4), max_size=6)
marked = plain.map(
    lambda words: {(word[0], *(f"##{symbol}" for symbol in word[1:])): n for word, n in words.items()}
)


def joined(word: Symbols, pair: Names, merged: str) -> Symbols:
    """The pair made one symbol, from the left, by nothing but the definition."""
    match word:
        case (first, second, *rest) if (first, second) == pair:
            return (merged, *joined(tuple(rest), pair, merged))
        case (first, *rest):
            return (first, *joined(tuple(rest), pair, merged))
        case _:
            return ()


def replaced(words: list[tuple[Symbols, int]], pair: Names) -> list[tuple[Symbols, int]]:
    merged = pair[0] + pair[1].removeprefix("##")
    return [(joined(word, pair, merged), times) for word, times in words]


def symbols_in(words: list[tuple[Symbols, int]]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for word, times in words:
        for symbol in word:
            counts[symbol] += times
    return counts


def pairs_in(words: list[tuple[Symbols, int]]) -> Counter[Names]:
    counts: Counter[Names] = Counter()
    for word, times in words:
        for pair in pairwise(word):
            counts[pair] += times
    return counts


def log_likelihood(words: list[tuple[Symbols, int]]) -> float:
    counts = symbols_in(words)
    return sum(count * log(count / counts.total()) for count in counts.values())


def gain(words: list[tuple[Symbols, int]], pair: Names) -> float:
    """What a merge does to the log-likelihood, measured; for runs of one symbol, as it is defined."""
    if pair[0] != pair[1]:
        return log_likelihood(replaced(words, pair)) - log_likelihood(words)
    symbols = symbols_in(words)
    count, total = symbols[pair[0]], symbols.total()
    merged = min(pairs_in(words)[pair], count // 2)
    terms = [(1, merged), (1, count - 2 * merged), (-1, count), (-1, total - merged), (1, total)]
    return sum(sign * n * log(n) for sign, n in terms if n)


def named(text: SymbolCounts) -> tuple[Counter[str], Counter[Names]]:
    names = text.names
    return (
        Counter({names[symbol]: count for symbol, count in text.symbols.items()}),
        Counter({(names[left], names[right]): count for (left, right), count in text.pairs.items()}),
    )


@given(words=plain | marked, data=st.data())
def test_counts_kept_up_equal_counts_made_anew(words: Words, data: st.DataObject) -> None:
    text = SymbolCounts(words, mark="##")
    recount = list(words.items())
    while True:
        assert named(text) == (symbols_in(recount), pairs_in(recount))
        assert text.total == symbols_in(recount).total()
        if not text.pairs:
            break
        pair = data.draw(st.sampled_from(sorted(text.pairs)))
        left, right = (text.names[symbol] for symbol in pair)
        near = text.merge(pair)
        recount = replaced(recount, (left, right))
        merged = left + right.removeprefix("##")
        around = {(text.names[one], text.names[two]) for one, two in near}
        assert around == {pair for pair in pairs_in(recount) if {*pair} & {left, right, merged}}


@given(words=plain | marked, least=st.integers(1, 3))
def test_bpe_is_the_naive_algorithm(words: Words, least: int) -> None:
    text = list(words.items())
    known = sorted(symbols_in(text), key=lambda symbol: (len(symbol), symbol))
    for merge in learned_merges(words, frequency, least=least, mark="##"):
        counts = pairs_in(text)
        best = min(counts, key=lambda pair: (-counts[pair], *map(known.index, pair)))
        assert (merge.left, merge.right, merge.count, merge.score) == (*best, counts[best], counts[best])
        assert merge.count >= least
        text = replaced(text, best)
        known.append(merge.merged)
    assert max(pairs_in(text).values(), default=0) < least


@given(words=plain | marked, least=st.integers(1, 3))
def test_wordpiece_takes_the_merge_that_raises_the_likelihood_most(words: Words, least: int) -> None:
    text = list(words.items())

    def best() -> float:
        return max((gain(text, pair) for pair, n in pairs_in(text).items() if n >= least), default=0.0)

    for merge in learned_merges(words, likelihood_gain, least=least, mark="##"):
        pair = merge.left, merge.right
        assert merge.count == pairs_in(text)[pair] >= least
        assert merge.score == pytest.approx(gain(text, pair), abs=1e-9)
        assert merge.score == pytest.approx(best(), abs=1e-9)
        text = replaced(text, pair)
    assert best() < 1e-9


@SCORES
@given(words=plain | marked, data=st.data())
def test_the_order_of_the_words_does_not_matter_and_no_piece_is_made_twice(
    score: MergeScore, words: Words, data: st.DataObject
) -> None:
    merges = list(learned_merges(words, score, mark="##"))
    shuffled = dict(data.draw(st.permutations(list(words.items()))))
    assert list(learned_merges(shuffled, score, mark="##")) == merges
    assert [merge.step for merge in merges] == [*range(1, len(merges) + 1)]
    pieces = [*symbols_in(list(words.items())), *(merge.merged for merge in merges)]
    assert len(pieces) == len({*pieces})


def test_the_first_merges_of_a_known_text() -> None:
    low: Words = {tuple("low"): 5, tuple("lower"): 2, tuple("newest"): 6, tuple("widest"): 3}
    assert [merge.merged for merge in learned_merges(low, frequency)][:5] == ["es", "est", "lo", "low", "ew"]
    assert next(learned_merges(low, frequency)) == Merge(1, "e", "s", "es", 9, 9.0)
    # "s" never stands without "t", and "e" stands also elsewhere.
    assert next(learned_merges(low, likelihood_gain)).merged == "st"
    assert list(learned_merges({("a", "b"): 1}, frequency)) == []
    # Whoever always follows everybody is no news: nothing makes this text likelier.
    even: Words = {("a", "a"): 5, ("a", "b"): 5, ("b", "a"): 5, ("b", "b"): 5}
    assert list(learned_merges(even, likelihood_gain)) == []
    assert len(list(learned_merges(even, frequency))) == 4


def shared(file: str) -> list[str]:
    root = Path(os.environ.get("WHYFORMER_SHARED", Path(__file__).parents[3] / "shared"))
    path = root / "data" / file
    if not path.exists():
        pytest.skip(f"{path} is not there; set WHYFORMER_SHARED to the folder of shared data")
    return read_lines(path)


@cache
def embedded(target: CorpusLanguage) -> list[str]:
    pairs = CldrSpec(source="en", target=target, topics=("relative", "units")).build().train[:1500]
    return [line for pair in pairs for line in (pair.source, pair.target)]


def real_text(name: str) -> list[str]:
    """About 100 to 200 thousand characters."""
    match name:
        case "zh" | "de":
            return embedded(name)
        case _ if "sanguo" in name:
            return shared(name)[:100]  # a line is a paragraph
        case _:
            return shared(name)[:2000]


REAL_TEXT = pytest.mark.parametrize(
    "name",
    [
        "zh",
        "de",
        "multi30k/raw/train.de.gz",
        "tatoeba-zh/train.tsv.gz",
        "text/books/alice.txt.gz",
        "text/books/sanguo_001-110.txt.gz",
    ],
)


def library_merges(tokenizer: Tokenizer, path: Path) -> list[list[str]]:
    tokenizer.save(path)
    return json.loads(path.read_text(encoding="utf-8"))["model"]["merges"]


@REAL_TEXT
def test_bpe_learns_the_merges_of_the_library(name: str, tmp_path: Path) -> None:
    spec, lines = BPE(vocabulary=4000, byte_fallback=False), real_text(name)
    theirs = library_merges(spec.train(lines), tmp_path / "tokenizer.json")
    ours = islice(spec.merges(lines), len(theirs))
    assert [[merge.left, merge.right] for merge in ours] == theirs
    assert len(theirs) > 100


@REAL_TEXT
def test_wordpiece_by_frequency_learns_the_pieces_of_the_library(name: str) -> None:
    spec, lines = WordPiece(vocabulary=4000, criterion="frequency"), real_text(name)
    ours = spec.train(lines).pieces[len(special_tokens.NAMES) :]
    _, cut, characters = spec._prepared(lines, cutting.UNSPACED_CHARACTER, cutting.HASH)
    single = [piece for piece in ours if len(piece.removeprefix("##")) == 1]
    trainer = tokenizers.trainers.WordPieceTrainer(
        vocab_size=4000 - len(special_tokens.NAMES),
        min_frequency=2,
        special_tokens=single,
        limit_alphabet=0,
        show_progress=False,
    )
    theirs = learn(tokenizers.models.WordPiece(), trainer, lines, cut, only=characters)["vocab"]
    assert ours == sorted(theirs, key=theirs.__getitem__)


@pytest.mark.parametrize("name", ["zh", "multi30k/raw/train.de.gz"])
def test_the_exported_wordpiece_cuts_as_the_longest_match_does(name: str) -> None:
    lines = real_text(name)
    tokenizer = WordPiece(vocabulary=2000, coverage=1.0, text=TextSpec(spaces="keep")).train(lines[:1000])
    known = {*tokenizer.pieces}

    def greedy(word: str) -> Iterator[str]:
        mark = ""
        while word:
            end = next((n for n in range(len(word), 0, -1) if mark + word[:n] in known), None)
            if end is None:
                raise AssertionError(f"{word!r} cannot be cut")
            yield mark + word[:end]
            mark, word = "##", word[end:]

    words = {word for line in lines[:1000] for word in line.split() if word.isascii() and word.isalpha()}
    assert len(words) > 20
    for word in words:
        cut = [tokenizer.pieces[id] for id in tokenizer.encode(word)]
        assert cut == list(greedy(f" {word}"))
    assert tokenizer.decode_all(tokenizer.encode_all(lines[:1000])) == lines[:1000]


@pytest.mark.parametrize("name", ["zh", "multi30k/raw/train.de.gz"])
def test_the_exported_bpe_cuts_as_the_merges_replayed_do(name: str) -> None:
    lines = real_text(name)[:1000]
    spec = BPE(vocabulary=800, byte_fallback=False, coverage=1.0, split="spaces")
    tokenizer = spec.train(lines)
    merges = [
        (merge.left, merge.right) for merge in spec.merges(lines) if merge.merged in set(tokenizer.pieces)
    ]
    for word in sorted({word for line in lines for word in line.split()})[::20]:
        pieces = tuple(word) if "\u3040" < word[0] < "\u9fff" else (" ", *word)
        for pair in merges:
            pieces = joined(pieces, pair, "".join(pair))
        assert [tokenizer.pieces[id] for id in tokenizer.encode(word)] == list(pieces)


CHINESE = ["玄德曰：“云长、翼德何在？”", "玄德大喜。云长亦喜。", "翼德曰：“玄德公何往？”"]


def test_chinese() -> None:
    merges = list(BPE().merges(CHINESE))
    assert (merges[0].left, merges[0].right, merges[0].count) == ("玄", "德", 3)
    assert "云长" in {merge.merged for merge in merges}
    # In WordPiece characters of scripts without spaces stand alone; their punctuation does not.
    for criterion in ("likelihood", "frequency"):
        learned = {merge.merged for merge in WordPiece(criterion=criterion).merges(CHINESE)}
        assert learned
        assert not {*"玄德云长翼曰何"} & {*"".join(learned)}


def test_the_criterion_decides_what_a_tokenizer_learns() -> None:
    lines = embedded("de")[:600]
    likely = WordPiece(vocabulary=400, criterion="likelihood").train(lines)
    frequent = WordPiece(vocabulary=400, criterion="frequency").train(lines)
    assert likely.fingerprint == WordPiece(vocabulary=400).train(lines).fingerprint != frequent.fingerprint


def test_the_likelihood_makes_held_out_text_likelier() -> None:
    lines, held_out = shared("multi30k/raw/train.en.gz")[:5000], shared("multi30k/raw/val.en.gz")

    def bits(criterion: Literal["likelihood", "frequency"]) -> float:
        tokenizer = WordPiece(vocabulary=1500, criterion=criterion).train(lines)
        counts = Counter(id for ids in tokenizer.encode_all(lines) for id in ids)
        total = counts.total() + tokenizer.size
        return -sum(log2((counts[id] + 1) / total) for ids in tokenizer.encode_all(held_out) for id in ids)

    assert bits("likelihood") < bits("frequency")


@pytest.mark.slow
@SCORES
def test_ten_thousand_merges_of_a_real_corpus_take_seconds(score: MergeScore) -> None:
    lines = shared("multi30k/raw/train.de.gz")
    criterion = "frequency" if score is frequency else "likelihood"
    started = time.process_time()
    merges = list(islice(WordPiece(criterion=criterion).merges(lines), 10_000))
    seconds = time.process_time() - started
    print(f"{len(lines):,} lines, {len(merges):,} merges by {criterion}: {seconds:.1f} s")
    assert len(merges) == 10_000
    assert seconds < 30
