"""Book of all questions: a folder of pages in two languages that needs no network and no script."""

import json
from collections.abc import Mapping, Sequence
from functools import cache, partial
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from whyformer import __version__
from whyformer.errors import WhyformerError
from whyformer.files import write_text
from whyformer.plots.chart import HTML_LANG, Language
from whyformer.why.arms import COLORS
from whyformer.why.book.labels import OUTCOMES, RANKS, VERDICTS
from whyformer.why.book.page import Article, headline, plain_headline, stamp
from whyformer.why.book.svg import VARIABLES
from whyformer.why.book.words import GROUPS
from whyformer.why.question import Findings, Text
from whyformer.why.results import result_record

LANGUAGES: tuple[Language, ...] = ("zh", "en")


def write_site(findings: Mapping[int, Findings], folder: Path) -> list[Path]:
    """Write the book of ``findings``, by the numbers of their questions, into ``folder``; return its files.

    Raises:
        WhyformerError: there are none, prose is missing, or the folder cannot be written to.
    """
    if not findings:
        raise WhyformerError("a book needs the findings of one question at least.")
    by_number = dict(sorted(findings.items()))
    texts = {"style.css": _asset("style.css"), "script.js": _asset("script.js")}
    texts["index.html"] = _render("start.html", count=len(by_number))
    for number, each in by_number.items():
        texts[f"data/{file_of(number, 'json')}"] = record_text(each)
    for lang in LANGUAGES:
        texts |= {f"{lang}/{name}": text for name, text in _Shelf(by_number, lang).pages().items()}
    for name, text in texts.items():
        write_text(folder / name, text)
    return [folder / name for name in texts]


def write_page(findings: Findings, folder: Path, lang: Language = "en") -> Path:
    """Write one question as one page in both languages, ``lang`` first; return its path.

    Raises:
        WhyformerError: prose is missing, or the folder cannot be written to.
    """
    order: Sequence[Language] = (lang, "zh" if lang == "en" else "en")
    number = findings.question.number
    shelves = {each: _Shelf({number: findings}, each) for each in order}
    languages = [
        (each, HTML_LANG[each], shelves[each].article(findings, prefix=f"{each}-"), other, _NAMES[other])
        for each, other in zip(order, reversed(order), strict=True)
    ]
    titles = [findings.question.title.say(each) for each in order]
    text = _render(
        "single.html", html_lang=HTML_LANG[lang], number=number, titles=titles, languages=languages,
        style=Markup(_asset("style.css")),
    )  # fmt: skip
    path = folder / file_of(number, "html")
    write_text(path, text)
    return path


_NAMES: Mapping[Language, str] = {"en": "English", "zh": "中文"}


def file_of(number: int, suffix: str) -> str:
    """The name of a question's file."""
    return f"q{number:02}.{suffix}"


def record_text(findings: Findings) -> str:
    """The record of ``findings`` without blanks: learning curves are long."""
    return json.dumps(result_record(findings), ensure_ascii=False, separators=(",", ":")) + "\n"


class _Shelf:
    """Pages of all questions in one language."""

    def __init__(self, findings: Mapping[int, Findings], lang: Language) -> None:
        self.findings, self.lang = findings, lang
        self.shared: dict[str, Any] = {
            "t": partial(_choose, lang),
            "html_lang": HTML_LANG[lang],
            "version": __version__,
            "groups": {key: text.say(lang) for key, text in GROUPS.items()},
            "ranks": {key: text.say(lang) for key, text in RANKS.items()},
            "verdicts": {key: text.say(lang) for key, text in VERDICTS.items()},
            "outcomes": {key: text.say(lang) for key, text in OUTCOMES.items()},
            "titles": {number: each.question.title.say(lang) for number, each in findings.items()},
        }

    def pages(self) -> dict[str, str]:
        """Text of each page by its name."""
        texts = {"index.html": self.home(), "recall.html": self.recall(), "method.html": self.method()}
        numbers = [*self.findings]
        for at, number in enumerate(numbers):
            file = file_of(number, "html")
            texts[file] = _render(
                "question.html",
                **self.shared,
                **self.content(self.findings[number], record=f"../data/{file_of(number, 'json')}"),
                file=file,
                described=plain_headline(self.findings[number], self.lang),
                before=numbers[at - 1] if at else None,
                after=numbers[at + 1] if at + 1 < len(numbers) else None,
            )
        return texts

    def article(self, findings: Findings, prefix: str) -> Markup:
        """One question without a page around it."""
        return Markup(_render("article.html", **self.shared, **self.content(findings, prefix=prefix)))

    def content(self, findings: Findings, *, prefix: str = "", record: str | None = None) -> dict[str, Any]:
        """Variables of a question's template."""
        article = Article(findings, self.lang, prefix, frozenset(self.findings))
        return {**article.content(), "record": record, "origin": []}

    def home(self) -> str:
        """All questions on a wall."""
        tiles = {number: self._tile(each) for number, each in self.findings.items()}
        verdicts = [each.verdict for each in self.findings.values()]
        shelves = [
            (title.say(self.lang), note.say(self.lang) if note else "", numbers)
            for title, note, numbers in self._shelves()
        ]
        return _render(
            "home.html",
            **self.shared,
            file="index.html",
            tiles=tiles,
            shelves=shelves,
            counts={verdict: verdicts.count(verdict) for verdict in VERDICTS},
        )

    def recall(self) -> str:
        """One-minute answers, covered up."""
        shelves = []
        for title, _, numbers in self._ranks(self.findings):
            cards = [self._card(self.findings[number]) for number in numbers]
            shelves.append((title.say(self.lang), cards))
        return _render("recall.html", **self.shared, file="recall.html", shelves=shelves)

    def method(self) -> str:
        """How verdicts are made, colours and words."""
        by_color: dict[str, list[str]] = {}
        for arm, color in COLORS.items():
            by_color.setdefault(VARIABLES[color], []).append(arm.say(self.lang))
        glossary = [line.split(" | ") for line in _asset("glossary.txt").splitlines()]
        return _render(
            "method.html", **self.shared, file="method.html", colors=[*by_color.items()], glossary=glossary,
            first=next(iter(self.findings)),
        )  # fmt: skip

    def _shelves(self) -> list[tuple[Text, Text | None, list[int]]]:
        """The refuted first, then by rank."""
        refuted = [number for number, each in self.findings.items() if each.verdict == "refuted"]
        others = {number: each for number, each in self.findings.items() if number not in refuted}
        note = Text(
            "Predictions of textbooks, or of ours, that the measurement contradicts.",
            "教科书或我们自己的预言，被测量推翻的。",
        )
        return [(Text("Where textbooks err", "教科书说错的"), note, refuted), *self._ranks(others)]

    def _ranks(self, findings: Mapping[int, Findings]) -> list[tuple[Text, Text | None, list[int]]]:
        return [
            (title, None, [number for number, each in findings.items() if each.question.topic.rank == rank])
            for rank, title in RANKS.items()
        ]

    def _tile(self, findings: Findings) -> dict[str, Any]:
        question = findings.question
        words = [*question.title, question.topic.words, *GROUPS[question.topic.group], question.stem]
        words += [plain_headline(findings, lang) for lang in LANGUAGES]
        return {
            **self._card(findings),
            "group": question.topic.group,
            "stamp": stamp(findings, self.lang),
            "words": " ".join(words).lower(),
        }

    def _card(self, findings: Findings) -> dict[str, Any]:
        article = Article(findings, self.lang, known=frozenset(self.findings))
        prose, renderer = article.prose, article.renderer
        return {
            "number": findings.question.number,
            "title": findings.question.title.say(self.lang),
            "headline": headline(findings, prose, renderer, self.lang),
            "short": [renderer.inline(_unmarked(each)) for each in prose.paragraphs("Short")],
            "verdict": findings.verdict,
            "file": file_of(findings.question.number, "html"),
        }


def _unmarked(text: str) -> str:
    from whyformer.why.book.prose import MARK

    return MARK.sub("", text)


def _choose(lang: Language, en: str, zh: str) -> str:
    return en if lang == "en" else zh


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("whyformer.why.book", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _render(template: str, **variables: Any) -> str:
    return _environment().get_template(template).render(variables)


def _asset(name: str) -> str:
    return (files("whyformer.why.book") / "templates" / name).read_text(encoding="utf-8")
