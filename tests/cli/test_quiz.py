"""``whyformer quiz``: sessions in both languages, by pipes and on terminals, and what is kept of them."""

import json
import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import get_args

import pytest
from typer.testing import Result

from whyformer.cli.quiz import GroupName
from whyformer.language import display_width
from whyformer.why.question import Group

Program = Callable[..., Result]
PROGRAM = [sys.executable, "-c", "from whyformer.cli.main import main; main()"]
CHINESE = re.compile(r"[\u4e00-\u9fff]")
unix = pytest.mark.skipif(os.name == "nt", reason="terminals and shells are others on Windows")
ANSWER = {
    "en": "The softmax saturates, and a mask hides padding\nas its attention weights sum to one.\n\n",
    "zh": "softmax 会饱和，\n掩码屏蔽填充位置，权重之和为一。\n\n",
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the record lies."""
    monkeypatch.setenv("WHYFORMER_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def quiz(whyformer: Program) -> Program:
    def run(*arguments: object, stdin: str | bytes = "") -> Result:
        return whyformer("quiz", *arguments, stdin=stdin)

    return run


def recorded(folder: Path) -> dict[str, dict[str, object]]:
    return json.loads((folder / "quiz.json").read_text(encoding="utf-8"))["questions"]


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_ten_questions_are_played(lang: str, quiz: Program, folder: Path):
    played = quiz("--lang", lang, stdin=10 * f"{ANSWER[lang]}1 2\n")
    assert (played.exit_code, played.stderr) == (0, "")
    questions = re.findall(r"^(Q\d\d)  (.+)$", played.stdout, re.MULTILINE)
    assert [name for name, _ in questions] == [f"Q{number:02}" for number in (1, 2, 3, 4, 5, 6, 8, 7, 9, 10)]
    assert all(bool(CHINESE.search(title)) == (lang == "zh") for _, title in questions)
    heads = ["Model answer", "Evidence", "Key points"] if lang == "en" else ["参考答案", "实测证据", "要点"]
    lines = played.stdout.splitlines()
    assert [lines.count(head) for head in heads] == [10, 10, 10]
    assert ("This session: 20 of " if lang == "en" else "条要点答出 20 条") in played.stdout
    assert max(map(display_width, lines)) <= 80
    assert not re.search("\x1b|[\U0001f300-\U0001faff]", played.stdout)
    records = recorded(folder)
    assert [each["asked"] for each in records.values()] == 10 * [1]


def test_chinese_is_spoken_wholly(quiz: Program):
    shown = quiz("--lang", "zh", stdin=10 * "\n无\n").stdout
    shown += quiz("--lang", "zh", "--score").stdout
    prose = re.sub(r"`[^`]*`|[A-Z][\w-]*(?: [A-Z][\w-]*)*", "", shown)
    assert re.findall(r"(?:\b[a-z]{2,} ){3,}", prose) == []


def test_both_languages_share_a_record_which_survives_restarts(quiz: Program, folder: Path):
    quiz("--questions", 1, stdin="\nall\n")
    assert "30 题中问过 1 题：0 题薄弱，1 题学习中，0 题已掌握。" in quiz("--score", "--lang", "zh").stdout
    quiz("--questions", 1, "--lang", "zh", stdin="\n没有\n")
    assert "Asked: 2 of 30 questions, of which 1 weak, 1 on the way, 0 known." in quiz("--score").stdout
    assert [*recorded(folder)] == ["1", "2"]


def test_the_score_names_what_is_weak_and_where_the_record_lies(quiz: Program, folder: Path):
    assert quiz("--score").stdout.startswith("Nothing was asked yet; `whyformer quiz` begins.\n")
    assert not folder.exists()
    quiz("--questions", 2, stdin="\nall\n\n1\n")
    shown = quiz("--score").stdout
    weak, way = shown.index("\nWeak\n  Q02"), shown.index("\nOn the way\n  Q01")
    assert weak < way
    assert "25%" in shown[weak:way]
    assert "Not asked yet: 28 (Junior 5, Middle 17, Senior 6)." in shown
    assert "`whyformer why 2` answers question 2" in shown
    assert shown.endswith(f"The record is kept in {folder / 'quiz.json'}\n")


@pytest.mark.filterwarnings("ignore::whyformer.errors.WhyformerNote")
def test_a_damaged_record_ends_no_session(quiz: Program, folder: Path):
    quiz("--questions", 1, stdin="\nall\n")
    whole = (folder / "quiz.json").read_bytes()
    (folder / "quiz.json").write_bytes(whole[:-20])
    played = quiz("--questions", 1, stdin="\n1\n")
    assert played.exit_code == 0
    assert "Q01" in played.stdout
    assert (folder / "quiz.aside-1.json").read_bytes() == whole[:-20]
    assert recorded(folder)["1"]["shares"] == [0.25]


def test_a_new_record_deletes_nothing(quiz: Program, folder: Path):
    quiz("--questions", 1, stdin="\nall\n")
    before = (folder / "quiz.json").read_bytes()
    again = quiz("--again")
    assert again.stdout.startswith(
        f"{folder / 'quiz.json'} was moved to {folder / 'quiz.aside-1.json'}, and a"
    )
    assert (folder / "quiz.aside-1.json").read_bytes() == before
    assert not (folder / "quiz.json").exists()
    assert "moved" not in quiz("--again").stdout


def test_only_one_group_is_asked(quiz: Program):
    played = quiz("--group", "positions", "--questions", 99)
    assert "Question 1 of 3 · Middle · positions · new" in played.stdout
    quiz("--group", "training", "--questions", 1, stdin="\nall\n")
    assert "Asked: 0" not in quiz("--score", "--group", "training").stdout
    assert "Nothing was asked yet" in quiz("--score", "--group", "positions").stdout


def test_the_groups_are_those_of_the_questions():
    assert get_args(GroupName) == get_args(Group)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--score", "--again"), "--score only shows; leave --again out."),
        (("--questions", 0), "greater than or equal to 1"),
        (("--group", "cooking"), "is not one of 'attention', 'positions'"),
    ],
)
def test_what_cannot_be_is_refused(arguments: tuple[object, ...], sentence: str, quiz: Program):
    refused = quiz(*arguments)
    assert refused.exit_code == 2
    assert sentence in refused.stderr


def test_bytes_that_are_no_text_are_asked_for_again(quiz: Program, folder: Path):
    played = quiz("--questions", 1, stdin=b"\xd6\xd0\nan answer\r\n\r\n\xff\n1,2\r\n")
    assert played.stdout.count("That line is no text in utf-8; write it again.") == 2
    assert "> an answer\n" in played.stdout
    assert recorded(folder)["1"]["shares"] == [0.5]


@pytest.mark.parametrize("stdin", ["", "\n", "an answer", "an answer\n\n", "an answer\n\n9\n"])
def test_an_input_that_ends_early_scores_nothing(stdin: str, quiz: Program, folder: Path):
    played = quiz(stdin=stdin)
    assert played.exit_code == 0
    assert played.stdout.endswith("\nNo question was scored; the record is as it was.\n")
    assert not (folder / "quiz.json").exists()


# In a process of its own.


def alone(
    *arguments: str, stdin: bytes = b"", code: str | None = None
) -> "subprocess.CompletedProcess[bytes]":
    command = PROGRAM if code is None else [sys.executable, "-c", code]
    return subprocess.run([*command, *arguments], input=stdin, capture_output=True, check=False)


def test_neither_torch_nor_numpy_is_needed():
    code = (
        "import sys, atexit\n"
        "from whyformer.cli.main import main\n"
        "atexit.register(lambda: print(sorted({'torch', 'numpy', 'rich'} & {*sys.modules})))\n"
        "main()"
    )
    played = alone("quiz", stdin=2 * ANSWER["en"].encode() + b"1\n", code=code)
    assert played.stdout.splitlines()[-1] == b"[]"


def test_where_nothing_can_be_kept_it_is_said_and_all_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    monkeypatch.setenv("WHYFORMER_DATA", str(tmp_path / "file"))
    played = alone("quiz", "--questions", "2", stdin=b"\nall\n\n1\n")
    assert played.returncode == 0
    assert played.stderr.count(b"note: ") == 1
    assert b"The quiz goes on, and what follows is not recorded." in played.stderr
    assert b"This session: 5 of 8 points" in played.stdout
    assert b"Asked again" not in played.stdout.partition(b"This session")[2]


@unix
@pytest.mark.parametrize("how", ["| head -1", "<&-", "</dev/null"])
def test_streams_may_be_closed(how: str):
    done = subprocess.run(
        ["bash", "-c", f'yes "" | "$@" {how}', "bash", *PROGRAM, "quiz"],
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, b"")


class Terminal:
    """The program on a terminal of so many columns, and what is on it so far."""

    def __init__(self, *arguments: str, columns: int = 120) -> None:
        import fcntl
        import pty
        import struct
        import termios

        self._main, side = pty.openpty()
        fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        environment = {**os.environ, "TERM": "xterm", "LC_ALL": "C.UTF-8"}
        environment.pop("COLUMNS", None)
        # Its first terminal becomes its own, from which signals come.
        code = "import os, sys; os.close(os.open(os.ttyname(0), os.O_RDWR)); " + PROGRAM[2]
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            stdin=side,
            stdout=side,
            stderr=side,
            start_new_session=True,
            env=environment,
        )
        os.close(side)
        self.text = ""

    def wait(self, sign: str) -> None:
        """Read on until ``sign`` stands at the end."""
        read = b""
        while not read.replace(b"\r", b"").endswith(sign.encode()):
            assert select.select([self._main], [], [], 60)[0], self.text
            read += os.read(self._main, 1)
        self.text += read.decode().replace("\r", "")

    def write(self, text: str) -> None:
        """Type ``text`` and wait for the prompt."""
        os.write(self._main, text.encode())
        self.wait("\n> ")

    def end(self, key: str = "") -> int:
        """Press ``key`` or, without one, send Ctrl-C's signal; read the rest, and return the status."""
        read = b""
        # A signal that comes after Python has shown its prompt and before it waits for a key interrupts
        # nothing until the next key, as readline is called by CPython 3.11; a user would press again.
        for _ in range(4):
            if key:
                os.write(self._main, key.encode())
            else:
                self.process.send_signal(signal.SIGINT)
            while select.select([self._main], [], [], 15)[0]:
                try:
                    read += os.read(self._main, 4096)
                except OSError:  # nobody has the other side any more
                    self.text += read.decode().replace("\r", "")
                    return self.process.wait(60)
        raise AssertionError(read)

    def close(self) -> None:
        """Leave nothing behind."""
        self.process.kill()
        self.process.wait()
        os.close(self._main)


@pytest.fixture
def terminal() -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def start(*arguments: str, columns: int = 120) -> Terminal:
        opened.append(Terminal(*arguments, columns=columns))
        opened[-1].wait("\n> ")
        return opened[-1]

    yield start
    for each in opened:
        each.close()


@unix
@pytest.mark.parametrize(("key", "status"), [("\x03", 130), ("\x04", 0)])
@pytest.mark.parametrize("typed", [(), ("an answer\n",), ("an answer\n", "\n")])
def test_a_session_on_a_terminal_may_be_left_anywhere(
    typed: tuple[str, ...], key: str, status: int, terminal: Callable[..., Terminal], folder: Path
):
    session = terminal("quiz")
    for text in ("一个头 is one distribution\n", "\n", "1 2\n", *typed):
        session.write(text)
    if (typed, key) == (("an answer\n",), "\x04"):
        session.write(key)  # that ends the answer
    assert session.end(key) == status
    assert "This session: 2 of 4 points (50%), questions: 1." in session.text
    assert session.text.endswith("interrupted\n") == (status == 130)
    assert "Traceback" not in session.text
    assert recorded(folder)["1"]["shares"] == [0.5]


@unix
def test_a_signal_while_it_starts_or_thinks_ends_it_quietly(terminal: Callable[..., Terminal]):
    session = terminal("quiz")
    assert session.end() == 130
    assert "Traceback" not in session.text


@unix
@pytest.mark.parametrize(("columns", "beside"), [(80, False), (120, True)])
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_a_wide_terminal_has_the_points_beside_the_answer(
    columns: int, beside: bool, lang: str, terminal: Callable[..., Terminal]
):
    session = terminal("quiz", "--lang", lang, columns=columns)
    session.write("\n")
    lines = re.sub("\x1b\\[[0-9;?]*[a-zA-Z]", "", session.text).splitlines()
    assert max(map(display_width, lines)) <= columns
    heads = ("Model answer", "Key points") if lang == "en" else ("参考答案", "要点")
    assert any(all(head in line for head in heads) for line in lines) == beside
