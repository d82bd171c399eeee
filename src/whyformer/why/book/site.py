"""Book of all questions: a folder of pages in two languages that needs no network and no script."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from markupsafe import Markup

from whyformer.errors import WhyformerError
from whyformer.files import write_text
from whyformer.language import LANGUAGES
from whyformer.plots.chart import HTML_LANG, Language
from whyformer.why.book.edition import Edition, asset, question_file, rendered
from whyformer.why.book.live import LIVE_FOLDER
from whyformer.why.book.page import stamp
from whyformer.why.question import Findings
from whyformer.why.results import result_record

_OTHER_LANGUAGE: Mapping[Language, tuple[Language, str]] = {"en": ("zh", "中文"), "zh": ("en", "English")}


def write_site(
    findings: Mapping[int, Findings], folder: Path, live: Mapping[str, str] | None = None
) -> list[Path]:
    """Write the book of ``findings``, by the numbers of their questions, into ``folder``; return its files.

    Beside some answers a model can be tried whose page is ``live``, texts of files by their names; it lies in
    the book, too.

    Raises:
        WhyformerError: there are no findings, prose is missing, or the folder cannot be written to.
    """
    if not findings:
        raise WhyformerError("a book needs the findings of one question at least.")
    by_number = dict(sorted(findings.items()))
    texts = {"style.css": asset("style.css"), "script.js": asset("script.js")}
    texts["index.html"] = rendered("start.html", {"count": len(by_number)})
    for number, each in by_number.items():
        # Without blanks: learning curves are long.
        record = json.dumps(result_record(each), ensure_ascii=False, separators=(",", ":"))
        texts[f"data/{question_file(number, 'json')}"] = record + "\n"
    live = live or {}
    texts |= {f"{LIVE_FOLDER}/{name}": text for name, text in live.items()}
    weight = sum(len(text.encode()) for text in live.values())
    stamps = {number: stamp(each) for number, each in by_number.items()}
    for lang in LANGUAGES:
        pages = Edition(by_number, lang, stamps, live=weight).pages()
        texts |= {f"{lang}/{name}": text for name, text in pages.items()}
    for name, text in texts.items():
        write_text(folder / name, text)
    return [folder / name for name in texts]


def write_page(findings: Findings, folder: Path, lang: Language = "en") -> Path:
    """Write one question as one page in both languages, ``lang`` first; return its path.

    Raises:
        WhyformerError: prose is missing, or the folder cannot be written to.
    """
    question = findings.question
    order: Sequence[Language] = (lang, _OTHER_LANGUAGE[lang][0])
    languages = [
        (
            each,
            HTML_LANG[each],
            Edition({question.number: findings}, each).article(question.number, prefix=f"{each}-"),
            *_OTHER_LANGUAGE[each],
        )
        for each in order
    ]
    titles = [question.title.say(each) for each in order]
    told = {"html_lang": HTML_LANG[lang], "number": question.number, "titles": titles, "languages": languages}
    path = folder / question_file(question.number, "html")
    write_text(path, rendered("single.html", {**told, "style": Markup(asset("style.css"))}))
    return path
