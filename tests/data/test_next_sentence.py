"""Texts and pairs are whole sentences, filled up to a length; half of the pairs belong together."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whyformer.data.batches.next_sentence import Sentences, Texts, sentence_pairs, single_texts
from whyformer.data.corpora.detection.sentences import split_sentences
from whyformer.data.tokenizers.kinds import Word
from whyformer.errors import DataError, WhyformerNote
from whyformer.special_tokens import BOS, EOS

WORDS = [f"w{number}" for number in range(60)]
TOKENIZER = Word(split="spaces").train([" ".join(WORDS)])

documents = st.lists(
    st.lists(
        st.lists(st.sampled_from(WORDS), min_size=1, max_size=14).map(" ".join), min_size=1, max_size=9
    ).map("\n".join),
    min_size=2,
    max_size=6,
)


def pairs(texts: list[str], longest: int = 24, seed: int = 0, duplicates: int = 1) -> tuple[Texts, Sentences]:
    return sentence_pairs(
        texts, TOKENIZER, longest, seed=seed, duplicates=duplicates, source_name="data.train"
    )


@settings(max_examples=100)
@given(texts=documents, longest=st.integers(5, 40), seed=st.integers(0, 9))
def test_pairs_are_whole_sentences_that_belong_together_or_do_not(texts: list[str], longest: int, seed: int):
    texts.append("w1\nw2")
    made, sentences = pairs(texts, longest, seed)
    assert made.follows is not None
    begins = np.array([first for first, _ in sentences.documents])
    number = {start: index for index, start in enumerate(sentences.starts)}
    assert made.lengths.max() <= longest
    for index, (a, b) in enumerate(made.spans.tolist()):
        places = [number[place] for place in (*a, *b)]  # a KeyError would be a cut sentence
        of_a, of_last, of_b, of_end = np.searchsorted(
            begins, [places[0], places[1] - 1, places[2], places[3] - 1], side="right"
        )
        assert (of_a, of_b) == (of_last, of_end)
        assert a[0] < a[1]
        assert b[0] < b[1]
        assert made.follows[index] == (a[1] == b[0] and of_a == of_b)
        assert made.follows[index] or of_a != of_b
        tokens, kinds = made.row(index)
        own = made.tokens
        assert tokens.tolist() == [BOS, *own[slice(*a)], EOS, *own[slice(*b)], EOS]
        assert kinds.tolist() == (a[1] - a[0] + 2) * [0] + (b[1] - b[0] + 1) * [1]
        assert len(tokens) == made.lengths[index]


LONG = [
    "\n".join(f"w{(first * 7 + place) % 60} w{place % 60}" for place in range(300)) for first in range(20)
]


def test_half_of_the_pairs_belong_together_and_nothing_but_the_words_tells_which():
    made, _ = pairs(LONG, longest=64, duplicates=40)
    follows = made.follows
    assert follows is not None
    assert abs(follows.mean() - 0.5) < 4 * 0.5 / np.sqrt(len(made))
    sides = made.spans[:, :, 1] - made.spans[:, :, 0]
    for side in (0, 1):
        assert sides[follows, side].mean() == pytest.approx(sides[~follows, side].mean(), rel=0.06)


def test_pairs_are_a_function_of_the_seed_and_layouts_differ():
    first, again, other = (pairs(LONG, seed=seed, duplicates=2)[0].spans for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first[:50], other[:50])
    once = pairs(LONG, seed=1)[0].spans
    assert np.array_equal(first[: len(once)], once)
    assert not np.array_equal(first[len(once) :][:50], once[:50])


@settings(max_examples=50)
@given(texts=documents, longest=st.integers(5, 40))
def test_single_texts_hold_every_token_once_and_never_cross_documents(texts: list[str], longest: int):
    made, sentences = single_texts(texts, TOKENIZER, longest, source_name="data.train")
    assert made.follows is None
    assert made.lengths.max() <= longest
    assert np.array_equal(made.spans[1:, 0, 0], made.spans[:-1, 0, 1])
    assert (made.spans[0, 0, 0], made.spans[-1, 0, 1]) == (0, len(made.tokens))
    assert {sentences.starts[first] for first, _ in sentences.documents} <= set(made.spans[:, 0, 0].tolist())
    tokens, kinds = made.row(0)
    assert (tokens[0], tokens[-1]) == (BOS, EOS)
    assert not kinds.any()


def test_long_sentences_are_cut_and_counted_and_what_is_unknown_is_dropped():
    sentences = Sentences.of(["w1 w2 w3 w4 w5\nw6", "unknown\n\n", "w7\nunknown w8"], TOKENIZER, 2)
    assert sentences.starts == [0, 2, 4, 5, 6, 7, 9]
    assert sentences.documents == [(0, 4), (4, 6)]
    assert sentences.cut == 1


@pytest.mark.parametrize(
    ("texts", "sentence"),
    [
        (
            ["w1\nw2\nw3"],
            "data.train: this is one document of 3 sentences, too few for the prediction of the next",
        ),
        (["w1\nw2", "unknown"], "data.train: this is one document of 2 sentences"),
        (["w1", "w2"], "data.train: no document has two sentences"),
    ],
)
def test_documents_that_make_no_pairs_are_refused(texts: list[str], sentence: str):
    with pytest.raises(DataError) as caught:
        pairs(texts)
    assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize(("count", "pieces"), [(4, 2), (99, 2), (150, 3), (520, 10)])
def test_one_document_is_taken_as_several_pieces(count: int, pieces: int):
    text = "\n".join(f"w{number % 9 + 1} w{number % 7 + 1}" for number in range(count))
    with pytest.warns(WhyformerNote, match=f"data.train: this is one document.* taken as {pieces} pieces"):
        made, sentences = pairs([text])
    assert len(sentences.documents) == pieces
    assert [first for first, _ in sentences.documents[1:]] == [end for _, end in sentences.documents[:-1]]
    assert sentences.documents[-1][1] == len(sentences) == count
    assert made.follows is not None
    assert len(made) > 0


def test_text_without_a_known_word_is_refused():
    with pytest.raises(DataError, match=r"^data.valid: the tokenizer knows not one word of it"):
        single_texts(["unknown"], TOKENIZER, 24, source_name="data.valid")


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two!  Three?! Four… Five", ["One.", "Two!", "Three?!", "Four…", "Five"]),
        (
            "Mr. H. G. Wells met Dr. Ng. He left at 3.15 p.m. sharp.",
            ["Mr. H. G. Wells met Dr. Ng.", "He left at 3.15 p.m. sharp."],
        ),
        (
            "“Stop!” he cried. “Why?” ‘No.’ (So.) 3 men",
            ["“Stop!” he cried.", "“Why?”", "‘No.’", "(So.)", "3 men"],
        ),
        (
            "是非成败转头空。“青山依旧在！”几度夕阳红？白发……江渚",
            ["是非成败转头空。", "“青山依旧在！”", "几度夕阳红？", "白发……", "江渚"],
        ),
        (" a line\n\n ends it ", ["a line", "ends it"]),
        ("", []),
    ],
)
def test_sentences_end_at_full_stops_and_line_ends(text: str, sentences: list[str]):
    assert split_sentences(text) == sentences
