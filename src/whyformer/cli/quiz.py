"""``whyformer quiz``: interview questions, answered by the user and compared with ours."""

import shutil
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from whyformer.cli.console import say
from whyformer.errors import DataError
from whyformer.language import current_language

if TYPE_CHECKING:
    from whyformer.why.quiz.cards import Card
    from whyformer.why.quiz.layout import ScreenRow
    from whyformer.why.quiz.record import RecordKeeper

GroupName = Literal["attention", "positions", "blocks", "training", "families"]
_PROMPT = "> "
_LONGEST = 100_000
"""Bytes of a line that is read at once."""


def quiz(
    questions: Annotated[int, typer.Option(min=1, help="How many questions to ask.")] = 10,
    group: Annotated[GroupName | None, typer.Option(help="Only questions of this group.")] = None,
    score: Annotated[
        bool, typer.Option("--score", help="Show the record: what is weak, what is known, what comes when.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Begin a new record; the old one is put aside, not deleted.")
    ] = False,
) -> None:
    """Be asked interview questions, and compare your answers with ours.

    Your answer, of as many lines as you like, is followed by the model answer, by what was measured for it,
    and by a checklist of key points. Points whose words your answer has are proposed; you decide. What was
    weak is asked again in the next session; what was known rests for a day, then for three, seven and
    twenty-one. One record for all languages is kept in $WHYFORMER_DATA, else in $XDG_DATA_HOME/whyformer,
    else in ~/.local/share/whyformer.
    """
    if score and again:
        raise typer.BadParameter("--score only shows; leave --again out.")
    from whyformer.why.quiz.cards import read_cards
    from whyformer.why.quiz.record import RecordKeeper, data_folder
    from whyformer.why.quiz.session import QuizSession

    cards = [card for card in read_cards() if group is None or card.group == group]
    keeper = RecordKeeper(data_folder())
    desk = _Terminal()
    if score:
        _show_score(cards, keeper.read(to_write=False), desk)
        return
    if again and (aside := keeper.begin_again()) is not None:
        say(f"{keeper.path} was moved to {aside}, and a new record begins; move it back to undo this.")
    QuizSession(cards, keeper.read(to_write=True), desk, current_language()).play(questions)


def _show_score(cards: "Sequence[Card]", keeper: "RecordKeeper", desk: "_Terminal") -> None:
    from datetime import datetime

    from whyformer.why.quiz.score import kept_row, score_rows

    now, lang = datetime.now().astimezone(), current_language()
    desk.show(score_rows(cards, keeper.standings, now, lang, desk.width))
    desk.show([kept_row(keeper.path, lang)])


class _Terminal:
    """Standard input and output; where nobody types, what is read is shown behind the prompt."""

    def __init__(self) -> None:
        self._is_typed = sys.stdin.isatty()
        if self._is_typed:
            # Lets a line be edited, Chinese too; Windows has its own way.
            with suppress(ImportError):
                import readline  # noqa: F401  # pyright: ignore[reportUnusedImport]

    @property
    def width(self) -> int:
        """Columns of a line."""
        from whyformer.why.quiz.layout import used_width

        return used_width(shutil.get_terminal_size().columns)

    def show(self, shown: "Iterable[ScreenRow]") -> None:
        """Print rows."""
        for row in shown:
            parts = (typer.style(part.text, bold=True) if part.is_bold else part.text for part in row)
            typer.echo("".join(parts).rstrip())

    def ask(self) -> str | None:
        """Read a line; None at the end of input."""
        while True:
            try:
                return self._typed() if self._is_typed else _piped()
            except UnicodeDecodeError as error:
                say(f"That line is no text in {error.encoding}; write it again.")

    def _typed(self) -> str | None:
        try:
            return input(_PROMPT)
        except EOFError:
            typer.echo()
            return None
        except KeyboardInterrupt:
            typer.echo()
            raise


def _piped() -> str | None:
    typer.echo(_PROMPT, nl=False)
    text = ""
    try:
        line = sys.stdin.buffer.readline(_LONGEST)
        text = line.decode("utf-8-sig").rstrip("\r\n")
    except DataError:
        # Closed, and nothing will come.
        line = b""
    finally:
        typer.echo(text)
    return text if line else None
