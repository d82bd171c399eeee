"""Every fault of a recipe is reported at once, with a path that can be used as an override."""

import json
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field, model_validator

from whyformer.config.defaults import completed, merged
from whyformer.config.paths import RunPath
from whyformer.config.schema import Key, Node, describe
from whyformer.config.validation import check
from whyformer.errors import RecipeError
from whyformer.spec import Spec


class Layer(Spec):
    """Per token."""

    kind: Literal["layer"] = "layer"
    epsilon: float = Field(default=1e-5, gt=0.0, lt=1.0)
    """Added to the variance."""


class Rms(Spec):
    """Without the mean."""

    kind: Literal["rms"] = "rms"
    gain: bool = True
    """Whether each component is scaled."""


Norm = Annotated[Layer | Rms, Field(discriminator="kind")]


class Residual(Spec):
    """Holds another choice, and has a key named like one of the kinds."""

    kind: Literal["residual"] = "residual"
    norm: Norm = Layer(epsilon=1e-3)
    """What normalises the sum."""
    layer: int = 0
    """Its number."""


class Encoder(Spec):
    """A stack."""

    layers: int = Field(default=6, ge=1)
    """Number of layers."""
    norm: Norm = Layer()
    """What keeps activations in range."""
    block: Annotated[Residual | Rms, Field(discriminator="kind")] = Residual(layer=7)
    """What a layer is."""
    extra: tuple[Norm, ...] = ()
    """Norms at the end."""
    final: Norm | None = None
    """The last norm, if any."""
    steps: int | Literal["auto"] = "auto"
    """Updates."""
    shape: tuple[int, int] = (1, 2)
    """Rows and columns."""

    @model_validator(mode="after")
    def _even(self) -> "Encoder":
        if self.layers % 2:
            raise ValueError("layers should be even, for the two halves")
        return self


class Model(Spec):
    """The root."""

    width: int
    """Components of a token."""
    encoder: Encoder = Encoder()
    """The encoder."""
    weights: dict[str, float] = Field(default={"a": 1.0})
    """Anything by name."""
    named: dict[str, Norm] = Field(default={})
    """Norms by name."""
    either: Encoder | str = "none"
    """A whole encoder, or its name."""


def faults(**data: object) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        check(Model, data, "recipe toy")
    return str(caught.value).split("\n  ")


def test_valid_data_becomes_the_spec():
    assert check(Model, {"width": 8}, "recipe toy") == Model(width=8)


def test_all_faults_come_at_once_with_a_headline():
    lines = faults(encoder={"layers": 0, "norm": {"kind": "layr"}, "heads": 3}, extra=1)
    assert lines == [
        "5 faults in recipe toy:",
        "width: missing; should be int: Components of a token.",
        "encoder.layers: is 0; should be int ≥ 1",
        'encoder.norm.kind: unknown kind "layr"; did you mean layer? kinds: layer, rms',
        "encoder.heads: unknown key; keys here: layers, norm, block, extra, final, steps, shape",
        "extra: unknown key; keys here: width, encoder, weights, named, either",
    ]


@pytest.mark.parametrize(
    ("encoder", "line"),
    [
        ({"layrs": 2}, "encoder.layrs: unknown key; did you mean layers?"),
        ({"norm": {"kind": "rms", "gian": 1}}, "encoder.norm.gian: unknown key; did you mean gain?"),
        ({"norm": {"epsilon": 0}}, "encoder.norm.epsilon: is 0; should be float > 0, < 1"),
        ({"norm": {"epsilon": "x"}}, 'encoder.norm.epsilon: is "x"; should be float > 0, < 1'),
        ({"norm": "rms"}, 'encoder.norm: is "rms"; should be {kind: layer | rms}'),
        ({"final": {"gain": True}}, "encoder.final.kind: missing; kinds: layer, rms"),
        ({"final": {"kind": "rms", "x": 1}}, "encoder.final.x: unknown key; keys here: kind, gain"),
        ({"final": 3}, "encoder.final: is 3; should be {kind: layer | rms} | null"),
        ({"extra": [{"kind": "rms", "gain": "?"}]}, 'encoder.extra.0.gain: is "?"; should be true or false'),
        ({"extra": [{}]}, "encoder.extra.0.kind: missing; kinds: layer, rms"),
        ({"extra": 3}, "encoder.extra: is 3; should be list of {kind: layer | rms}"),
        ({"steps": "never"}, 'encoder.steps: is "never"; should be int | auto'),
        ({"shape": [1, "x"]}, 'encoder.shape.1: is "x"; should be int'),
        ({"layers": 3}, "encoder: layers should be even, for the two halves"),
        (
            {"block": {"kind": "residual", "layer": "x"}},
            'encoder.block.layer: is "x"; should be int',
        ),
        (
            {"block": {"kind": "residual", "norm": {"kind": "layer", "epsilon": -1}}},
            "encoder.block.norm.epsilon: is -1; should be float > 0, < 1",
        ),
        (
            {"block": {"norm": {"kind": "batch"}}},
            'encoder.block.norm.kind: unknown kind "batch"; kinds: layer, rms',
        ),
    ],
)
def test_a_fault_names_its_path_what_is_wrong_and_what_would_be_right(encoder: object, line: str):
    assert faults(width=8, encoder=encoder) == ["1 fault in recipe toy:", line]


def test_the_kind_of_a_node_without_choice_is_checked_too():
    with pytest.raises(
        RecipeError, match=r'\n  kind: unknown kind "lay"; did you mean layer\? kinds: layer$'
    ):
        check(Layer, {"kind": "lay"}, "recipe toy")


def test_long_values_are_cut():
    assert len(faults(width="x" * 500)[1]) < 100


def test_a_partial_node_changes_the_default_of_its_field():
    model = check(Model, {"width": 8, "encoder": {"block": {"norm": {"kind": "rms"}}}}, "recipe toy")
    assert model.encoder.block == Residual(layer=7, norm=Rms())
    model = check(Model, {"width": 8, "encoder": {"block": {"layer": 1}}}, "recipe toy")
    assert model.encoder.block == Residual(layer=1, norm=Layer(epsilon=1e-3))


def test_another_kind_starts_from_its_own_defaults():
    model = check(Model, {"width": 8, "encoder": {"block": {"kind": "rms"}}}, "recipe toy")
    assert model.encoder.block == Rms()


def test_a_free_mapping_is_not_completed():
    assert check(Model, {"width": 8, "weights": {"b": 2}}, "recipe toy").weights == {"b": 2.0}


def test_completing_twice_changes_nothing():
    root = Node.root(Model)
    once = completed(root, {"width": 8, "encoder": {"norm": {"epsilon": 1}, "extra": [{"kind": "rms"}]}})
    assert completed(root, once) == once


@pytest.mark.parametrize(
    ("base", "change", "result"),
    [
        ({"a": 1, "b": 2}, {"b": 3}, {"a": 1, "b": 3}),
        ({"n": {"x": 1, "y": 2}}, {"n": {"y": 3}}, {"n": {"x": 1, "y": 3}}),
        ({"n": {"kind": "a", "x": 1}}, {"n": {"kind": "a", "y": 2}}, {"n": {"kind": "a", "x": 1, "y": 2}}),
        ({"n": {"kind": "a", "x": 1}}, {"n": {"kind": "b"}}, {"n": {"kind": "b"}}),
        ({"n": {"kind": "a", "x": 1}}, {"n": None}, {"n": None}),
        ({"n": None}, {"n": {"x": 1}}, {"n": {"x": 1}}),
        ({"n": [1, 2]}, {"n": [3]}, {"n": [3]}),
        ({"n": [{"x": 1, "y": 2}, 5]}, {"n": {"0": {"x": 3}}}, {"n": [{"x": 3, "y": 2}, 5]}),
        ({"n": [1]}, {"n": {"1": 2}}, {"n": {"1": 2}}),
        ({"n": [1]}, {"n": {}}, {"n": {}}),
    ],
)
def test_merging(base: dict[str, object], change: dict[str, object], result: dict[str, object]):
    before = repr((base, change))
    assert merged(base, change) == result
    assert repr((base, change)) == before


def test_describe_lists_every_key_with_its_docs():
    rows = {(row.path, row.when): row for row in describe(Model)}
    assert rows["width", ""] == Key("width", "", "int", None, "Components of a token.")
    assert rows["encoder.layers", ""] == Key("encoder.layers", "", "int ≥ 1", "6", "Number of layers.")
    norm = "encoder.norm"
    assert rows[f"{norm}.kind", ""] == Key(
        f"{norm}.kind", "", "layer | rms", "layer", "What keeps activations in range."
    )
    assert rows[f"{norm}.epsilon", f"{norm}=layer"].default == "1e-05"
    assert rows[f"{norm}.gain", f"{norm}=rms"].type == "true or false"
    assert rows["encoder.block.norm.gain", "encoder.block.norm=rms"].default == "true"
    assert str(rows[f"{norm}.epsilon", f"{norm}=layer"]) == (
        f"{norm}.epsilon: float > 0, < 1 = 1e-05   only where {norm}=layer\n    Added to the variance."
    )
    assert rows["encoder.extra", ""].type == "list of {kind: layer | rms}"
    assert rows["encoder.extra.N.gain", "encoder.extra.N=rms"]
    assert rows["encoder.final.kind", ""].type == "layer | rms | null"
    assert rows["named.NAME.gain", "named.NAME=rms"]
    assert rows["either", ""].type == "mapping | text"
    assert rows["either.layers", ""]
    assert rows["encoder.final.kind", ""].default == "null"
    assert rows["weights", ""] == Key("weights", "", "mapping", '{"a": 1.0}', "Anything by name.")


class Both(Spec):
    """A rule made of rules."""

    kind: Literal["both"] = "both"
    rules: "tuple[Rule, ...]" = ()
    """The rules."""


Rule = Annotated[Both | Layer, Field(discriminator="kind")]
Both.model_rebuild()


class Pair(Spec):
    """Rules in one another."""

    kind: Literal["pair"] = "pair"
    first: "Nested"
    """One."""
    second: "Nested"
    """Other."""


class Swap(Spec):
    """The same, the other way round."""

    kind: Literal["swap"] = "swap"
    first: "Nested"
    """One."""
    second: "Nested"
    """Other."""


Nested = Annotated[Pair | Swap | Layer, Field(discriminator="kind")]
Pair.model_rebuild()
Swap.model_rebuild()


class Ruled(Spec):
    """A place for such rules."""

    rule: Nested = Layer()
    """The rule."""
    norm: Norm = Layer()
    """The norm."""


def test_a_choice_that_holds_itself_is_described_once_and_like_keys_share_a_row():
    assert [(key.path, key.when) for key in describe(Ruled)] == [
        ("rule.kind", ""),
        ("rule.first.kind", "rule=pair|swap"),
        ("rule.second.kind", "rule=pair|swap"),
        ("rule.epsilon", "rule=layer"),
        ("norm.kind", ""),
        ("norm.epsilon", "norm=layer"),
        ("norm.gain", "norm=rms"),
    ]
    assert [key.alike for key in describe(Ruled)] == ["", "rule", "rule", "", "", "", ""]
    assert str(describe(Ruled)[1]).endswith("\n    One.\n    Its keys are those of rule.")


def test_specs_that_contain_themselves_are_described_once_and_checked_at_any_depth():
    assert [row.path for row in describe(Both)].count("rules") == 1
    with pytest.raises(RecipeError, match=r"rules\.0\.rules\.1\.x: unknown key"):
        check(
            Both,
            {"rules": [{"kind": "both", "rules": [{"kind": "layer"}, {"kind": "layer", "x": 1}]}]},
            "toy",
        )


class Remote(Spec):
    """A file elsewhere."""

    url: str
    """Its address."""


class Files(Spec):
    """Files in all the ways in which specs name them."""

    one: Path = Path("a")
    """Its text."""
    run: RunPath | None = None
    """A run."""
    many: tuple[Path | Remote, ...] = ()
    """Texts."""
    named: dict[str, Path] = Field(default={})
    """Texts by name."""
    either: Path | Remote = Path("a")
    """A text, here or elsewhere."""


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (
            {"one": {"file": "x.txt"}},
            "one: is {}; should be the path of the file, as in `one: x.txt`. Its text.",
        ),
        ({"one": ["x.txt"]}, "one: is {}; should be the path of the file, as in `one: x.txt`. Its text."),
        ({"one": 3}, "one: is {}; should be the path of the file, as in `one: PATH`. Its text."),
        (
            {"run": {"folder": "runs/x"}},
            "run: is {}; should be the path of the folder of a run, as in `run: runs/x`. A run.",
        ),
        ({"run": {}}, "run: is {}; should be the path of the folder of a run, as in `run: PATH`. A run."),
        (
            {"many": ["a", {"path": "b"}]},
            "many.1: is {}; should be the path of the file, as in `many: b`, or a mapping of url",
        ),
        (
            {"either": {"file": 3}},
            "either: is {}; should be the path of the file, as in `either: PATH`, or a mapping of url. A "
            "text, here or elsewhere.",
        ),
        ({"named": {"x": {"path": "y"}}}, "named.x: is {}; should be the path of the file, as in `x: y`"),
        ({"many": [{"url": 3}]}, "many.0.url: is 3; should be text"),
    ],
)
def test_what_should_be_a_path_is_told_how_to_be_one(given: dict[str, object], line: str):
    with pytest.raises(RecipeError) as caught:
        check(Files, given, "recipe toy")
    head, *told = str(caught.value).split("\n  ")
    assert head == "1 fault in recipe toy:"
    (value,) = given.values()
    while isinstance(value, list) and line.partition(":")[0].endswith(("0", "1")):
        value = value[-1]
    if isinstance(value, dict) and line.startswith("named.x"):
        value = value["x"]
    assert told == [line.replace("{}", json.dumps(value), 1)]


def test_paths_and_files_elsewhere_are_taken():
    given = {"run": "runs/x", "many": ["a", {"url": "b"}], "named": {"c": "d"}, "either": {"url": "e"}}
    assert check(Files, given, "recipe toy").many == (Path("a"), Remote(url="b"))
