"""The book of all answers: it holds together in both languages and tells no number that was not measured."""

import json
import re
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from typing_extensions import override

from why.toy_book import LONG, QUESTIONS, toy_findings, write_toy_prose
from whyformer.errors import WhyformerError
from whyformer.language import LANGUAGES
from whyformer.plots.chart import Language
from whyformer.plots.inspection.tokens import wrapped
from whyformer.why.arms import COLORS
from whyformer.why.book import prose
from whyformer.why.book.figures.plot import arm_colors
from whyformer.why.book.figures.svg import VARIABLES
from whyformer.why.book.markup import Renderer, mathml
from whyformer.why.book.numbers import brief
from whyformer.why.book.page import neutral_headline
from whyformer.why.book.picture import findings_png
from whyformer.why.book.plain import plain_text
from whyformer.why.book.site import write_page, write_site
from whyformer.why.question import Findings

FIRST_LOAD, PER_QUESTION = 300_000, 4_000_000 / 30
VOID = {"meta", "link", "br", "input", "img", "hr"}


class Reader(HTMLParser):
    """Elements of a page: links, ids, headings, and whether all tags are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.sources: list[str] = []
        self.ids: list[str] = []
        self.headings: list[int] = []
        self.languages: set[str] = set()
        self.words = ""
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {name: value or "" for name, value in attrs}
        assert len(named) == len(attrs), (tag, attrs)
        if tag == "a":
            self.links.append(named["href"])
        self.sources += [named[name] for name in ("src", "srcset") if name in named]
        self.sources += [named["href"]] if tag in ("link", "use", "image") else []
        self.ids += [named["id"]] if "id" in named else []
        self.languages |= {named["lang"]} if "lang" in named else set()
        if re.fullmatch(r"h\d", tag):
            self.headings.append(int(tag[1]))
        if tag not in VOID:
            self._open.append(tag)

    @override
    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    @override
    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    @override
    def handle_data(self, data: str) -> None:
        if not {"style", "script", "code"} & {*self._open}:
            self.words += data


@pytest.fixture(scope="module")
def findings() -> Mapping[int, Findings]:
    return toy_findings()


@pytest.fixture(scope="module")
def book(findings: Mapping[int, Findings], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("book")
    write_toy_prose(folder / "prose")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prose, "FOLDER", folder / "prose")
        files = write_site(findings, folder / "site")
    assert all(file.is_file() for file in files)
    assert {*files} == {file for file in (folder / "site").rglob("*") if file.is_file()}
    return folder / "site"


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the toy's prose, to be changed."""
    write_toy_prose(tmp_path / "toy")
    monkeypatch.setattr(prose, "FOLDER", tmp_path / "toy")
    return tmp_path / "toy"


def pages(book: Path) -> dict[Path, Reader]:
    return {file: Reader(file.read_text(encoding="utf-8")) for file in book.rglob("*.html")}


def test_every_link_leads_somewhere_within_the_book(book: Path):
    read = pages(book)
    assert len(read) == 1 + 2 * (3 + len(QUESTIONS))
    for file, page in read.items():
        for link in page.links:
            target = urlsplit(link)
            assert (target.scheme, target.netloc) == ("", ""), link
            to = (file.parent / unquote(target.path)).resolve() if target.path else file
            assert to.is_file(), (file, link)
            if target.fragment:
                assert target.fragment in read[to].ids, (file, link)


def test_a_page_asks_no_server_for_anything(book: Path):
    for file, page in pages(book).items():
        assert {*page.sources} <= {"../style.css", "../script.js", "style.css", "script.js", "data:,"}, file
        assert "http" not in re.sub(r"<code>.*?</code>", "", file.read_text("utf-8"), flags=re.DOTALL)
    assert "url(" not in (book / "style.css").read_text("utf-8")


def test_ids_are_unique_and_headings_in_order(book: Path):
    for file, page in pages(book).items():
        assert len(page.ids) == len({*page.ids}), file
        assert page.headings.index(1) == 0, file
        assert page.headings.count(1) == 1, file
        assert all(
            after <= before + 1 for before, after in zip(page.headings, page.headings[1:], strict=False)
        )


def test_both_languages_have_the_same_pages_that_lead_to_each_other(book: Path):
    names = {lang: sorted(file.name for file in (book / lang).iterdir()) for lang in LANGUAGES}
    assert names["zh"] == names["en"]
    for lang, other, tag in (("zh", "en", "zh-CN"), ("en", "zh", "en")):
        for name in names[lang]:
            text = (book / lang / name).read_text("utf-8")
            assert f'<html lang="{tag}">' in text
            assert f"../{other}/{name}" in Reader(text).links


def test_english_pages_are_english_and_chinese_ones_chinese(book: Path):
    chinese = re.compile(r"[\u4e00-\u9fff]")
    for question in QUESTIONS:
        english = Reader((book / "en" / f"{question.stem}.html").read_text("utf-8")).words
        assert chinese.sub("", english.replace("中文", "")) == english.replace("中文", "")
        words = Reader((book / "zh" / f"{question.stem}.html").read_text("utf-8")).words
        assert chinese.search(words)
        assert not re.search(r"(\b[a-z]+ ){3}[a-z]+\b", words)


def test_texts_are_escaped(book: Path):
    for file in book.rglob("q9*.html"):
        bare = re.sub(r"<pre>.*?</pre>", "", file.read_text("utf-8"), flags=re.DOTALL)
        assert not re.search(r"<script>|<b>(size|重要)|<kept>|<difference>|start <b>", bare)
    assert "Does &lt;b&gt;size&lt;/b&gt; matter &amp; why?" in (book / "en" / "index.html").read_text("utf-8")


def test_every_number_of_the_tables_stands_in_the_record(book: Path, findings: Mapping[int, Findings]):
    for number in findings:
        record = json.loads((book / "data" / f"q{number}.json").read_text("utf-8"))
        assert record["verdict"] == findings[number].verdict
        known: set[str] = set()
        for figure in record["figures"]:
            for row in figure["numbers"]:
                values = [value for value in row["by_seed"] if value is not None]
                known |= {
                    brief(value) for value in (*values, *(sum(values) / len(values) for _ in values[:1]))
                }
        for claim in record["claims"]:
            known |= {brief(value) for value in (claim["mean"], *claim["interval"])}
        for lang in LANGUAGES:
            text = (book / lang / f"q{number}.html").read_text("utf-8")
            cells = re.findall(r"<td>([^<]+)(?:<small>([^<]*)</small>)?</td>", text)
            told = {each for mean, span in cells for each in (mean, *span.split(" … ")) if each}
            assert told
            untraced = {each for each in told - known if not re.search("seeds|种子", each)}
            assert untraced <= {"refused", "拒绝"}


def test_numbers_of_the_prose_are_those_of_the_claims(book: Path, findings: Mapping[int, Findings]):
    steps = findings[97].values()["steps"]
    for lang in LANGUAGES:
        text = Reader((book / lang / "q97.html").read_text("utf-8")).words
        assert f"{steps:.1f}" in text
        assert not any(sign in text for sign in ("{{", "[^", "$"))


def test_marks_lead_from_sentences_to_claims(book: Path):
    text = (book / "en" / "q97.html").read_text("utf-8")
    assert re.search(
        r'steps<span class="together">\. ?<span class="marks"><a class="mark holds" href="#claim-steps"', text
    )
    assert 'title="follows from definitions">def.<' in text
    assert ">not measured<" in text
    assert '<tr role="row" id="claim-steps">' in text


def test_a_prediction_that_fails_is_shown_first_and_named(book: Path):
    home = (book / "zh" / "index.html").read_text("utf-8")
    assert home.index("教科书说错的") < home.index("q98.html") < home.index("初级") < home.index("q97.html")
    page = (book / "en" / "q98.html").read_text("utf-8")
    assert "refutes the answer" in page
    assert "outcome fails" in page


def test_a_headline_written_for_another_verdict_is_replaced(book: Path, findings: Mapping[int, Findings]):
    page = Reader((book / "en" / "q98.html").read_text("utf-8")).words
    assert neutral_headline(findings[98], "en") in page
    assert "no <script>" not in page
    assert "no <script>" in Reader((book / "en" / "q97.html").read_text("utf-8")).words


def test_a_page_is_light(book: Path):
    shared = sum((book / name).stat().st_size for name in ("style.css", "script.js"))
    for file in book.rglob("*.html"):
        assert file.stat().st_size + shared <= FIRST_LOAD, file
    whole = sum(file.stat().st_size for file in book.rglob("*") if file.is_file())
    # The code of a toy is that of this whole file and of its prose.
    assert whole / len(QUESTIONS) <= PER_QUESTION


def test_a_chart_has_a_name_and_its_numbers_in_words(book: Path, findings: Mapping[int, Findings]):
    text = (book / "en" / "q97.html").read_text("utf-8")
    charts = re.findall(r'<svg class="chart".*?</svg>', text, flags=re.DOTALL)
    assert len(charts) == sum(figure.mark is not None for figure in QUESTIONS[0].figures)
    for chart in charts:
        assert re.search(
            r'role="img" aria-labelledby="[\w-]+-t [\w-]+-d"><title id="[\w-]+-t">[^<]+</title>', chart
        )
        assert "#" not in re.sub(r'url\(#[\w-]+\)|="#[0-9a-f]{6}"', "", chart)
        width = float(re.findall(r'viewBox="0 0 (\d+)', chart)[0])
        assert width <= 390, "text would be smaller than 12 pixels on a phone"
    described = re.findall(r'<desc id="figure-5-d">([^<]+)</desc>', text)[0]
    assert "not scaled: 23.8 at 32, 11.9 at 64, refused at 128" in described
    assert ">refused</text>" in text
    assert 'fill="url(#figure-5-h)"' in text


def test_a_chart_takes_the_colours_of_the_page(book: Path):
    style = (book / "style.css").read_text("utf-8")
    for name in VARIABLES.values():
        assert style.count(f"--{name}: ") == 4, "light, dark twice, print"
    cells = {"#101418", "#fefefe"}
    for file in book.rglob("q97.html"):
        charts = "".join(re.findall(r'<svg class="chart".*?</svg>', file.read_text("utf-8"), flags=re.DOTALL))
        text_colors = {*re.findall(r'<text[^>]* fill="([^"]+)"', charts)}
        assert text_colors <= {*(f"var(--{name})" for name in VARIABLES.values()), *cells}


def contrast(one: str, other: str) -> float:
    def luminance(color: str) -> float:
        channels = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_all_colours_of_text_are_told_from_the_ground_by_light_and_in_the_dark(book: Path):
    style = (book / "style.css").read_text("utf-8")
    for block in re.findall(r"--ground: [^}]*", style):
        found = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))
        # Lines may be of a lighter blue than words.
        for name in {*VARIABLES.values(), "sky-text", "link", "good", "bad", "open"} - {
            "ground",
            "line",
            "grid",
        }:
            if name == "sky":
                assert contrast(found[name], found["ground"]) >= 3, found[name]
                continue
            assert contrast(found[name], found["ground"]) >= 4.5, (name, found[name])


def test_numbers_in_cells_are_legible(book: Path):
    text = (book / "en" / "q97.html").read_text("utf-8")
    fills = re.findall(r'<path[^>]*fill="(#[0-9a-f]{6})"', text)
    inks = re.findall(r'<text[^>]*fill="(#101418|#fefefe)"', text)
    assert len(fills) == len(inks) == 8
    assert all(contrast(fill, ink) >= 4.5 for fill, ink in zip(fills, inks, strict=True))


def test_one_question_makes_a_page_of_its_own_in_both_languages(
    toy: Path, findings: Mapping[int, Findings], tmp_path: Path
):
    path = write_page(findings[99], tmp_path, "zh")
    assert path == tmp_path / "q99.html"
    text = path.read_text("utf-8")
    page = Reader(text)
    assert page.sources == ["data:,"]
    assert all(link.startswith("#") and link[1:] in page.ids for link in page.links)
    assert len(page.ids) == len({*page.ids})
    assert text.index("条形图") < text.index("Bars?", text.index("<body"))


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_picture_is_a_picture(toy: Path, findings: Mapping[int, Findings], lang: Language):
    assert findings_png(findings[98], lang).startswith(b"\x89PNG")


def test_a_formula_that_is_none_is_named(toy: Path, findings: Mapping[int, Findings], tmp_path: Path):
    text = (toy / "q99.en.md").read_text("utf-8")
    (toy / "q99.en.md").write_text(text.replace(r"\frac{\partial p}", r"\fraction{\partial p}"), "utf-8")
    with pytest.raises(WhyformerError, match=r"\\fraction is unknown"):
        write_page(findings[99], tmp_path)


def test_a_book_of_nothing_is_refused(tmp_path: Path):
    with pytest.raises(WhyformerError, match="findings of one question"):
        write_site({}, tmp_path)


def test_formulas_keep_what_html_has_a_meaning_for():
    assert "<mo>&lt;</mo>" in mathml("a < b").replace("&#x0003C;", "&lt;")
    assert "xmlns" not in mathml("a")


def test_prose_links_to_questions_that_are_there():
    said = Renderer("en", known={3}).inline("See Q03, Q04, `Q03` and [Q03](q03.html) <b>.")
    assert said.count('<a href="q03.html">Q03</a>') == 2
    assert "<code>Q03</code>" in said
    assert "Q04," in said
    assert "&lt;b&gt;" in said


@pytest.mark.parametrize("width", [90, 120, 300])
def test_lines_are_broken_where_a_reader_would(width: int):
    for text in LONG:
        lines = wrapped(text, 13, width)
        assert "".join(lines).replace(" ", "") == text.replace(" ", "")
        assert not any(line[0] in "，。）" for line in lines)


def test_a_concept_has_its_colour_and_others_get_those_that_are_left():
    scaled, *_ = COLORS
    colors = arm_colors([LONG, scaled], set())
    assert colors[scaled] == COLORS[scaled] != colors[LONG]


def test_plain_headlines_have_no_markup(findings: Mapping[int, Findings]):
    assert plain_text(r"**By** $\sqrt{d_k}$") == "By √dₖ"
