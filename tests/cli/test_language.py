"""Every verb speaks the user's language, in help, errors and tables; JSON and data have none."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.core import TyperGroup
from typer.main import get_command
from typer.testing import Result

from whyformer.cli.main import app
from whyformer.cli.verb import Verb, VerbGroup
from whyformer.language import display_width, language_of, lines_of_width, padded

Program = Callable[..., Result]
CHINESE = re.compile(r"[\u4e00-\u9fff]")


def verbs(command: Any = None, name: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    command = get_command(app) if command is None else command
    yield name, command
    if isinstance(command, TyperGroup):
        for verb, inner in command.commands.items():
            yield from verbs(inner, (*name, verb))


VERBS = dict(verbs())


@pytest.mark.parametrize("name", VERBS, ids=" ".join)
def test_every_verb_takes_the_option_and_helps_in_chinese(name: tuple[str, ...], whyformer: Program):
    assert isinstance(VERBS[name], Verb | VerbGroup), "add it with cls=Verb"
    for arguments in (
        [*name, "--lang", "zh", "--help"],
        ["--lang", "zh", *name, "--help"],
        [*name, "--help", "--lang=zh"],
    ):
        shown = whyformer(*arguments).stdout
        assert shown.startswith("用法：")
        assert "--lang <en|zh>" in shown
    prose = re.sub(r"--?[\w-]+|<[^>]*>|\[[^\]]*\]|[A-Z][\w-]*|[\w/.-]*[/._=][\w/.,=-]*|\{\w+\}", "", shown)
    # Whole English sentences would be what was forgotten.
    assert re.findall(r"(?:\b[a-z]{2,} ){4,}", prose) == []
    assert all(display_width(line) <= 80 for line in shown.splitlines())
    assert whyformer(*name, "--help").stdout.startswith("Usage: ")


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh_TW"}, "zh"),
        ({"LC_MESSAGES": "zh_SG", "LANG": "en_US"}, "zh"),
        ({"LC_ALL": "C", "LANG": "zh_CN"}, "en"),
        ({"LC_ALL": "", "LANG": "zh_CN"}, "zh"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"WHYFORMER_LANG": "zh", "LC_ALL": "en_US"}, "zh"),
        ({"WHYFORMER_LANG": "en", "LANG": "zh_CN"}, "en"),
    ],
)
def test_the_environment_decides_where_the_command_line_does_not(environment: dict[str, str], language: str):
    assert language_of(environment) == language


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["train", "nosuch"], "错误：没有名为 nosuch 的配方，也没有这个名字的运行目录；"),
        (["translate"], "错误：缺少参数 'run'。"),
        (["translate", "no/run", "a"], "错误：no/run：不是运行目录（没有 recipe.yaml）；请先训练一个。"),
        (["nosuch"], "错误：没有名为 'nosuch' 的命令。"),
        (["trian"], "是不是想用 'train'？"),
        (["why", "99"], "错误：没有问题 99；"),
        (["why", "3", "--seeds", "1"], "错误：'--seeds' 的值无效：应大于或等于 3"),
        (["evaluate", "x", "--engine", "y"], "不是下列值之一"),
        (["recipes", "demo", "model.preset=smal"], 'model.preset：未知的预设 "smal"；是不是想写 small？'),
        (["compare", "demo", "--steps", "1", "--minutes", "1"], "错误：--steps 让各运行步数相同"),
    ],
)
def test_errors_are_said_in_chinese(arguments: list[str], sentence: str, whyformer: Program):
    result = whyformer(*arguments, "--lang", "zh")
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert not CHINESE.search(whyformer(*arguments).stderr)


def test_another_language_is_refused_by_name(whyformer: Program):
    result = whyformer("parts", "--lang", "fr")
    assert result.exit_code == 2
    assert "'fr' is not one of 'en', 'zh'." in result.stderr


@pytest.mark.filterwarnings("ignore::whyformer.errors.WhyformerNote")
def test_what_follows_two_dashes_is_no_option(whyformer: Program, reverse_run: Path):
    assert whyformer("tokenizer", "encode", "-t", reverse_run, "--", "--lang", "zh").stdout.count("\n") == 2


@pytest.mark.parametrize("arguments", [["parts", "--json"], ["recipes", "demo"], ["doctor", "--json"]])
def test_records_have_no_language(arguments: list[str], whyformer: Program, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("whyformer.machine._measured_gflops", lambda threads: (100.0, 50.0))
    whole = re.compile(r'"(memory_available|disk_free)": \d+')
    english, chinese = (whole.sub("", whyformer(*arguments, "--lang", each).stdout) for each in ("en", "zh"))
    assert english == chinese


def test_tables_and_lines_for_people_are_in_chinese(whyformer: Program, reverse_run: Path):
    shown = whyformer("evaluate", reverse_run, "--examples", 1, "--lang", "zh").stdout
    assert "句，用时" in shown
    assert "正确" in shown
    told = json.loads(whyformer("evaluate", reverse_run, "--json", "--lang", "zh").stdout)
    assert told["sets"][0]["name"] == "test"
    assert "训练" in whyformer("parts", "--lang", "zh").stdout or CHINESE.search(
        whyformer("parts", "--lang", "zh").stdout
    )


def test_translations_are_never_translated(whyformer: Program, reverse_run: Path):
    assert (
        whyformer("translate", reverse_run, "0 1 2", "--lang", "zh").stdout
        == whyformer("translate", reverse_run, "0 1 2").stdout
    )


@pytest.mark.parametrize("width", [10, 20, 33, 78])
def test_lines_are_cut_where_chinese_may_be(width: int):
    text = "用束搜索（beam search）翻译：每行一句，逐行输出译文。An English sentence follows，就像这样。"
    lines = lines_of_width(text, width)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert all(line[0] not in "，。：、）" for line in lines)
    assert all(line[-1] != "（" for line in lines)
    assert max(map(display_width, lines)) <= width + 4


def test_a_column_is_as_wide_as_it_looks():
    assert display_width("系统 ab") == 7
    assert padded("系统", 6) == "系统  "
