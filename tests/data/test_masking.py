"""Masks have the ratios asked for, are a function of their numbers, and leave special tokens alone."""

import numpy as np
import pytest
from numpy.typing import NDArray

from whyformer.config.validation import check
from whyformer.data.batches.masking import MASK, MaskingSpec
from whyformer.data.tokenizers.kinds import BPE, Unigram, WordPiece
from whyformer.data.tokenizers.tokenizer import Tokenizer
from whyformer.errors import RecipeError, TokenizerError
from whyformer.special_tokens import BOS, EOS, UNK

TEXT = [
    "the walker walked and the talker talked",
    "walking talks, talking walks: don't walk 1998 ways",
    "白发渔樵江渚上，惯看秋月春风。",
]
TOKENIZER = BPE(vocabulary=340, specials=(MASK,)).train(TEXT)
PIECES = TOKENIZER.learned_ids


def texts(count: int, length: int) -> list[NDArray[np.int64]]:
    random = np.random.default_rng(0)
    return [random.integers(PIECES.start, PIECES.stop, length) for _ in range(count)]


def within(count: int, total: int, probability: float) -> bool:
    """Whether so many of ``total`` are no more than four standard deviations off."""
    deviation = np.sqrt(total * probability * (1 - probability))
    return abs(count - total * probability) <= 4 * deviation


@pytest.mark.parametrize(
    ("share", "mask", "random"),
    [(0.15, 0.8, 0.1), (0.4, 1.0, 0.0), (0.3, 0.0, 1.0), (0.2, 0.0, 0.0), (1.0, 0.5, 0.25)],
)
def test_the_ratios_are_those_asked_for(share: float, mask: float, random: float):
    masking = MaskingSpec(share=share, mask=mask, random=random).build(TOKENIZER, seed=1)
    true = np.stack(texts(100, 1000))
    made = [masking(row, epoch=0, number=number) for number, row in enumerate(true)]
    tokens, chosen = (np.stack(part) for part in zip(*made, strict=True))
    assert within(chosen.sum(), true.size, share)
    assert (tokens[~chosen] == true[~chosen]).all()
    hidden = tokens[chosen] == masking.mask
    assert within(hidden.sum(), chosen.sum(), mask)
    # A random piece may be the true one.
    other = ~hidden & (tokens[chosen] != true[chosen])
    assert within(other.sum(), chosen.sum(), random * (1 - 1 / len(PIECES)))


def test_a_mask_is_a_function_of_seed_epoch_and_number():
    row = texts(1, 200)[0]

    def drawn(seed: int, epoch: int, number: int) -> bytes:
        return MaskingSpec().build(TOKENIZER, seed)(row, epoch=epoch, number=number).tokens.tobytes()

    assert drawn(1, 2, 3) == drawn(1, 2, 3)
    assert len({drawn(*numbers) for numbers in [(1, 2, 3), (0, 2, 3), (1, 0, 3), (1, 2, 0), (1, 3, 2)]}) == 5


@pytest.mark.parametrize("whole_words", [False, True])
def test_special_tokens_are_never_hidden_and_never_drawn(whole_words: bool):
    masking = MaskingSpec(share=1.0, mask=0.0, random=1.0, whole_words=whole_words).build(TOKENIZER, seed=0)
    row = np.concatenate([[BOS], texts(1, 5000)[0], [UNK, EOS], texts(1, 5000)[0], [EOS]])
    tokens, chosen = masking(row, epoch=0, number=0)
    special = row < TOKENIZER.ordinary_ids.start
    assert (chosen == ~special).all()
    assert (tokens[special] == row[special]).all()
    assert set(tokens[chosen].tolist()) == set(PIECES)


@pytest.mark.parametrize("whole_words", [False, True])
def test_one_token_is_hidden_however_short_the_text(whole_words: bool):
    masking = MaskingSpec(share=0.001, whole_words=whole_words).build(TOKENIZER, seed=0)
    row = np.array([BOS, *TOKENIZER.encode("渔樵")[:1], UNK, EOS])
    for epoch in range(50):
        assert masking(row, epoch=epoch, number=0).chosen.tolist() == [False, True, False, False]


@pytest.mark.parametrize("spec", [BPE, Unigram, WordPiece])
def test_whole_words_are_hidden_with_all_their_pieces_or_not_at_all(
    spec: type[BPE] | type[Unigram] | type[WordPiece],
):
    tokenizer = spec(vocabulary=340, specials=(MASK,)).train(TEXT)
    masking = MaskingSpec(share=0.3, whole_words=True).build(tokenizer, seed=0)
    row = np.array([BOS, *tokenizer.encode(" ".join(40 * TEXT[:2])), EOS])
    words = masking.words(row)
    assert words.max() < len(row) - 1
    chosen = np.stack([masking(row, epoch=epoch, number=0).chosen for epoch in range(40)])
    for word in range(1, words.max()):
        assert len({tuple(column) for column in chosen.T[words == word]}) == 1
    assert abs(chosen.mean() - 0.3) < 0.03


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("walking talks, 1998!", ["walking", "talks", ",", "1998", "!"]),
        ("the well-walked way's", ["the", "well", "-", "walked", "way", "'", "s"]),
        # A Chinese character is a word; of bytes that spell one, all.
        ("江渚上，月", ["江", "渚", "上", "，", "月"]),
        ("月龘月 naïve", ["月", "龘", "月", "naïve"]),
    ],
)
def test_words_are_runs_of_letters_and_single_chinese_pieces(text: str, words: list[str]):
    tokenizer = BPE(vocabulary=320, coverage=1.0, specials=(MASK,)).train(TEXT)
    masking = MaskingSpec().build(tokenizer, seed=0)
    assert joined(tokenizer, tokenizer.encode(text), masking.words(np.array(tokenizer.encode(text)))) == words


def joined(tokenizer: Tokenizer, ids: list[int], words: NDArray[np.int64]) -> list[str]:
    pieces = np.array(ids)
    return [tokenizer.decode(pieces[words == word].tolist()).strip() for word in range(words.max() + 1)]


def test_what_cannot_be_is_one_sentence():
    with pytest.raises(TokenizerError, match=r"no special token '\[MASK\]'; train one with it among its"):
        MaskingSpec().build(BPE(vocabulary=320).train(TEXT), seed=0)
    with pytest.raises(RecipeError, match=r"mask and random are shares of one whole, but their sum is 1.2"):
        check(MaskingSpec, {"mask": 0.7, "random": 0.5}, "a test")
