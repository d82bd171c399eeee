"""``whyformer init``: recipes that fit a file, say why, and train as they stand."""

import gzip
import json
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
import yaml
from typer.testing import CliRunner, Result

from whyformer.cli.main import app
from whyformer.runs.registry import load_any
from whyformer.tasks.translation.task import TranslationRecipe
from whyformer.training.storage.run import RunFolder

WORDS = {
    "dog": ("Hund", "狗"),
    "cat": ("Katze", "猫"),
    "horse": ("Pferd", "马"),
    "bird": ("Vogel", "鸟"),
    "fish": ("Fisch", "鱼"),
    "cow": ("Kuh", "牛"),
    "mouse": ("Maus", "老鼠"),
    "sheep": ("Schaf", "羊"),
}
VERBS = {
    "sleeps": ("schläft", "睡觉"),
    "runs": ("rennt", "跑"),
    "eats": ("frisst", "吃"),
    "waits": ("wartet", "等"),
}


def pairs(language: int, count: int = 90) -> list[tuple[str, str]]:
    """Sentences of English and of German (0) or Chinese (1)."""
    random = Random(3)
    found: list[tuple[str, str]] = []
    for number in range(count):
        one, other, verb = random.choice([*WORDS]), random.choice([*WORDS]), random.choice([*VERBS])
        space = " " if language == 0 else ""
        und = "und" if language == 0 else "和"
        target = space.join([WORDS[one][language], und, WORDS[other][language], VERBS[verb][language]])
        found.append((f"The {one} and the {other}, number {number}, {verb} here.", f"{target} {number}"))
    return found


def tsv(path: Path) -> list[Path]:
    path = path / "pairs.tsv"
    path.write_text("".join(f"{one}\t{other}\n" for one, other in pairs(0)), encoding="utf-8")
    return [path]


def tsv_with_header(path: Path) -> list[Path]:
    path = path / "pairs.tsv.gz"
    rows = "".join(f"{n}\t{other}\t{one}\n" for n, (one, other) in enumerate(pairs(1)))
    path.write_bytes(gzip.compress(f"id\ttarget\tsource\n{rows}".encode()))
    return [path]


def quoted(path: Path) -> list[Path]:
    path = path / "pairs.tsv"
    rows = "".join(f'"{one} ""so"""\t"{other}"\n' for one, other in pairs(0))
    path.write_text(rows, encoding="utf-8")
    return [path]


def csv(path: Path) -> list[Path]:
    path = path / "pairs.csv"
    rows = "".join(f'"{one}";"{other}"\n' for one, other in pairs(1))
    path.write_text(f"english;chinese\n{rows}", encoding="utf-8")
    return [path]


def json_lines(path: Path) -> list[Path]:
    path = path / "pairs.jsonl"
    rows = (json.dumps({"n": n, "en": one, "de": other}) for n, (one, other) in enumerate(pairs(0)))
    path.write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
    return [path]


def texts(path: Path) -> list[Path]:
    for side, name in enumerate(("mine.en", "mine.zh")):
        (path / name).write_text("".join(f"{pair[side]}\n" for pair in pairs(1)), encoding="utf-8")
    return [path / "mine.en", path / "mine.zh"]


FORMS: dict[str, Callable[[Path], list[Path]]] = {
    form.__name__: form for form in (tsv, tsv_with_header, quoted, csv, json_lines, texts)
}


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [*map(str, arguments)])


@pytest.mark.parametrize("form", FORMS)
def test_a_recipe_fits_its_file_and_trains_as_it_stands(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "data").mkdir()
    files, to = FORMS[form](tmp_path / "data"), tmp_path / "recipes" / "mine.yaml"
    to.parent.mkdir()
    written = call("init", *files, "--to", to)
    assert written.exit_code == 0, written.output
    assert written.stdout == to.read_text(encoding="utf-8")
    recipe = load_any(str(to))
    assert isinstance(recipe, TranslationRecipe)
    assert recipe.data is not None
    # Found from elsewhere, and read rightly: no quote, no number, no header is taken for a sentence.
    monkeypatch.chdir(tmp_path / "data")
    trained = call(
        "train", to, "training.steps=2", "training.validation.sentences=2", "--run", tmp_path / "run"
    )
    assert trained.exit_code == 0, trained.output
    assert "vocabulary=" not in trained.stderr  # it says everything
    from whyformer.data.store.pair_data import pair_corpus

    corpus = pair_corpus(recipe.data)
    read = {*corpus.train, *((pair.source, pair.references[0]) for pair in corpus.valid)}
    language = 1 if "joint" not in to.read_text(encoding="utf-8") else 0
    expected = pairs(language)
    if form == "quoted":
        expected = [(f'{one} "so"', other) for one, other in expected]
    assert read == {*expected}
    assert 1 <= len(corpus.valid) <= 30


@pytest.mark.parametrize("form", FORMS)
def test_every_value_has_its_reason_above_it(form: str, tmp_path: Path):
    to = tmp_path / "mine.yaml"
    assert call("init", *FORMS[form](tmp_path), "--to", to).exit_code == 0
    lines = to.read_text(encoding="utf-8").splitlines()
    for above, line in pairwise(lines):
        leaf = re.match(r" *\w+: \S", line)
        if leaf and line.strip() != "kind: files":
            assert above.strip().startswith("# "), line


def test_it_decides_as_training_decides(tmp_path: Path):
    """A recipe with nothing but the data leads to the very training that ``init`` writes down."""
    to, bare, steps = tmp_path / "mine.yaml", tmp_path / "bare.yaml", "training.minutes=0.0001"
    assert call("init", *tsv(tmp_path), "--to", to).exit_code == 0
    data = yaml.safe_load(to.read_text(encoding="utf-8"))["data"]
    bare.write_text(yaml.safe_dump({"data": data}), encoding="utf-8")
    for recipe, name in ((to, "one"), (bare, "other")):
        # The end by time comes after one step; it is decided otherwise where nothing says the epochs.
        limits = () if recipe == to else ("training.epochs=" + str(load_any(str(to)).training.epochs),)
        result = call("train", recipe, *limits, steps, "--run", tmp_path / name)
        assert result.exit_code == 0, result.output
    one, other = (load_any(str(RunFolder(tmp_path / name).recipe)) for name in ("one", "other"))
    assert one == other


def test_an_old_file_is_not_replaced_unless_asked(tmp_path: Path):
    to = tmp_path / "mine.yaml"
    to.write_text("precious\n", encoding="utf-8")
    files = tsv(tmp_path)
    refused = call("init", *files, "--to", to)
    assert refused.exit_code == 2
    assert "--overwrite" in refused.stderr
    assert to.read_text(encoding="utf-8") == "precious\n"
    assert call("init", *files, "--to", to, "--overwrite").exit_code == 0
    assert "precious" not in to.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("text.txt", b"One line.\nAnother line.\n", "second file"),
        ("numbers.tsv", b"1\t2\n3\t4\n5\t6\n7\t8\n", "--source"),
        ("latin.tsv", "Hund\tschläft früh\n".encode("cp1252") * 50, "UTF-8"),
        ("empty.tsv", b"", "empty"),
    ],
)
def test_what_is_no_file_of_pairs_is_refused_and_nothing_is_written(
    name: str, content: bytes, said: str, tmp_path: Path
):
    (tmp_path / name).write_bytes(content)
    refused = call("init", tmp_path / name, "--to", tmp_path / "mine.yaml")
    assert refused.exit_code == 2, refused.output
    assert said in refused.stderr
    assert not (tmp_path / "mine.yaml").exists()


def test_columns_can_be_named(tmp_path: Path):
    path = tmp_path / "three.tsv"
    path.write_text("".join(f"{one}\t{other}\t{n}a\n" for n, (one, other) in enumerate(pairs(0))), "utf-8")
    to = tmp_path / "mine.yaml"
    assert call("init", path, "--source", 2, "--target", 1, "--to", to).exit_code == 0
    train = yaml.safe_load(to.read_text(encoding="utf-8"))["data"]["train"]
    assert (train["source_column"], train["target_column"]) == (2, 1)
    outside = call("init", path, "--source", 2, "--target", 4, "--to", tmp_path / "other.yaml")
    assert outside.exit_code == 2
    assert "no column 4" in outside.stderr


@pytest.mark.parametrize(
    "arguments",
    [("--to", "mine.txt"), ("--to", "mine.yaml", "--source", "1"), ("b", "c", "--to", "mine.yaml")],
)
def test_a_mistaken_call_is_a_sentence(arguments: tuple[str, ...], tmp_path: Path):
    result = call("init", *tsv(tmp_path), *arguments)
    assert result.exit_code == 2
    assert "Traceback" not in result.output


@pytest.mark.parametrize("times", [2, 3, 7])
@pytest.mark.parametrize("form", ["tsv", "csv", "texts"])
def test_copies_of_pairs_count_for_nothing(form: str, times: int, tmp_path: Path):
    """Sizes are those that the different pairs alone would give; copies share the passes."""
    files = FORMS[form](tmp_path)
    to = tmp_path / "mine.yaml"
    assert call("init", *files, "--to", to).exit_code == 0
    once = yaml.safe_load(to.read_text(encoding="utf-8"))
    for file in files:
        head, *lines = file.read_text(encoding="utf-8").splitlines()
        headed = form == "csv"
        lines = lines if headed else [head, *lines]
        file.write_text("\n".join([head] * headed + lines * times) + "\n", encoding="utf-8")
    told = call("init", *files, "--to", to, "--overwrite")
    assert f"{(times - 1) * 90:,} of {times * 90:,} pairs are copies" in told.stderr
    again = yaml.safe_load(to.read_text(encoding="utf-8"))
    for key in ("tokenizers", "model"):
        assert again[key] == once[key]
    assert again["training"]["batching"] == once["training"]["batching"]
    assert again["training"]["epochs"] == round(once["training"]["epochs"] / times)


@pytest.mark.parametrize("count", [2, 5, 30, 150, 199, 200, 400])
def test_what_is_held_out_is_counted_and_few_pairs_are_doubted(count: int, tmp_path: Path):
    path = tmp_path / "few.tsv"
    path.write_text("".join(f"{one}\t{other}\n" for one, other in pairs(0, count)), encoding="utf-8")
    done = call("init", path, "--to", tmp_path / "mine.yaml")
    assert done.exit_code == 0, done.output
    held = re.search(r"# some ([\d,]+) pairs held out", done.stdout)
    assert held is not None
    assert abs(int(held[1]) - max(1, count / 10)) <= 1
    assert (f"{count:,} different pairs are too few" in done.stderr) == (count < 200)
