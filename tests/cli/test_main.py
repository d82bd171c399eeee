"""How the program starts, and how errors leave it."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

import whyformer
from whyformer.cli import main
from whyformer.cli.verb import Program, Verb
from whyformer.errors import DataError

HEAVY = [
    "torch",
    "numpy",
    "tokenizers",
    "pydantic",
    "omegaconf",
    "altair",
    "sacrebleu",
    "tensorboard",
    "rich",
]


def python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def toy(error: BaseException) -> typer.Typer:
    """A program with the real program's manners whose only verb fails."""
    app = typer.Typer(cls=Program, pretty_exceptions_enable=False)

    @app.command(cls=Verb)
    def fail() -> None:
        raise error

    app.callback()(lambda: None)
    return app


def test_help_imports_nothing_heavy():
    loaded = python(
        "import sys; import whyformer; from whyformer.cli.main import app\n"
        "try: app(['--help'])\n"
        "except SystemExit: pass\n"
        f"print('loaded:', [name for name in {HEAVY} if name in sys.modules])"
    )
    assert loaded.splitlines()[-1] == "loaded: []"


def test_the_package_itself_knows_only_its_version_and_load():
    assert whyformer.__version__
    with pytest.raises(AttributeError, match="no attribute 'lod'"):
        _ = whyformer.lod  # pyright: ignore[reportAttributeAccessIssue]


def test_version():
    result = CliRunner().invoke(main.app, ["--version"])
    assert (result.exit_code, result.stdout) == (0, f"whyformer {whyformer.__version__}\n")


def test_a_user_error_is_one_sentence_and_exit_code_2():
    result = CliRunner().invoke(toy(DataError("corpus.de: line 3 is empty; remove it.")), ["fail"])
    assert result.exit_code == 2
    assert result.stderr == "error: corpus.de: line 3 is empty; remove it.\n"
    assert result.stdout == ""


def test_an_interrupt_is_one_line_and_exit_code_130():
    result = CliRunner().invoke(toy(KeyboardInterrupt()), ["fail"])
    assert (result.exit_code, result.stderr) == (130, "interrupted\n")


def test_a_bug_keeps_its_traceback():
    bug = ZeroDivisionError("a bug")
    assert CliRunner().invoke(toy(bug), ["fail"]).exception is bug


def _verbs(command: Any, *names: str) -> Iterator[tuple[str, ...]]:
    """The words by which ``command`` and each verb below it are called."""
    yield names
    for name, inner in getattr(command, "commands", {}).items():
        yield from _verbs(inner, *names, name)


# These have something to say without being asked for anything.
SAYS_BY_ITSELF = [("why",), ("quiz",), ("recipes",), ("parts",), ("doctor",)]


@pytest.mark.parametrize("words", sorted({*_verbs(get_command(main.app))} - {*SAYS_BY_ITSELF}))
@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_verb_without_arguments_says_what_it_takes(
    words: tuple[str, ...], language: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("WHYFORMER_LANG", language)
    done = CliRunner().invoke(main.app, list(words))
    assert (done.exit_code, type(done.exception)) == (2, SystemExit)
    assert ("Usage:" if language == "en" else "用法：") in done.output
