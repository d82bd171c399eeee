"""Every catalogue says all that the program says, no more, with the same holes; no message fits two."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from language import extract
from language.extract import SOURCE, Text
from whyformer.language import LANGUAGES, MessageCatalogue, holes, speaking, translated

OTHERS = [language for language in LANGUAGES if language != "en"]
TEXTS = extract.said()
# Chinese, or a text that is the same in every language: names, formulas, options.
CHINESE = re.compile(r"[\u4e00-\u9fff]")


@pytest.mark.parametrize("language", OTHERS)
def test_nothing_that_is_said_is_missing(language: str):
    known = extract.read(language)
    missing = [f"{text.place}: {text.template}" for text in TEXTS if text.template not in known]
    assert missing == [], f"write them: {extract.__doc__}"


@pytest.mark.parametrize("language", OTHERS)
def test_nothing_stands_there_that_is_no_longer_said(language: str):
    assert sorted(extract.read(language).keys() - {text.template for text in TEXTS}) == []


@pytest.mark.parametrize("language", OTHERS)
def test_a_translation_has_the_holes_of_its_template_and_only_known_kinds(language: str):
    for template, translation in extract.read(language).items():
        assert sorted(holes(translation)) == sorted(holes(template)), template
        kinds = set(re.findall(r"\{\d+:?(\w*)\}", translation))
        assert kinds <= {"", "plain", "word", "list"}, template


def test_what_is_said_in_chinese_has_chinese_in_it():
    same = [template for template, said in extract.read("zh").items() if not CHINESE.search(said)]
    assert [
        each
        for each in same
        if len(re.findall("[a-z]{3,}", re.sub(r"MiB|GiB|d_model|\S+[._]\S+", "", each))) > 1
    ] == []


def test_chinese_has_its_own_marks():
    """Half-width commas and stops after Chinese characters are what a machine would write."""
    offences = {
        template: said
        for template, said in extract.read("zh").items()
        if re.search(r"[\u4e00-\u9fff][,;:?!](?!\S*=)(?! 高\])", said)
        or re.search(r"[\u4e00-\u9fff]\.(\s|$)", said)
    }
    assert offences == {}


def rendered(template: str) -> str:
    """A message by ``template``, with something different in each hole."""
    return re.sub(r"\{(\d+)\}", r"value\1", template).replace("{{", "{").replace("}}", "}")


@pytest.mark.parametrize("language", OTHERS)
def test_every_message_is_recognised_as_made_by_its_own_template(language: str):
    known = extract.read(language)
    catalogue = MessageCatalogue(known)
    for template in known:
        found = catalogue.matches(rendered(template))
        right = known[template] if holes(template) else known[template].format()
        assert found[:1] == [right], template
        assert len(set(found)) == 1, f"{template}: fits {found}"


def errors_of(tree: ast.Module) -> Iterator[str]:
    """The names of the errors that a file raises."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=name)) if name.endswith("Error"):
                yield name
            case _:
                pass


def test_the_messages_of_every_class_of_errors_are_found():
    """A class whose messages are not extracted would be silent in the tests above."""
    import whyformer.errors as errors

    classes = {name for name in vars(errors) if name.endswith("Error")} - {"WhyformerError"}
    places = {text.place.partition(":")[0] for text in TEXTS}
    for name in classes:
        files = {
            path.relative_to(SOURCE).as_posix()
            for path in SOURCE.rglob("*.py")
            if name in set(errors_of(ast.parse(path.read_text(encoding="utf-8"))))
        }
        assert files & places, name


def of(source: str, name: str = "data/a.py") -> list[str]:
    return [text.template for text in extract.of_file(name, source)]


@pytest.mark.parametrize(
    ("source", "templates"),
    [
        ('raise DataError(f"{path}: no such file.")', ["{0}: no such file."]),
        ("raise DataError(f\"{n} line{'s' if n > 1 else ''} lost\")", ["{0} lines lost", "{0} line lost"]),
        ('say("done")', ["done"]),
        (
            'hint = f"did you mean {near}?" if near else "no such thing"',
            ["did you mean {0}?", "no such thing"],
        ),
        ('warnings.warn(f"the key {key}", WhyformerNote, stacklevel=2)', ["the key {0}"]),
        ('raise DataError("a" + f" word {b}" + c)', ["a word {0}{1}"]),
        ('x = f"{a} has {{curly}} things in it"', ["{0} has {{curly}} things in it"]),
        ('raise DataError("\\n  ".join([f"{count} faults:", *rest]))', ["{0} faults:"]),
        # What is not said.
        ('"""A docstring of several words."""', []),
        ('raise TypeError("a fault of the program")', []),
        ('assert x, "what a developer reads"', []),
        ('x: "dict[str, Some thing]" = {}', []),
        ('warnings.warn("for developers only", stacklevel=2)', []),
        ('x = table["some key here"]', []),
        ('name = "word"', []),
    ],
)
def test_what_is_extracted(source: str, templates: list[str]):
    assert of(source) == templates


def test_of_rooms_with_tables_of_their_own_only_errors_are_extracted():
    source = 'title = "two words"\nraise DataError("cannot be drawn")'
    assert of(source, "plots/chart.py") == ["cannot be drawn"]
    assert of(source, "data/chart.py") == ["two words", "cannot be drawn"]


def test_what_a_verb_prints_for_people_goes_through_the_catalogue():
    """``typer.echo`` is for data: prose in it would stay English."""
    offences: list[str] = []
    for path in sorted((SOURCE / "cli").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "typer.echo" and node.args:
                texts = extract.of_file(f"cli/{path.name}", f"x = {ast.unparse(node.args[0])}")
                offences += [f"{path.name}:{node.lineno}: {text.template}" for text in texts]
    assert offences == []


SAMPLES = [
    ("a/b.tsv: no such file.", "a/b.tsv：没有这个文件。"),
    (
        "1 fault in recipe demo with its overrides:\n  model.kind: missing; kinds: a, b",
        "配方 demo 及其覆盖项有 1 处错误：\n  model.kind：缺失；可用的类型：a, b",
    ),
    (
        "400 pairs read, 390 kept; dropped: 6 too few columns, 4 empty",
        "读取 400 个句对，保留 390 个；丢弃：6 列数不足、4 空行",
    ),
    (
        "400 pairs read, 390 kept; dropped: 4 empty; 40 of them held out as valid; 3 are copies of others",
        "读取 400 个句对，保留 390 个；丢弃：4 空行；其中 40 个留作 valid；3 个与其他句对重复",
    ),
    (
        "12 documents read: 10 to train on, 2 held out as valid",
        "读取 12 篇文档：10 篇用于训练、2 个留作 valid",
    ),
    ("a; b.tsv: no such file.", "a; b.tsv：没有这个文件。"),
    (
        "column 2 de: text in han letters, 7.5 characters on average, 9 at most, 4 different, 0 empty",
        "第 2 列 de：文本（汉字），平均 7.5 个字符，最多 9 个，4 种不同内容，0 行为空",
    ),
    (
        "training.schedule.peak: float > 0 = 0.001   only where training.schedule=linear",
        "training.schedule.peak: float > 0 = 0.001   仅当 training.schedule=linear",
    ),
    ("step 5/10", "第 5/10 步"),
    ("beam search, 64 at a time, 1 thread", "束搜索，每批 64 句，1 个线程"),
    (
        "runs/x: this run translates; use `whyformer translate runs/x`.",
        "runs/x：该运行做翻译；请用 `whyformer translate runs/x`。",
    ),
    (
        "out: cannot be written (No space left on device); choose another folder.",
        "out：无法写入（磁盘空间不足）；请换一个目录。",
    ),
]


@pytest.mark.parametrize(("english", "chinese"), SAMPLES)
def test_messages_as_they_come_are_said_in_chinese(english: str, chinese: str):
    assert translated(english) == english
    with speaking("zh"):
        assert translated(english) == chinese


@pytest.mark.parametrize(
    "text",
    ["", "  ", "Ein Satz auf Deutsch.", "你好", "a of b c d", "{}", "runs/demo", "stair", "x: y", "error\\n"],
)
def test_what_nobody_knows_stays_as_it_is(text: str):
    with speaking("zh"):
        assert translated(text) == text


def test_what_a_user_wrote_stays_as_it_is_inside_of_a_message():
    with speaking("zh"):
        for name in ("no such file", "steps", "source", "empty", "a pair of shoes"):
            assert translated(
                "line 3 has 9 tokens, but the model takes 5 at most; split the sentence."
            ).startswith("第 3 行")
            assert translated(f"{name}: no such file.") == f"{name}：没有这个文件。"
            prefix = (
                f"the target tokenizer can write the prefix {name!r} only as 'x'; leave out what is unknown."
            )
            assert repr(name) in translated(prefix)


@given(st.text(alphabet="ab:;,. \n\t'\"`{}()中0", max_size=40))
def test_no_text_is_too_odd_to_be_asked_for(text: str):
    with speaking("zh"):
        assert translated(text).split() == translated(text.strip()).split()


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        # Each of them could be read in more than one way; right is what explains most of it.
        (
            "train: 9 examples; source 10.1 characters on average, 15 at most; "
            "target 7 characters on average, 9 at most",
            "train：9 个样本；源侧平均 10.1 个字符，最多 15 个；目标侧平均 7 个字符，最多 9 个",
        ),
        ("note: a.yaml: no such file.", "提示：a.yaml：没有这个文件。"),
        ("did you mean small? presets: tiny, small", "是不是想写 small？可用的预设：tiny, small"),
    ],
)
def test_of_several_readings_the_one_that_explains_most_is_taken(english: str, chinese: str):
    with speaking("zh"):
        assert translated(english) == chinese


def test_the_white_space_around_a_text_stays():
    with speaking("zh"):
        assert translated("\n  all is well \n") == "\n  一切正常 \n"


def test_a_text_of_the_extractor_knows_its_place():
    assert Text("{0}: no such file.", "data/corpora/lines.py", ("path",)).template in {
        text.template for text in TEXTS
    }
    assert Path(SOURCE / "locales" / "zh.json").is_file()
