"""Forms of tables that a recipe names without more: found as ``init`` finds them, whatever the table is."""

import json
from collections.abc import Callable
from itertools import product
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from whyformer.config.validation import check
from whyformer.data.checks.forms import with_forms
from whyformer.data.corpora.parallel import FilesSpec
from whyformer.errors import DataError
from whyformer.runs.beginning.new_recipe import recipe_for
from whyformer.runs.registry import load_any
from whyformer.tasks.translation.task import TranslationRecipe

NOUNS = {"dog": "Hund", "cat": "Katze", "horse": "Pferd", "bird": "Vogel", "fish": "Fisch", "cow": "Kuh"}
VERBS = {"sleeps": "schläft", "runs": "rennt", "eats": "frisst", "falls": "fällt", "waits": "wartet"}
PAIRS = [
    (f"The {one} {verb} near the {other}.", f"{NOUNS[one]} {VERBS[verb]} bei {NOUNS[other]}.")
    for one, verb, other in product(NOUNS, VERBS, NOUNS)
]
NAMES = ("Source Text", "Target Text")


def spec(data: dict[str, object]) -> FilesSpec:
    found = check(TranslationRecipe, {"data": data, "training": {"epochs": 1}}, "mine").data
    assert isinstance(found, FilesSpec)
    return found


def write(path: Path, rows: list[tuple[str, ...]], header: tuple[str, ...] | None = None) -> Path:
    """A table of ``rows``, in the format that the ending of ``path`` names."""
    names = header or tuple(map(str, range(len(rows[0]))))
    match path.suffix:
        case ".jsonl":
            lines = [json.dumps(dict(zip(names, row, strict=True))) for row in rows]
        case ".csv":
            quoted = [",".join(f'"{cell}"' for cell in row) for row in rows]
            lines = ([",".join(header)] if header else []) + quoted
        case _:
            lines = ["\t".join(row) for row in ([header] if header else []) + rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def wide(pairs: list[tuple[str, str]], before: int, behind: int) -> list[tuple[str, ...]]:
    """``pairs`` with ``before`` columns of numbers in front and ``behind`` columns of them after."""
    return [
        (*(str(n + 7 * column) for column in range(before)), source, target, *(str(n) for _ in range(behind)))
        for n, (source, target) in enumerate(pairs, start=1)
    ]


def header_of(before: int, behind: int) -> tuple[str, ...]:
    return (*(f"No {n}" for n in range(before)), *NAMES, *(f"Note {n}" for n in range(behind)))


@given(
    suffix=st.sampled_from([".tsv", ".csv", ".jsonl"]),
    before=st.integers(0, 2),
    behind=st.integers(0, 2),
    headed=st.booleans(),
    seed=st.integers(0, 99),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_table_named_by_its_path_gives_all_its_pairs_and_no_header(
    suffix: str, before: int, behind: int, headed: bool, seed: int, tmp_path: Path
) -> None:
    pairs = Random(seed).sample(PAIRS, 60)
    header = header_of(before, behind) if headed or suffix == ".jsonl" else None
    path = write(tmp_path / f"a{suffix}", wide(pairs, before, behind), header)
    data, found = with_forms(spec({"train": str(path), "valid": 0.1}))
    assert [tuple(pair) for pair in data.train.held_out()] == pairs
    # What was found changes something; what nobody had to say is not told.
    assert bool(found) == (data.train != spec({"train": str(path)}).train)
    assert with_forms(data) == (data, [])


@pytest.mark.parametrize("suffix", [".tsv", ".csv", ".jsonl"])
def test_it_decides_as_init_does(suffix: str, tmp_path: Path) -> None:
    path = write(tmp_path / f"a{suffix}", wide(PAIRS, 1, 1), header_of(1, 1))
    short, long = tmp_path / "short.yaml", tmp_path / "long.yaml"
    short.write_text(f"data: {{train: {path}, valid: 0.1}}\n", encoding="utf-8")
    long.write_text(recipe_for([path], tmp_path).text, encoding="utf-8")
    told: list[str] = []
    assert load_any(str(short), to_train=True, say=told.append).data == load_any(str(long)).data
    assert any(line.startswith("data.train.source_") and "letters" in line for line in told)


@pytest.mark.parametrize(
    ("header", "places"),
    [(None, (2, 3)), (header_of(1, 1), NAMES), (("id", "en", "de", "note"), (2, 3))],
)
@pytest.mark.parametrize("said", [False, True])
@pytest.mark.parametrize("key", ["valid", "test"])
def test_held_out_tables_are_read_like_the_training_table_by_their_own_first_line(
    header: tuple[str, ...] | None, places: tuple[object, object], said: bool, key: str, tmp_path: Path
) -> None:
    train: object = str(write(tmp_path / "a.tsv", wide(PAIRS[20:], 1, 1), header_of(1, 1)))
    if said:
        train = {"path": train, "header": True, "source_column": NAMES[0], "target_column": NAMES[1]}
    path = str(write(tmp_path / "b.tsv", wide(PAIRS[:20], 1, 1), header))
    data, _ = with_forms(spec({"train": train, key: path if key == "valid" else {"mine": path}}))
    files = data.valid if key == "valid" else data.test["mine"]
    assert not isinstance(files, float | int)
    assert [tuple(pair) for pair in files.held_out()] == PAIRS[:20]
    assert (getattr(files, "source_column"), getattr(files, "target_column")) == places  # noqa: B009


@pytest.mark.parametrize("suffix", [".tsv", ".jsonl"])
def test_columns_that_nobody_can_tell_are_asked_for(suffix: str, tmp_path: Path) -> None:
    path = write(tmp_path / f"a{suffix}", [(str(n), str(n * 2), str(n * 3)) for n in range(60)])
    with pytest.raises(DataError, match=r"say so by data\.train\.source_\w+ and data\.train\.target_\w+\.$"):
        with_forms(spec({"train": str(path)}))


@pytest.mark.parametrize("change", [lambda path: path.unlink(), lambda path: path.write_bytes(b"\xff\xfea")])
def test_a_file_that_cannot_be_read_is_left_to_reading(
    change: Callable[[Path], object], tmp_path: Path
) -> None:
    path = write(tmp_path / "a.tsv", wide(PAIRS, 0, 0))
    change(path)
    data = spec({"train": str(path), "valid": str(path)})
    assert with_forms(data) == (data, [])
