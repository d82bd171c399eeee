"""A text may begin anywhere inside a piece: every text that goes on from there can still be written."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whyformer.data.corpora.cldr import CldrSpec
from whyformer.data.tokenizers.kinds import BPE, Character, TokenizerSpec, Unigram, Word, WordPiece
from whyformer.data.tokenizers.text.normalization import TextSpec
from whyformer.data.tokenizers.tokenizer import Document, Tokenizer
from whyformer.errors import DecodingError
from whyformer.tasks.opening import openings

WRITTEN = [
    "Tom's mother doesn't know (yet) — it's 3.50 € at the l'Hôtel's bar!",
    "Zwei „junge“ Männer-Hüte... und 12.345 Büsche; wie geht's?",
    "她说：“36分钟前，他在OK店里。”第2次！",
    "A  b\u00a0c   d",
    "</s> is <0x41> text, ##too.",
    "😀 ok 🙂",
    "A long, long sentence (of many words) that goes on and on: it isn't at an end, 'for it goes on.",
]
KINDS: list[TokenizerSpec] = [
    BPE(vocabulary=900),
    BPE(vocabulary=900, split="spaces"),
    BPE(vocabulary=700, lowercase=True, text=TextSpec(spaces="keep")),
    Unigram(vocabulary=900),
    WordPiece(vocabulary=1200, coverage=1.0),
    Word(),
    Character(),
    Character(text=TextSpec(spaces="keep", unicode="none")),
]


@pytest.fixture(scope="module")
def targets() -> list[str]:
    pairs = CldrSpec(source="en", target="zh", pairs=3000).build().train[::60]
    german = CldrSpec(source="en", target="de", pairs=3000).build().train[::60]
    return [*(pair.target for pair in pairs), *(pair.target for pair in german), *WRITTEN]


@pytest.mark.parametrize("spec", KINDS, ids=lambda spec: f"{spec.kind}-{spec.text.spaces}-{spec.lowercase}")
def test_whatever_goes_on_from_any_cut_can_be_written(spec: TokenizerSpec, targets: list[str]):
    tokenizer = spec.train(targets * 2)
    for target in [*targets[::8], *WRITTEN]:
        ids, text = tokenizer.encode(target), tokenizer.decode(tokenizer.encode(target))
        for cut in range(1, len(text) + 1):
            found = openings(tokenizer, text[:cut])
            opened = [opening for opening in found if tuple(ids[: len(opening)]) == opening]
            assert len(opened) == 1 or not text[:cut].strip(), (text[:cut], tokenizer.tokens(ids))
            # None promises less than the beginning, whatever follows.
            begun = tokenizer.decode_all(found)
            assert all(each.startswith(text[:cut]) or each == text[:cut].rstrip() for each in begun)


def byte_level() -> Tokenizer:
    """As GPT-2's come: pieces are bytes, written as other characters."""
    import tokenizers

    from whyformer.huggingface.tokenizers.conversion import from_theirs

    made = tokenizers.Tokenizer(tokenizers.models.BPE())
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator(["the thinking hat, 三十六分钟前 the 三十六"] * 9, trainer)
    document: Document = json.loads(made.to_str())
    return Tokenizer(from_theirs(document, (None, None, 0, 0), "gpt2")[0])


def test_pieces_of_other_toolkits_too():
    tokenizer = byte_level()
    for text in ("the thinking hat", " hat, the", "三十六分钟前 thin", "é the"):
        ids = tokenizer.encode(text)
        for cut in range(1, len(text) + 1):
            if text[:cut].strip():
                assert any(tuple(ids[: len(each)]) == each for each in openings(tokenizer, text[:cut]))


@given(text=st.text(max_size=12))
def test_any_text_has_openings_that_begin_with_it(text: str):
    tokenizer = MADE.setdefault("bpe", BPE(vocabulary=500).train(WRITTEN * 3))
    clean = tokenizer.normalized(text).strip()
    for opening in openings(tokenizer, text):
        assert tokenizer.decode(opening).startswith(clean)
    assert bool(openings(tokenizer, text)) == bool(clean)


MADE: dict[str, Tokenizer] = {}


def test_what_cannot_be_written_is_refused():
    word = Word().train(["hello there", "help me"])
    assert {word.decode(each) for each in openings(word, "hel")} == {"hello", "help"}
    assert {word.decode(each) for each in openings(word, "hello th")} == {"hello there"}
    with pytest.raises(DecodingError, match="can write the prefix 'hex' only as '<unk>'"):
        openings(word, "hex")
