"""Question 17 in small: what the criterion changes, and what a bigram model pays for it."""

from random import Random

import pytest

from whyformer.data.tokenizers.kinds import BPE, Character, WordPiece
from whyformer.why.lab.toys.text import (
    ShortFormWordPiece,
    bits_a_character,
    learned_pieces,
    paragraphs,
    without_morphology,
)


@pytest.fixture(scope="module")
def texts() -> list[str]:
    """Paragraphs of the manual, a quarter of them."""
    found = paragraphs()
    Random(1).shuffle(found)
    return found[: len(found) // 4]


def test_the_criterion_makes_the_difference(texts: list[str]):
    bpe = learned_pieces(BPE(vocabulary=600, coverage=1.0, byte_fallback=False).train(texts))

    def shared(spec: WordPiece) -> float:
        pieces = learned_pieces(spec.train(texts))
        return len(pieces & bpe) / len(pieces)

    # By frequency, WordPiece learns what BPE learns but for the marks; by ratio, hardly anything of it.
    gain, frequency, ratio = (
        shared(WordPiece(vocabulary=600, coverage=1.0)),
        shared(WordPiece(vocabulary=600, coverage=1.0, criterion="frequency")),
        shared(ShortFormWordPiece(vocabulary=600, coverage=1.0)),
    )
    assert frequency > 0.8 > gain > 0.4 > ratio


def test_pieces_save_bits_where_words_have_parts_and_only_there(texts: list[str]):
    def saved(corpus: list[str]) -> float:
        fifth = len(corpus) // 5
        pieces = BPE(vocabulary=600, coverage=1.0, byte_fallback=False).train(corpus[fifth:])
        letters = Character().train(corpus[fifth:])
        return 1.0 - bits_a_character(pieces, corpus, fifth) / bits_a_character(letters, corpus, fifth)

    assert saved(texts) > 0.2
    assert saved(without_morphology(texts, Random(2))) < 0.02


def test_the_bigram_model_knows_what_cannot_be_known():
    random = Random(3)
    noise = ["".join(random.choices("abcd", k=200)) for _ in range(60)]
    sure = ["abcd" * 50] * 60
    letters = Character().train(noise)
    assert bits_a_character(letters, noise, 12) == pytest.approx(2.0, abs=0.06)
    assert bits_a_character(letters, sure, 12) < 0.05
