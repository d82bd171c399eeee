"""Every question has all of its prose in both languages, and whoever breaks a rule of it is told so."""

import subprocess
import sys
from pathlib import Path

import pytest

from why.conftest import CHINESE, ENGLISH, markdown
from why.toy import QUESTION
from whyformer.errors import WhyformerError
from whyformer.language import LANGUAGES
from whyformer.plots.chart import Language
from whyformer.why.book.plain import plain_text
from whyformer.why.book.prose import LISTS, PARTS, prose_faults, read_prose, without_marks
from whyformer.why.catalogue import QUESTIONS
from whyformer.why.published import published
from whyformer.why.question import Question

SHIPPED = Path(__file__).parents[2] / "src" / "whyformer" / "why" / "prose"
STEMS = [question.stem for question in QUESTIONS.values()]
each_question = pytest.mark.parametrize("question", QUESTIONS.values(), ids=lambda question: question.stem)


@each_question
@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_question_has_its_prose_by_the_rules(question: Question, lang: Language):
    prose = read_prose(question.stem, lang)
    assert prose_faults(question, prose) == []
    filled = prose.filled(
        {claim.key: 1.0 for claim in question.claims} | dict.fromkeys(question.numbers, 2.0)
    )
    text = " ".join(filled.parts.values())
    assert "{{" not in text
    for part in without_marks(filled.parts.values()):
        assert not [word for word in plain_text(part).split() if set(word) & set("\\{}$")], part


@each_question
def test_both_languages_say_the_same(question: Question):
    english, chinese = (read_prose(question.stem, lang) for lang in LANGUAGES)
    assert english.verdict == chinese.verdict
    for part in LISTS:
        assert len(english.paragraphs(part)) == len(chinese.paragraphs(part)), part
    for part in PARTS:
        if part != "Derivation":
            assert max(chinese.parts[part]) >= "\u4e00", part
    # A Chinese word may be quoted in the English, such as 点乘, but no sentence.
    assert sum("\u4e00" <= letter <= "\u9fff" for letter in " ".join(english.parts.values())) < 60


@each_question
def test_the_headline_says_what_was_published(question: Question):
    findings = published(question)
    if findings is None:
        pytest.skip(f"{question.stem} has no published results that fit it")
    assert {read_prose(question.stem, lang).verdict for lang in LANGUAGES} == {findings.verdict}


def test_there_is_no_prose_without_a_question():
    assert {path.name for path in SHIPPED.iterdir()} == {
        f"{stem}.{lang}.md" for stem in STEMS for lang in LANGUAGES
    }


def test_lines_become_paragraphs_and_entries(toy_prose: Path):
    changed = ENGLISH | {
        "Answer": "So\nit is. [^it]\n\n\nYes. [^-]",
        "Points": "- One\n  more.\n- Two.",
    }
    (toy_prose / "q99.en.md").write_text(markdown(changed), encoding="utf-8")
    prose = read_prose("q99", "en")
    assert prose.verdict == "supported"
    assert prose.paragraphs("Answer") == ("So it is. [^it]", "Yes. [^-]")
    assert prose.paragraphs("Points") == ("One more.", "Two.")
    assert without_marks(prose.paragraphs("Answer")) == ["So it is.", "Yes."]
    assert prose.filled({"it": -2.04}).paragraphs("Headline") == ("It is −2.0.",)
    assert prose_faults(QUESTION, prose) == []


@pytest.mark.parametrize(
    ("part", "text", "fault"),
    [
        ("Short", "So it is.", "ends without a mark"),
        ("Short", "So it is. And so. [^it]", "a sentence without a mark"),
        ("Answer", "So. [^other]", "[^other] is no claim"),
        ("Headline (supported)", "It is 3.8 times.", "a number by hand: is 3.8 times"),
        ("Caveats", "It is {{other}}.", "{{other}} names no number"),
        ("Follow-ups", "- One? Yes.", "1 entries instead of three"),
        ("Points", "None.", "no entry that begins with -"),
    ],
)
def test_a_broken_rule_is_named(toy_prose: Path, part: str, text: str, fault: str):
    (toy_prose / "q99.en.md").write_text(markdown(ENGLISH | {part: text}), encoding="utf-8")
    assert [
        each for each in prose_faults(QUESTION, read_prose("q99", "en")) if fault.replace("\\", "") in each
    ]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{{other}} it is", "names no number"),
        ("{{it:%%}} it is", "no format that Python knows"),
    ],
)
def test_a_number_that_cannot_be_filled_in_is_named(toy_prose: Path, text: str, complaint: str):
    (toy_prose / "q99.en.md").write_text(markdown(ENGLISH | {"Caveats": text}), encoding="utf-8")
    with pytest.raises(WhyformerError, match=complaint):
        read_prose("q99", "en").filled({"it": 1.0})


FIRST, *OTHERS = ENGLISH


@pytest.mark.parametrize(
    ("parts", "complaint"),
    [
        ({}, "found: none"),
        ({FIRST: "So."}, r"must be # Headline \(VERDICT\), # Short, .*; found: # Headline"),
        ({**dict.fromkeys(OTHERS, "So."), FIRST: "So."}, "in this order"),
        ({"Headline (perhaps)": "So.", **dict.fromkeys(OTHERS, "So.")}, "perhaps is no verdict"),
        (dict.fromkeys(ENGLISH, "So.") | {"Caveats": ""}, "nothing stands under # Caveats"),
        (dict.fromkeys(ENGLISH, "So.") | {"Short": " \n"}, "nothing stands under # Short"),
    ],
)
@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_part_that_is_missing_is_named(
    toy_prose: Path, lang: Language, parts: dict[str, str], complaint: str
):
    (toy_prose / f"q99.{lang}.md").write_text(markdown(parts), encoding="utf-8")
    with pytest.raises(WhyformerError, match=rf"q99\.{lang}\.md: .*{complaint}"):
        read_prose("q99", lang)


def test_text_before_the_first_heading_is_refused(toy_prose: Path):
    (toy_prose / "q99.zh.md").write_text("嗯。\n\n" + markdown(CHINESE), encoding="utf-8")
    with pytest.raises(WhyformerError, match="nothing before"):
        read_prose("q99", "zh")


def test_a_language_that_is_missing_is_named(toy_prose: Path):
    (toy_prose / "q99.zh.md").unlink()
    with pytest.raises(WhyformerError, match=r"q99\.zh\.md: missing; write it with the headings # Headline"):
        read_prose("q99", "zh")


def test_a_question_is_imported_without_its_pages():
    late = "[name for name in sys.modules if 'why.book' in name or name == 'altair']"
    code = f"import sys, whyformer.why.catalogue; print({late})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
