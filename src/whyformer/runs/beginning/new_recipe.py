"""A recipe for pairs of one's own: the file examined, the rest decided by its text, each with its reason."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import join, quote
from typing import cast

import yaml

from whyformer.config.recipe_files import Layer, Source
from whyformer.config.validation import check
from whyformer.data.batches.steps import TrainingBatches
from whyformer.data.checks.files import FileReport, Finding, examine
from whyformer.data.checks.forms import table_keys
from whyformer.data.corpora.lines import SentencePair
from whyformer.data.corpora.pairs.copies import split_off
from whyformer.data.corpora.parallel import FilesSpec
from whyformer.errors import DataError
from whyformer.language import translated
from whyformer.runs.defaults import decided, warmup_decision
from whyformer.runs.registry import find_task
from whyformer.tasks.decision import Decision, as_layer, value_of
from whyformer.tasks.recipe import Recipe

_HELD_OUT, _SMALLEST_SHARE = 1000, 0.1
"""Pairs that are enough to choose a model by, and the largest share of the pairs to hold out for that."""

_FEW = 200
"""Pairs below which no model learns more than the pairs themselves."""


@dataclass(frozen=True)
class NewRecipe:
    """A recipe that was written for given files."""

    text: str
    """YAML, each key that was decided below the reason."""
    decisions: tuple[Decision, ...]
    findings: tuple[Finding, ...]
    """Findings that the owner of the files should know."""


def recipe_for(files: Sequence[Path], folder: Path, columns: tuple[int, int] | None = None) -> NewRecipe:
    """A recipe of translation that fits ``files``.

    Args:
        files: one table of pairs, or two texts whose lines are translations of one another.
        folder: the folder in which the recipe will lie, from which it names the files.
        columns: numbers of source and target, from 1, where the table does not tell.

    Raises:
        DataError: a file cannot be read or used, or it is no file of pairs.
    """
    reports = [examine(path) for path in files]
    for report in reports:
        if refused := [finding.text for finding in report.findings if finding.level == "refused"]:
            raise DataError(refused[0])
    train = _table(reports[0], columns) if len(reports) == 1 else _texts(reports)
    pairs = _pairs(train)
    share = _held_out_share(len(pairs))
    train = [_relative(decision, folder) for decision in train]
    held_out = Decision("data.valid", share, _held_out_reason(len(split_off(pairs, share)[1])))
    data = [Decision("data.kind", "files", "", opens=True), *train, held_out]
    recipe, chosen = decided(
        find_task("translation"), Source("the new recipe", [Layer("the new recipe", folder, as_layer(data))])
    )
    decisions = [*data, *chosen, *_warmup(recipe)]
    findings = (*(finding for report in reports for finding in report.findings), *_doubts(files, pairs))
    names = " ".join(quote(path.name) for path in files)
    return NewRecipe(_written(names, decisions), tuple(decisions), tuple(findings))


def _table(report: FileReport, columns: tuple[int, int] | None) -> list[Decision]:
    """Keys of ``data.train`` for one table of pairs."""
    form, path = report.form, report.path
    sides = columns or report.sides
    if report.foreign:
        raise DataError(report.foreign)
    if form.kind == "text":
        raise DataError(
            f"{path}: is text without columns; name a second file with its translations, or give a table; "
            f"a language model is trained on such text: `{language_model_command(path)}`."
        )
    if sides is None:
        raise DataError(
            f"{path}: it cannot be told which of its {len(report.columns)} columns are translations of one "
            "another; say so by --source and --target, as in --source 1 --target 2."
        )
    if outside := [number for number in sides if not 1 <= number <= len(report.columns)]:
        raise DataError(f"{path}: has {len(report.columns)} columns, and no column {outside[0]}.")
    kinds = {"tsv": "columns parted by tabs", "csv": "columns parted by commas or the like", "jsonl": "JSON"}
    return [
        Decision("data.train.kind", form.kind, kinds[form.kind], opens=True),
        Decision("data.train.path", str(path), f"{report.lines:,} lines"),
        *(Decision(f"data.train.{each.key}", each.value, each.reason) for each in table_keys(report, sides)),
    ]


def language_model_command(path: Path) -> str:
    """The command that trains a language model on the text in a file."""
    words = ("train", "gpt-tiny", f"data.train={path}", "data.valid=0.05", "--run", "runs/mine")
    return join(["whyformer", *words])


def _texts(reports: Sequence[FileReport]) -> list[Decision]:
    """Keys of ``data.train`` for two texts side by side."""
    for report in reports:
        if report.form.kind != "text":
            raise DataError(
                f"{report.path}: is a table ({report.form.kind}); two files must be plain text, a sentence a "
                "line, and a table is to be given alone."
            )
    source, target = reports
    if source.lines != target.lines:
        raise DataError(
            f"{source.path} has {source.lines:,} lines but {target.path} has {target.lines:,}; line i of one "
            "must be the translation of line i of the other."
        )
    return [
        Decision(
            "data.train.kind", "text", "line i of one is the translation of line i of the other", opens=True
        ),
        Decision("data.train.source", str(source.path), f"{source.lines:,} lines"),
        Decision("data.train.target", str(target.path), "their translations"),
    ]


def _relative(decision: Decision, folder: Path) -> Decision:
    """The same with its path, if it names one, as it is found from ``folder``."""
    if decision.key not in ("data.train.path", "data.train.source", "data.train.target"):
        return decision
    path = Path(str(decision.value)).expanduser().resolve()
    try:
        found = os.path.relpath(path, folder.resolve())
    except ValueError:  # on another drive of Windows
        found = str(path)
    return Decision(decision.key, Path(found).as_posix(), decision.reason)


def _held_out_share(pairs: int) -> float:
    """Share of the pairs to choose the model by: a tenth, or as much as gives a thousand pairs."""
    return min(_SMALLEST_SHARE, float(f"{_HELD_OUT / max(1, pairs):.1g}"))


def _held_out_reason(pairs: int) -> str:
    return f"some {pairs:,} pairs held out, by which the best weights are chosen"


def _pairs(train: Sequence[Decision]) -> list[SentencePair]:
    """The pairs that the keys of ``data.train`` give.

    Raises:
        DataError: none is fit to train on.
    """
    layer = cast(Mapping[str, object], value_of(as_layer(train), "data"))
    data = check(FilesSpec, {"kind": "files", **layer}, "the new recipe")
    return data.train.training(data.cleaning)[0]


def _doubts(files: Sequence[Path], pairs: Sequence[SentencePair]) -> Iterable[Finding]:
    """Findings on pairs that are few, or that come again and again."""
    names, different = " and ".join(map(str, files)), len(set(pairs))
    if different < _FEW:
        yield Finding(
            "warning",
            f"{names}: {different:,} different pairs are too few to learn a language from; a model of them "
            "repeats what it has seen, and some thousands are the least that is worth a training.",
        )
    if different < len(pairs):
        yield Finding(
            "note",
            f"{names}: {len(pairs) - different:,} of {len(pairs):,} pairs are copies; all sizes are decided "
            f"by the {different:,} different ones, and `sort -u` would leave these alone.",
        )


def _warmup(recipe: Recipe) -> Iterable[Decision]:
    """The steps of warm-up, counted as ``whyformer train`` counts them: by the tokens of the pairs."""
    training = recipe.training
    prepared = find_task(recipe.task).prepare(recipe, None)
    batches = TrainingBatches(prepared.task.lengths, training.batching, seed=training.seed)
    steps = None if training.epochs is None else training.epochs * batches.steps_per_epoch
    decision = warmup_decision(training, steps)
    return [] if decision is None else [decision]


def _written(names: str, decisions: Sequence[Decision]) -> str:
    """The recipe as YAML: keys under their nodes, each below its reason."""
    lines = [
        "# "
        + translated(f"Written by `whyformer init {names}`; every value may be changed. What is left out"),
        "# "
        + translated(
            "`whyformer train` decides in the same way; `whyformer recipes --keys` says what else there is."
        ),
    ]
    lines += _node(list(decisions), 0)
    return "\n".join(lines) + "\n"


def _node(decisions: Sequence[Decision], depth: int) -> list[str]:
    lines: list[str] = []
    indent = "  " * depth
    steps = dict.fromkeys(decision.key.split(".")[depth] for decision in decisions)
    for step in steps:
        inner = [decision for decision in decisions if decision.key.split(".")[depth] == step]
        (leaf, *others) = inner
        if others or leaf.key.count(".") > depth:
            lines += [f"{indent}{step}:", *_node(inner, depth + 1)]
        else:
            lines += [f"{indent}# {translated(leaf.reason)}"] if leaf.reason else []
            lines.append(f"{indent}{step}: {_scalar(leaf)}")
    return lines


def _scalar(decision: Decision) -> str:
    """The value as YAML; texts that are YAML already, such as lists, stay as they are."""
    value = decision.value
    if isinstance(value, str) and not (value.startswith("[") and decision.key.endswith("positions")):
        return yaml.safe_dump(value, allow_unicode=True, width=1000, default_style=None).partition("\n")[0]
    return str(value).lower() if isinstance(value, bool) else str(value)
