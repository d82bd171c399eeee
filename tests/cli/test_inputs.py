"""Texts that a verb is given: mistakes in naming a file, or in giving a table for texts, are noted."""

import warnings
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whyformer.cli.inputs import read_inputs
from whyformer.config.validation import check
from whyformer.data.corpora.formats.tables import columns_note
from whyformer.data.corpora.parallel import read_test_set
from whyformer.errors import RecipeError, WhyformerNote
from whyformer.runs.registry import TASKS


@pytest.mark.parametrize("name", ["in.txt", "my texts.txt", "noending", "句子.txt"])
@pytest.mark.parametrize("others", [[], ["A sentence."]])
def test_a_text_that_is_a_files_name_is_noted(
    name: str, others: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_inputs([name, *others], None, None).texts == [name, *others]
    Path(name).write_text("One.\n", encoding="utf-8")
    with pytest.warns(WhyformerNote, match=r"--file .* reads its lines"):
        assert read_inputs([name, *others], None, None).texts == [name, *others]


CELL = st.text("abc .", max_size=8)


@given(rows=st.lists(st.lists(CELL, min_size=1, max_size=4), min_size=1, max_size=20))
def test_lines_with_columns_are_noted_where_they_are_most(rows: list[list[str]]) -> None:
    lines = ["\t".join(row) for row in rows]
    filled = [line for line in lines if line.strip()]
    with_tabs = [line for line in filled if "\t" in line]
    note = columns_note(Path("my table.tsv"), lines)
    assert (note is not None) == (2 * len(with_tabs) > len(filled))
    assert note is None or "`cut -f 1 'my table.tsv'`" in note


@pytest.mark.parametrize("table", ["source", "reference"])
def test_a_table_for_one_side_of_a_test_set_is_noted(table: str, tmp_path: Path) -> None:
    texts, columns = tmp_path / "a.en", tmp_path / "a.tsv"
    texts.write_text("One.\nTwo.\n", encoding="utf-8")
    columns.write_text("One.\tEins.\nTwo.\tZwei.\n", encoding="utf-8")
    source, reference = (columns, texts) if table == "source" else (texts, columns)
    with pytest.warns(WhyformerNote, match=r"up to 2 columns"):
        assert len(read_test_set(source, [reference])) == 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(read_test_set(texts, [texts])) == 2


@pytest.mark.parametrize("task", [name for name, task in TASKS.items() if not task.recognises_streams])
@pytest.mark.parametrize("share", [0.05, 1])
def test_a_share_is_no_test_set_and_it_is_said_what_is(task: str, share: float) -> None:
    recipe = {"task": task, "data": {"train": "a.tsv", "test": share}, "training": {"epochs": 1}}
    with pytest.raises(RecipeError, match=r"a test set is a file of its own"):
        check(TASKS[task].recipe_type, recipe, "mine")
