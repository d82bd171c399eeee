"""Every question has all of its prose in both languages, and whoever leaves a part out is told so."""

import subprocess
import sys
from pathlib import Path

import pytest

from whyformer.errors import WhyformerError
from whyformer.plots.chart import Language
from whyformer.why.book.prose import Prose, read_prose
from whyformer.why.catalogue import QUESTIONS

SHIPPED = Path(__file__).parents[2] / "src" / "whyformer" / "why" / "prose"
STEMS = [question.stem for question in QUESTIONS.values()]


@pytest.mark.parametrize("stem", STEMS)
def test_every_question_has_its_prose_in_both_languages(stem: str):
    english, chinese = read_prose(stem, "en"), read_prose(stem, "zh")
    for prose in (english, chinese):
        assert all(text.isprintable() and len(text) > 20 for text in (*prose.answer, *prose.caveats))
    assert all(max(text) >= "\u4e00" for text in (*chinese.answer, *chinese.caveats))
    assert not any("\u4e00" <= letter <= "\u9fff" for text in english.answer for letter in text)
    assert (len(english.answer), len(english.caveats)) == (len(chinese.answer), len(chinese.caveats))


def test_there_is_no_prose_without_a_question():
    assert {path.name for path in SHIPPED.iterdir()} == {
        f"{stem}.{lang}.md" for stem in STEMS for lang in ("en", "zh")
    }


def test_lines_become_paragraphs(toy_prose: Path):
    (toy_prose / "q99.en.md").write_text(
        "# Caveats\nBut.\n\n# Answer\n\nSo\nit is.\n\n\nYes.\n", encoding="utf-8"
    )
    assert read_prose("q99", "en") == Prose(answer=("So it is.", "Yes."), caveats=("But.",))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "found: none"),
        ("# Answer\n\nSo.\n", "must be # Answer, # Caveats, .*; found: # Answer"),
        ("# Answer\n\nSo.\n\n# Caveat\n\nBut.\n", "found: # Answer, # Caveat"),
        ("# Answer\nSo.\n# Caveats\nBut.\n# Answer\nOr so.\n", "found: # Answer, # Caveats, # Answer"),
        ("Hm.\n\n# Answer\n\nSo.\n\n# Caveats\n\nBut.\n", "nothing before"),
        ("# Answer\n\n# Caveats\n\nBut.\n", "nothing stands under # Answer"),
        ("# Answer\n\nSo.\n\n# Caveats\n \n\n", "nothing stands under # Caveats"),
    ],
)
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_a_part_that_is_missing_is_named(toy_prose: Path, lang: Language, text: str, complaint: str):
    (toy_prose / f"q99.{lang}.md").write_text(text, encoding="utf-8")
    with pytest.raises(WhyformerError, match=rf"q99\.{lang}\.md: .*{complaint}"):
        read_prose("q99", lang)


def test_a_language_that_is_missing_is_named(toy_prose: Path):
    (toy_prose / "q99.zh.md").unlink()
    with pytest.raises(
        WhyformerError, match=r"q99\.zh\.md: missing; write it with the headings # Answer, # Caveats"
    ):
        read_prose("q99", "zh")


def test_a_question_is_imported_without_its_pages():
    late = "[name for name in sys.modules if 'why.book' in name or name == 'altair']"
    code = f"import sys, whyformer.why.catalogue; print({late})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
