"""Recipes are found by name or path, derived, overridden, interpolated, and written so as to read back."""

from pathlib import Path
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from whyformer.config.recipe_files import load_recipe, recipe_text, shipped
from whyformer.errors import RecipeError
from whyformer.spec import Spec


class Cosine(Spec):
    kind: Literal["cosine"] = "cosine"
    warmup: int = 0
    floor: float = 0.1


class Constant(Spec):
    kind: Literal["constant"] = "constant"
    rate: float = 1.0


Schedule = Annotated[Cosine | Constant, Field(discriminator="kind")]


class Toy(Spec):
    name: str = "toy"
    steps: int | None = 10
    schedule: Schedule = Cosine(warmup=5)
    parts: tuple[Schedule, ...] = ()
    labels: dict[str, str] = Field(default={})
    folder: Path = Path.cwd() / "here"


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """A shelf with a few recipes; a further file in the same folder shadows none."""
    files = {
        "plain.yaml": "description: One line.\nname: plain\nschedule: {kind: cosine, warmup: 7}\n",
        "derived.yaml": "base: plain\nsteps: 3\nschedule: {floor: 0.5}\n",
        "switched.yaml": "base: derived\nschedule: {kind: constant}\n",
        "silent.yaml": "base: plain\nschedule: {kind: constant, rate: 2}\nparts: [{kind: cosine}]\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def fault(shelf: Path, recipe: str, *overrides: str) -> str:
    with pytest.raises(RecipeError) as caught:
        load_recipe(Toy, recipe, overrides, shelf)
    return str(caught.value)


def test_a_recipe_is_found_by_name_and_by_path(shelf: Path):
    assert load_recipe(Toy, "plain", (), shelf) == Toy(name="plain", schedule=Cosine(warmup=7))
    assert load_recipe(Toy, str(shelf / "plain.yaml")) == load_recipe(Toy, "plain", (), shelf)


def test_a_recipe_derives_from_its_base(shelf: Path):
    derived = load_recipe(Toy, "derived", (), shelf)
    assert derived == Toy(name="plain", steps=3, schedule=Cosine(warmup=7, floor=0.5))


def test_a_base_may_be_a_file_beside_the_recipe(shelf: Path, tmp_path: Path):
    (tmp_path / "inner").mkdir()
    path = tmp_path / "inner" / "mine.yaml"
    path.write_text("base: ../derived.yaml\nname: mine\n", encoding="utf-8")
    assert load_recipe(Toy, str(path), (), shelf).name == "mine"
    assert load_recipe(Toy, str(path), (), shelf).steps == 3


def test_another_kind_drops_the_keys_of_the_old_one(shelf: Path):
    assert load_recipe(Toy, "switched", (), shelf).schedule == Constant()
    assert load_recipe(Toy, "plain", ["schedule.kind=constant"], shelf).schedule == Constant()
    assert load_recipe(Toy, "silent", ["schedule.kind=cosine"], shelf).schedule == Cosine(warmup=5)


@pytest.mark.parametrize(
    ("overrides", "schedule"),
    [
        (["schedule.floor=0.2"], Cosine(warmup=7, floor=0.2)),
        (["schedule={kind: constant, rate: 3}"], Constant(rate=3)),
        (["schedule.rate=1e-4", "schedule.kind=constant"], Constant(rate=1e-4)),
        (["schedule.kind=cosine"], Cosine(warmup=7)),
        (["schedule={floor: 1}"], Cosine(warmup=7, floor=1)),
    ],
)
def test_overrides_change_a_node_or_replace_its_kind(
    shelf: Path, overrides: list[str], schedule: Cosine | Constant
):
    assert load_recipe(Toy, "plain", overrides, shelf).schedule == schedule


def test_an_override_reaches_a_node_that_the_recipe_does_not_mention(tmp_path: Path):
    path = tmp_path / "empty.yaml"
    path.write_text("", encoding="utf-8")
    assert load_recipe(Toy, str(path), ["schedule.floor=1"]).schedule == Cosine(warmup=5, floor=1)


def test_override_values_are_yaml(shelf: Path):
    toy = load_recipe(Toy, "plain", ["steps=null", "name='1'", "labels={a: b=c}"], shelf)
    assert (toy.steps, toy.name, toy.labels) == (None, "1", {"a": "b=c"})


def test_a_list_is_overridden_whole_or_by_index(shelf: Path):
    assert load_recipe(Toy, "silent", ["parts=[]"], shelf).parts == ()
    assert load_recipe(Toy, "silent", ["parts.0.warmup=4"], shelf).parts == (Cosine(warmup=4),)
    assert "parts.0.wormup: unknown key; did you mean warmup?" in fault(shelf, "silent", "parts.0.wormup=4")


def test_interpolations_are_resolved_after_the_overrides(shelf: Path, monkeypatch: pytest.MonkeyPatch):
    path = shelf / "env.yaml"
    path.write_text("folder: ${oc.env:TOY_FOLDER,../shared}/text\nname: ${folder}\n", encoding="utf-8")
    monkeypatch.delenv("TOY_FOLDER", raising=False)
    assert load_recipe(Toy, "env", (), shelf).folder == Path("../shared/text").resolve()
    monkeypatch.setenv("TOY_FOLDER", "/data")
    assert load_recipe(Toy, "env", (), shelf).name == "/data/text"
    assert load_recipe(Toy, "env", ["folder=x"], shelf).name == "x"


def test_faults_of_a_recipe_name_its_origin(shelf: Path):
    assert fault(shelf, "plain", "setps=3") == (
        "1 fault in recipe plain with its overrides:\n  setps: unknown key; did you mean steps?"
    )


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (
            "plian",
            "there is no recipe named plian, nor a run in a folder of that name; did you mean plain? A "
            "file's name must end in .yaml.",
        ),
        (
            "zzz",
            "there is no recipe named zzz, nor a run in a folder of that name; the shipped ones "
            "are: derived, plain, silent, switched.",
        ),
        ("no.yaml", "no.yaml: there is no such recipe file."),
    ],
)
def test_an_unknown_recipe_is_named_with_the_nearest(shelf: Path, recipe: str, message: str):
    assert fault(shelf, recipe).startswith(message)


def test_a_folder_is_no_recipe(shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "one").mkdir(parents=True)
    assert fault(shelf, "runs").startswith(
        "the folder runs holds no run (it has no recipe.yaml); the shipped"
    )
    (tmp_path / "runs" / "one" / "recipe.yaml").write_text("name: x\n", encoding="utf-8")
    assert fault(shelf, "runs/one") == "runs/one is a folder; the recipe in it is runs/one/recipe.yaml."


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: [1\n", r"bad.yaml: line 2 is not YAML"),
        (b"a: 1\na: 2\n", r"bad.yaml: line 2 is not YAML"),
        (b"- 1\n", r"bad.yaml: holds a list"),
        (b"just words\n", r"just words: unknown key"),
        (b"3\n", r"bad.yaml: "),
        (b"a: \xff\n", r"bad.yaml: not UTF-8"),
        (b"a: \x00\n", r"bad.yaml: not YAML"),
        (b"base: [plain]\n", r"`base` is \['plain'\]"),
        (b"base: bad\n", r"the recipe is its own base \(bad -> bad\)"),
        (b"name: ${nothing}\n", r"recipe bad: name: "),
        (b"name: ${oc.env:NO_SUCH_VARIABLE_HERE}\n", r"recipe bad: name: .*NO_SUCH_VARIABLE_HERE"),
        (b"name: ${\n", r"bad.yaml: name: no viable alternative"),
    ],
)
def test_a_damaged_file_is_a_sentence_not_a_traceback(shelf: Path, content: bytes, message: str):
    (shelf / "bad.yaml").write_bytes(content)
    with pytest.raises(RecipeError, match=message):
        load_recipe(Toy, "bad", (), shelf)


def test_a_circle_of_bases_is_found(shelf: Path):
    (shelf / "one.yaml").write_text("base: two\n", encoding="utf-8")
    (shelf / "two.yaml").write_text("base: one\n", encoding="utf-8")
    assert "its own base (one -> two -> one)" in fault(shelf, "one")


@pytest.mark.parametrize(
    "override", ["steps", "=3", "schedule..floor=1", "steps=[1", "steps={a", ".a=1", "name=${"]
)
def test_an_override_that_cannot_be_read_is_quoted(shelf: Path, override: str):
    assert fault(shelf, "plain", override).startswith(f"override `{override}`")


def test_shipped_recipes_are_listed_with_their_description(shelf: Path):
    assert shipped(shelf) == {"derived": "", "plain": "One line.", "silent": "", "switched": ""}


SCHEDULES = st.builds(Cosine, warmup=st.integers(), floor=st.floats(allow_nan=False, allow_infinity=False))
TEXTS = st.text() | st.sampled_from(
    ["1e5", "on", "no", "null", "~", "0x1", "???", "1:30", "2020-01-01", "${x}"]
)
TOYS = st.builds(
    Toy,
    name=TEXTS | TEXTS.map(lambda text: "\\" + text + "${a}\\"),
    steps=st.none() | st.integers(),
    schedule=SCHEDULES | st.builds(Constant),
    parts=st.lists(SCHEDULES | st.builds(Constant)).map(tuple),
    labels=st.dictionaries(TEXTS, TEXTS),
)


@given(toy=TOYS)
def test_recipe_to_file_to_recipe_is_identity(toy: Toy, tmp_path_factory: pytest.TempPathFactory):
    path = tmp_path_factory.getbasetemp() / "written.yaml"
    path.write_bytes(recipe_text(toy).encode("utf-8"))
    assert load_recipe(Toy, str(path)) == toy
