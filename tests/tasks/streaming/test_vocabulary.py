"""Symbols, their ids, and the words that they make."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whyformer.errors import DataError, TokenizerError
from whyformer.tasks.streaming.vocabulary import SymbolTable, TimedWord

DIGITS = SymbolTable("word", ("eight", "five", "zero"))
LETTERS = SymbolTable("character", (" ", "'", "a", "b", "é"))


@given(
    st.lists(st.sampled_from(["ab", "a'b", "é", "bab"]), max_size=6), st.sampled_from([" ", "\t ", "\u3000"])
)
def test_texts_come_back_with_single_spaces(words: list[str], between: str):
    for unit in ("word", "character"):
        table = SymbolTable.of_texts([*words, "ab a"], unit)
        ids = table.encode(between + between.join(words) + between)
        assert all(0 < each < table.size for each in ids)
        assert table.decode(ids) == " ".join(words)


def test_decomposed_letters_are_the_composed_ones():
    assert LETTERS.encode("e\u0301") == LETTERS.encode("\u00e9") == [5]
    assert SymbolTable.of_texts(["e\u0301"], "character").symbols == ("\u00e9",)


@given(st.lists(st.integers(1, 5), max_size=12), st.integers(0, 12))
def test_words_of_characters_last_from_their_first_to_their_last(ids: list[int], stable: int):
    stable = min(stable, len(ids))
    times = [3 * place + 1 for place in range(len(ids))]
    words = LETTERS.words(ids, times, stable)
    text = "".join(LETTERS.symbols[each - 1] for each in ids)
    assert [word.text for word in words] == text.split()
    assert LETTERS.decode(ids) == " ".join(text.split())
    place = 0
    for word in words:
        first = text.index(word.text, place)
        while text[first - 1 : first].strip():  # a part of another word
            first = text.index(word.text, first + 1)
        last = first + len(word.text) - 1
        closed = last + 1 < stable
        assert word == TimedWord(word.text, times[first], times[last], closed)
        place = last + 1


def test_words_that_are_symbols_have_one_frame():
    assert DIGITS.words([3, 1, 1], [4, 9, 20], stable=2) == [
        TimedWord("zero", 4, 4, True),
        TimedWord("eight", 9, 9, True),
        TimedWord("eight", 20, 20, False),
    ]
    with pytest.raises(ValueError, match=r"\[0, 4\]"):
        DIGITS.words([0, 1, 4], [0, 1, 2])
    with pytest.raises(ValueError, match="zip"):
        DIGITS.words([1, 2], [0])


@pytest.mark.parametrize(
    ("table", "text", "unknown"),
    [(DIGITS, "zero oh five", "'oh'"), (LETTERS, "ab c", "'c'"), (LETTERS, "aB", "'B'")],
)
def test_an_unknown_symbol_is_told_with_its_place(table: SymbolTable, text: str, unknown: str):
    with pytest.raises(DataError, match=rf"^words\.txt, line 7: {unknown} is none of the \d symbols"):
        table.encode(text, "words.txt, line 7")


@pytest.mark.parametrize("table", [DIGITS, LETTERS])
def test_a_table_is_saved_and_known_again(table: SymbolTable, tmp_path: Path):
    table.save(tmp_path)
    again = SymbolTable.load(tmp_path)
    assert again == table
    assert again.fingerprints == table.fingerprints
    assert len(table.fingerprint) == 12


def test_fingerprints_tell_tables_apart():
    tables = [DIGITS, SymbolTable("word", ("five", "eight", "zero")), SymbolTable("word", ("a", "b"))]
    tables.append(SymbolTable("character", ("a", "b")))
    assert len({table.fingerprint for table in tables}) == 4
    assert (DIGITS.description, LETTERS.description) == ("a table of 3 words", "a table of 5 characters")


@pytest.mark.parametrize(
    "content",
    [None, "", "[1]", '{"unit": "sound", "symbols": ["a"]}', '{"unit": "word", "symbols": []}', "\ud800"]
    + [json.dumps({"unit": unit, "symbols": symbols}) for unit, symbols in [
        ("word", ["a", "a"]), ("word", ["a b"]), ("word", [""]), ("word", [" "]), ("character", ["ab"]),
        ("character", ["\t"]), ("character", ["e\u0301"]),
    ]],
)  # fmt: skip
def test_a_damaged_file_is_one_sentence(content: str | None, tmp_path: Path):
    path = tmp_path / "symbols.json"
    if content is not None:
        path.write_bytes(content.encode("utf-8", "surrogatepass"))
    with pytest.raises(TokenizerError, match=r"symbols\.json: .*\.$"):
        SymbolTable.load(tmp_path)


@pytest.mark.parametrize("texts", [[], ["", " \n"]])
def test_empty_transcripts_make_no_table(texts: list[str]):
    with pytest.raises(DataError, match="empty"):
        SymbolTable.of_texts(texts, "word")
