"""A bar shows on a terminal how far and how fast; in a pipe it is silent."""

import io
import sys

import pytest

from whyformer.cli.progress import sentence_bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def drawn(errors: io.StringIO, total: int, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(sys, "stderr", errors)
    monkeypatch.setenv("TERM", "xterm")
    with sentence_bar("translating", total) as advance:
        advance(2)
    return errors.getvalue()


def test_a_terminal_sees_the_sentences_done_and_the_rate(monkeypatch: pytest.MonkeyPatch):
    shown = drawn(Terminal(), 3, monkeypatch)
    assert "translating" in shown
    assert "2/3" in shown
    assert "sentences/s" in shown


def test_neither_a_pipe_nor_a_single_sentence_sees_anything(monkeypatch: pytest.MonkeyPatch):
    assert drawn(io.StringIO(), 3, monkeypatch) == ""
    assert drawn(Terminal(), 1, monkeypatch) == ""
