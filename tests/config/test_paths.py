"""A path counts from the file that it stands in, whoever derives from that and wherever the shell is."""

from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field

from whyformer.config.paths import RunPath, paths_of
from whyformer.config.recipe_files import load_recipe, recipe_text
from whyformer.config.schema import describe
from whyformer.spec import Spec


class Web(Spec):
    url: str


class Pair(Spec):
    kind: Literal["pair"] = "pair"
    left: Path | Web
    right: Path | Web


class Table(Spec):
    kind: Literal["table"] = "table"
    file: Path
    column: str = "a/b"


class Whole(Spec):
    name: str = "a name"
    begin: RunPath | None = None
    several: tuple[Path, ...] = ()
    one: Annotated[Pair | Table, Field(discriminator="kind")]
    named: dict[str, Annotated[Pair | Table, Field(discriminator="kind")]] = Field(default={})


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three folders, of which the shell is in the third."""
    for name in ("upper", "lower", "shell"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "shell")
    (tmp_path / "lower" / "base.yaml").write_text(
        "name: x/y\nbegin: runs/old\nseveral: [a.txt, sub/b.txt]\n"
        "one: {kind: table, file: t.tsv}\n"
        "named: {first: {kind: pair, left: ../l.txt, right: {url: r.txt}}}\n",
        encoding="utf-8",
    )
    (tmp_path / "upper" / "top.yaml").write_text("base: ../lower/base.yaml\n", encoding="utf-8")
    return tmp_path


def whole(folders: Path, text: str, *overrides: str) -> Whole:
    path = folders / "upper" / "top.yaml"
    path.write_text(f"base: ../lower/base.yaml\n{text}\n", encoding="utf-8")
    # As a user would name it from the shell's folder.
    return load_recipe(Whole, "../upper/top.yaml", overrides)


def test_each_layer_has_its_own_folder(folders: Path):
    made = whole(
        folders, "one: {file: mine.tsv}", "several.1=here.txt", "named.first={left: ., right: there.txt}"
    )
    assert made.one == Table(file=folders / "upper/mine.tsv")
    assert made.several == (folders / "lower/a.txt", folders / "shell/here.txt")
    assert made.begin == folders / "lower/runs/old"
    first = made.named["first"]
    assert isinstance(first, Pair)
    assert first.right == folders / "shell/there.txt"


def test_what_is_no_path_stays_as_it_is(folders: Path):
    made = whole(folders, "")
    assert made.name == "x/y"
    assert made.one == Table(file=folders / "lower/t.tsv", column="a/b")
    first = made.named["first"]
    assert isinstance(first, Pair)
    assert first == Pair(left=folders / "l.txt", right=Web(url="r.txt"))


@pytest.mark.parametrize(
    ("text", "file"),
    [
        ("one: {file: '${oc.env:ROOT,../shared}/t.tsv'}", "shared/t.tsv"),
        ("one: {file: '${several.0}'}", "lower/a.txt"),
        ("one: {file: '${name}'}", "upper/x/y"),
        ("one: {file: '${oc.env:ROOT,t.tsv}'}", "upper/t.tsv"),
        ("one: {file: 'a\\${b}.tsv'}", "upper/a${b}.tsv"),
        ("one: {file: ./a//b.tsv}", "upper/a/b.tsv"),
        ("one: {file: 文.tsv}", "upper/文.tsv"),
        ("one: {file: '~nobody-of-that-name/b.tsv'}", "upper/~nobody-of-that-name/b.tsv"),
    ],
)
def test_interpolated_and_odd_paths(folders: Path, text: str, file: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("ROOT", raising=False)
    assert whole(folders, text).one == Table(file=folders / file)


def test_absolute_paths_and_the_home_folder(folders: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(folders / "home"))
    monkeypatch.setenv("ROOT", str(folders / "elsewhere"))
    assert whole(folders, f"one: {{file: {folders}/z}}").one == Table(file=folders / "z")
    assert whole(folders, "one: {file: ~/z}").one == Table(file=folders / "home/z")
    made = whole(folders, "one: {file: '${oc.env:ROOT}/z'}\nname: in ${one.file}")
    assert (made.one, made.name) == (Table(file=folders / "elsewhere/z"), f"in {folders}/elsewhere/z")


def test_a_path_in_a_text_has_no_mark(folders: Path):
    assert whole(folders, "name: see ${one.file} and ${several.0}").name == "see t.tsv and a.txt"


def test_shipped_recipes_count_from_the_shell(folders: Path):
    shelf = folders / "lower"
    assert load_recipe(Whole, "base", (), shelf).one == Table(file=folders / "shell/t.tsv")
    # By its path it is a file of the user's like any other.
    assert load_recipe(Whole, "../lower/base.yaml", (), shelf).one == Table(file=folders / "lower/t.tsv")


@pytest.mark.parametrize("beside", ["model.safetensors", "state/last.safetensors"])
def test_a_recipe_that_an_older_version_wrote_into_a_run_counts_from_the_shell(folders: Path, beside: str):
    run = folders / "lower/run"
    (run / beside).parent.mkdir(parents=True)
    recipe = run / "recipe.yaml"
    recipe.write_text("one: {kind: table, file: t.tsv}\n", encoding="utf-8")
    assert load_recipe(Whole, str(recipe)).one == Table(file=run / "t.tsv")
    (run / beside).touch()
    assert load_recipe(Whole, str(recipe)).one == Table(file=folders / "shell/t.tsv")


def test_a_written_recipe_says_where_everything_is(folders: Path, monkeypatch: pytest.MonkeyPatch):
    made = whole(folders, "", "several=[~/a]")
    text = recipe_text(made)
    written = folders / "written.yaml"
    written.write_text(text, encoding="utf-8")
    monkeypatch.chdir("/")
    assert load_recipe(Whole, str(written)) == made
    keys = {key: holds for key, _, holds in paths_of(made)}
    assert keys == {"begin": "run", "several.0": "file", "one.file": "file", "named.first.left": "file"}
    assert all(path.is_absolute() for _, path, _ in paths_of(made))


def test_keys_tell_a_file_from_the_folder_of_a_run():
    types = {key.path: key.type for key in describe(Whole)}
    assert types["begin"] == "folder | null"
    assert types["one.file"] == "path"
