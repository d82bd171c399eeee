"""Edition of the book in one language: its pages as text."""

import json
from collections.abc import Iterable, Mapping
from functools import cache, partial
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from whyformer import __version__
from whyformer.plots.chart import HTML_LANG, Language
from whyformer.why.arms import COLORS
from whyformer.why.book.figures.svg import VARIABLES
from whyformer.why.book.labels import OUTCOMES, RANKS, VERDICTS
from whyformer.why.book.live import CELLS, LIVE_FOLDER
from whyformer.why.book.markup import Renderer
from whyformer.why.book.page import Article, plain_headline
from whyformer.why.book.words import BOOKS_ERR, BOOKS_ERR_NOTE, GROUPS, ORIGIN_NAMES
from whyformer.why.question import Findings, Text


def rendered(template: str, variables: Mapping[str, Any]) -> str:
    """The text of a template."""
    return _environment().get_template(template).render(variables)


def asset(name: str) -> str:
    """A file beside the templates."""
    return (files("whyformer.why.book") / "templates" / name).read_text(encoding="utf-8")


def question_file(number: int, suffix: str) -> str:
    """The name of a question's file."""
    return f"q{number:02}.{suffix}"


class Edition:
    """Pages of all questions in one language."""

    def __init__(
        self,
        findings: Mapping[int, Findings],
        lang: Language,
        stamps: Mapping[int, Markup] | None = None,
        *,
        live: int = 0,
    ) -> None:
        """Lay out ``findings``; ``live`` is the weight in bytes of a model beside the pages, 0 for none."""
        self.findings = findings
        self.lang: Language = lang
        self._live = live
        self._stamps = stamps or {}
        self._cards = {number: self._card(each) for number, each in findings.items()}
        self._shared: dict[str, Any] = {
            "t": partial(_choose, lang),
            "html_lang": HTML_LANG[lang],
            "version": __version__,
            "titles": {number: each.question.title.say(lang) for number, each in findings.items()},
            **{
                name: {key: text.say(lang) for key, text in texts.items()}
                for name, texts in (
                    ("groups", GROUPS),
                    ("ranks", RANKS),
                    ("verdicts", VERDICTS),
                    ("outcomes", OUTCOMES),
                )
            },
        }

    def pages(self) -> dict[str, str]:
        """Text of each page by its name."""
        texts = {"index.html": self._home(), "recall.html": self._recall(), "method.html": self._method()}
        numbers = [None, *self.findings, None]
        for before, number, after in zip(numbers, numbers[1:], numbers[2:], strict=False):
            if number is not None:
                file = question_file(number, "html")
                texts[file] = self._question(number, {"file": file, "before": before, "after": after})
        return texts

    def article(self, number: int, *, prefix: str = "", record: str | None = None) -> Markup:
        """One question without a page around it; ids begin with ``prefix``."""
        findings = self.findings[number]
        content = Article(findings, self.lang, prefix, frozenset(self.findings)).content()
        more = {"record": record, "origin": self._origin(findings), "live": self._cell(number)}
        return Markup(rendered("article.html", {**self._shared, **content, **more}))

    def _question(self, number: int, place: Mapping[str, object]) -> str:
        article = self.article(number, record=f"../data/{question_file(number, 'json')}")
        described = plain_headline(self.findings[number], self.lang)
        named = {"number": number, "title": self._cards[number]["title"], "described": described}
        return rendered("question.html", {**self._shared, **named, **place, "article": article})

    def _cell(self, number: int) -> dict[str, str] | None:
        """Task for the reader beside an answer, and options of the script that shows the model."""
        cell = CELLS.get(number)
        if cell is None or not self._live:
            return None
        options = json.dumps(cell.options(self.lang, self._live), ensure_ascii=False)
        return {"task": cell.task.say(self.lang), "options": options}

    def _origin(self, findings: Findings) -> list[tuple[str, str]]:
        """Machine, day and code of the measurement, where they are known."""
        origin = findings.origin
        if origin is None:
            return []
        versions = f"whyformer {origin.whyformer}, torch {origin.torch}"
        told = (origin.machine, origin.date, origin.commit, versions)
        return [(name.say(self.lang), each) for name, each in zip(ORIGIN_NAMES, told, strict=True) if each]

    def _home(self) -> str:
        """All questions on a wall, the refuted first, then by rank."""
        verdicts = [each.verdict for each in self.findings.values()]
        refuted = [number for number, each in self.findings.items() if each.verdict == "refuted"]
        others = self._by_rank(number for number in self.findings if number not in refuted)
        shelves = [(BOOKS_ERR.say(self.lang), BOOKS_ERR_NOTE.say(self.lang), refuted)]
        shelves += [(title, "", numbers) for title, numbers in others]
        counts = {verdict: verdicts.count(verdict) for verdict in VERDICTS}
        live = f"../{LIVE_FOLDER}/index.html#lang={self.lang}" if self._live else None
        told = {
            "file": "index.html",
            "live": live,
            "tiles": self._cards,
            "shelves": shelves,
            "counts": counts,
        }
        return rendered("home.html", {**self._shared, **told})

    def _recall(self) -> str:
        """One-minute answers, covered up."""
        shelves = [
            (title, [self._cards[number] for number in numbers])
            for title, numbers in self._by_rank(self.findings)
        ]
        return rendered("recall.html", {**self._shared, "file": "recall.html", "shelves": shelves})

    def _method(self) -> str:
        """How verdicts are made, colours and words."""
        by_color: dict[str, list[str]] = {}
        for arm, color in COLORS.items():
            by_color.setdefault(VARIABLES[color], []).append(arm.say(self.lang))
        told = {
            "file": "method.html",
            "colors": [*by_color.items()],
            "glossary": [line.split(" | ") for line in asset("glossary.txt").splitlines()],
            "first": next(iter(self.findings)),
        }
        return rendered("method.html", {**self._shared, **told})

    def _by_rank(self, numbers: Iterable[int]) -> list[tuple[str, list[int]]]:
        kept = [*numbers]
        return [
            (title.say(self.lang), [n for n in kept if self.findings[n].question.topic.rank == rank])
            for rank, title in RANKS.items()
        ]

    def _card(self, findings: Findings) -> dict[str, Any]:
        """Content of a question's tile and card."""
        question = findings.question
        words: list[str] = [
            *question.title,
            question.topic.words,
            *GROUPS[question.topic.group],
            question.stem,
        ]
        both: tuple[Language, ...] = ("en", "zh")
        words += [plain_headline(findings, lang) for lang in both]
        article = Article(findings, self.lang)
        return {
            "number": question.number,
            "title": question.title.say(self.lang),
            "headline": article.headline(),
            "short": article.short(Renderer(self.lang), marked=False),
            "verdict": findings.verdict,
            "group": question.topic.group,
            "file": question_file(question.number, "html"),
            "stamp": self._stamps.get(question.number, ""),
            "words": " ".join(words).lower(),
        }


def _choose(lang: Language, en: str, zh: str) -> str:
    return Text(en, zh).say(lang)


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("whyformer.why.book", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
