"""What looks the same is the same to a tokenizer, and what was never seen is told once."""

import json
import random
import unicodedata
import warnings
from pathlib import Path
from typing import Literal

import pytest
import tokenizers
from hypothesis import example, given, settings
from hypothesis import strategies as st

from whyformer.data.tokenizers.kinds import BPE, Character, TokenizerSpec, Unigram, Word, WordPiece
from whyformer.data.tokenizers.text.normalization import TextSpec, most_tokens
from whyformer.data.tokenizers.text.seen import SeenText
from whyformer.data.tokenizers.text.sentences import join_sentences, split_line
from whyformer.data.tokenizers.tokenizer import SEEN_KEY, SPEC_KEY, Tokenizer
from whyformer.errors import TokenizerError, WhyformerNote

LINES = [
    "36 minutes ago",
    "Ein schöner Männerhut für 5 €",
    "ngày 3 tháng 2",
    "三十六分钟前",
    "über\u00adall",
] * 4
WHITE = [chr(code) for code in range(0x3001) if chr(code).isspace()]
INVISIBLE = [
    *"\u00ad\u034f\u061c\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202e\u2060\u2066\u2069\ufeff\ufe0f"
]
KINDS: list[TokenizerSpec] = [
    BPE(vocabulary=330),
    Unigram(vocabulary=330),
    WordPiece(vocabulary=200, coverage=1.0),
    Word(),
    Character(),
]


def perturbed(text: str, drawn: random.Random) -> str:
    """The same to a reader: other white space, other forms of characters, and what is not seen."""
    found = unicodedata.normalize(drawn.choice(["NFC", "NFD"]), text)
    parts: list[str] = [*drawn.choices(WHITE, k=drawn.randrange(3))]
    for character in found:
        parts += drawn.choices(WHITE, k=drawn.randint(1, 3)) if character == " " else [character]
        if drawn.random() < 0.1:
            parts.append(drawn.choice(INVISIBLE))
    return "".join([*parts, *drawn.choices(WHITE, k=drawn.randrange(3))])


@pytest.mark.parametrize("spec", KINDS, ids=lambda spec: spec.kind)
def test_what_looks_the_same_is_the_same(spec: TokenizerSpec, tmp_path: Path):
    tokenizer = spec.train(LINES)
    tokenizer.save(tmp_path / "tokenizer.json")
    library = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    drawn = random.Random(1)
    for text in LINES[:4] * 50:
        other = perturbed(text, drawn)
        assert tokenizer.encode(other) == tokenizer.encode(text)
        # Any program that reads the file by the library has it, too.
        assert library.encode(other).ids == tokenizer.encode(text)
    # Not even training sees a difference.
    assert spec.train([perturbed(line, drawn) for line in LINES]).fingerprint == tokenizer.fingerprint


def test_all_white_space_of_unicode_and_python_is_folded():
    tokenizer = Character().train(LINES)
    for space in [*WHITE, "\r\n", "\u2028\u2029", "\u00a0 \u00a0"]:
        assert tokenizer.encode(f"a{space}b") == tokenizer.encode("a b")
        assert tokenizer.encode(f"{space}a") == tokenizer.encode(f"a{space}") == tokenizer.encode("a")
        assert tokenizer.encode(space) == []


@pytest.mark.parametrize(
    "text",
    [
        "می\u200cخواهم",  # Persian: a non-joiner parts what is one word
        "क्\u200dष",  # Hindi: half a letter
        "ភាសា\u200bខ្មែរ",  # Khmer: the only mark between words
        "👩\u200d🔬",
        "❤\ufe0f\u200d🔥",
        "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
        "1\ufe0f\u20e3",
        "©\ufe0f ☎\ufe0e",
    ],
)
def test_what_carries_meaning_stays(text: str):
    assert Character().train(LINES).normalized(text) == text


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("co\u00adoperate", "cooperate"),
        ("\ufeffa\u200bb\u200cc\u200dd", "abcd"),
        ("\u202aabc\u202c \u2067x\u2069", "abc x"),
        ("e\u200b\u0301", "é"),
        ("a\ufe0f1\ufe0f", "a1"),
        ("x\U000e0041\U000e0042y", "xy"),
        ("三\u200b\u200b十", "三十"),
    ],
)
def test_what_is_not_seen_is_dropped(text: str, kept: str):
    assert Character().train(LINES).normalized(text) == kept


def test_a_recipe_may_choose():
    everything = TextSpec(unicode="none", spaces="keep", invisible="keep")
    odd = " e\u0301\u00a0\t\u200b²  "
    assert Character(text=everything).train(LINES).normalized(odd) == odd
    assert Character(text=TextSpec(unicode="nfkc")).train(LINES).normalized("ｍ²\u00a0ﬁ") == "m2 fi"
    assert Character(text=everything, nfc=True).train(LINES).normalized("e\u0301") == "é"
    documents = Character().for_documents().train(LINES)
    assert documents.normalized(" a\u00a0\u00a0b\r\n\tc\u2028d\re\n\nf ") == " a  b\n\tc\nd\ne\n\nf "
    assert documents.spec["text"]["spaces"] == "plain"
    # What a recipe says holds for documents, too.
    assert Character(text=TextSpec(spaces="fold")).for_documents().train(LINES).encode("a\n b") == (
        Character().train(LINES).encode("a b")
    )


@given(text=st.text(max_size=30))
@settings(max_examples=200)
def test_the_normal_form_of_a_normal_form_is_itself(text: str):
    tokenizer = TOKENIZERS.setdefault("character", Character().train(LINES))
    once = tokenizer.decode(tokenizer.encode(text))
    assert tokenizer.decode(tokenizer.encode(once)) == once
    assert once == once.strip()


TOKENIZERS: dict[str, Tokenizer] = {}


def test_a_file_without_the_key_does_what_it_did(tmp_path: Path):
    """As written before there was a normal form: one replacement, and no facts about the training text."""
    kept = BPE(vocabulary=330, text=TextSpec(unicode="none", spaces="keep", invisible="keep")).train(LINES)
    path = tmp_path / "tokenizer.json"
    kept.save(path)
    document = json.loads(path.read_text(encoding="utf-8"))
    del document["model"][SPEC_KEY]["text"], document["model"][SEEN_KEY]
    path.write_text(json.dumps(document), encoding="utf-8")
    old = Tokenizer.load(path)
    odd = " 36\u00a0minutes\tago\u200b e\u0301 "
    assert old.decode(old.encode(odd)) == odd
    assert old.encode_inside([odd]) != old.encode_all([odd])
    assert old.seen is None
    old.note_unseen(["😀"])


def test_what_was_never_seen_is_told_once_and_named():
    tokenizer = BPE(vocabulary=330).train(LINES)
    with pytest.warns(WhyformerNote, match=r"guess: q \(U\+0071\), 😀 \(U\+1F600\)\.$"):
        tokenizer.note_unseen(["36 minutes\u00a0ago", "q 😀", "e\u0301"[:1] + "🙂"[:0]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tokenizer.note_unseen(["q 😀", "scho\u0308n\u200b\u3000"])
    with pytest.warns(WhyformerNote, match="guess: Q") as told:
        tokenizer.note_unseen(["Q q"])
    assert len(told) == 1
    with pytest.raises(TokenizerError, match="surrogate"):
        tokenizer.note_unseen(["\ud800"])


def test_facts_about_the_training_text():
    seen = BPE(vocabulary=330).train(LINES).seen
    assert seen is not None
    assert seen.sentences == 1
    # Of a hundred lines one may be an exception.
    several = ["One. Two! Three?", *["One and two. Three."] * 99, "One. Two. Three. Four. Five."]
    seen_several = BPE(vocabulary=330).train(several).seen
    assert seen_several is not None
    assert seen_several.sentences == 3
    assert {*"三十六分钟前€öü"} < seen.characters
    assert "\u00ad" not in seen.characters
    assert SeenText.read(json.loads(json.dumps(seen.record()))) == seen
    assert SeenText.read({"characters": 3}) is None


@pytest.mark.parametrize(
    "sentences",
    [
        ["A man runs.", "A dog sleeps!", "Is it 5 p.m.?"],
        ["Dr. Smith paid $3.50 to J. R. Jones.", "“Why?” asked Tom.", "No. 5 is alive."],
        ["Am 3. Mai kam z. B. Herr Dr. Kant.", "Er blieb bis 1998.", "„Gut.“"],
        ["他说：“你好。”他走了！", "天气很好。", "是吗？"],
        ["Она ушла…", "Он остался."],
        ["He said (it was late. Really.) nothing.", "¿Qué?", "¡No!"],
        ["他走了。。。", "真的吗？！", "好。"],
        ["We saw the U.S. Army at 10 a.m. on Jan. 5, 1998.", "Wow..."],
        ["one sentence without an end"],
    ],
)
def test_lines_are_cut_where_sentences_end(sentences: list[str]):
    line = join_sentences(sentences)
    assert split_line(line) == sentences
    assert split_line(f"  {line}  ") == sentences


@pytest.mark.parametrize(("last", "stays"), [("", False), ("\U000e007f", True)])
def test_long_tags_are_looked_through_once(last: str, stays: bool):
    """Where each looked at all that follow, these took a minute."""
    tags = "\U000e0041" * 100_000 + last
    assert BPE(vocabulary=330).train(LINES).normalized(tags) == (tags if stays else "")


@pytest.mark.parametrize("end", [*"。！？｡", "。。。", "？！", "。”", "！』", "？）", "。'", '。"', "。”）"])
def test_what_closes_a_sentence_begins_no_other(end: str):
    assert split_line(f"他走了{end}") == [f"他走了{end}"]
    assert split_line(f"他走了{end}  ") == [f"他走了{end}"]


@pytest.mark.parametrize(
    ("line", "sentences"),
    [
        ("." * 300_000 + "a", 1),
        ("。" * 300_000, 1),
        ("。" + "”" * 300_000 + "。", 1),
        ("He went. " * 30_000, 30_000),
        ("“" + "He went. " * 30_000, 1),
        ("He went." + " " * 300_000 + "She, too.", 2),
        ("走了。 " * 60_000, 60_000),
        ("a" * 300_000 + ". B", 2),
    ],
    ids=lambda value: str(value)[:8],
)
def test_long_lines_are_looked_through_once(line: str, sentences: int):
    """Where each end looked at the whole line again, each of these took minutes."""
    assert len(split_line(line)) == sentences


def test_sentences_are_joined_as_their_script_is():
    assert join_sentences(["他走了。", "我也走了！", ""]) == "他走了。我也走了！"
    assert join_sentences(["He left.", "I, too."]) == "He left. I, too."
    assert join_sentences(["他走了。", "OK."]) == "他走了。OK."
    assert (join_sentences([]), join_sentences([" "])) == ("", "")


@pytest.mark.parametrize("lowercase", [False, True])
@pytest.mark.parametrize("form", ["nfc", "nfkc"])
@pytest.mark.parametrize("spec", KINDS, ids=lambda spec: spec.kind)
def test_text_in_normal_form_has_no_more_tokens_than_is_said(
    spec: TokenizerSpec, form: Literal["nfc", "nfkc"], lowercase: bool
):
    changed = spec.model_copy(update={"text": TextSpec(unicode=form), "lowercase": lowercase})
    tokenizer = changed.train(LINES)

    @given(st.text(st.characters(codec="utf-8"), max_size=12))
    @example("\ufdfa İ")
    @example("ȺȺȺ")
    @example("r")
    @example("")
    @settings(max_examples=300, deadline=None)
    def check(drawn: str) -> None:
        normal = tokenizer.normalized(drawn)
        assert len(tokenizer.encode(normal)) <= most_tokens(normal)

    check()
