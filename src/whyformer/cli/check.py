"""``whyformer check``: what a file or a recipe's data are, and what would go wrong with them."""

import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Never

import typer

from whyformer.cli.console import say, say_labelled, tell

if TYPE_CHECKING:
    from whyformer.data.checks.corpora import DataReport
    from whyformer.data.checks.files import FileReport


def check(
    target: Annotated[
        str, typer.Argument(help="A recipe's name or file, the folder of a run, or a file of text.")
    ],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Changes to the recipe, such as data.valid=0.1.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Check the data of TARGET before any training.

    Of a file: encoding, columns, header, quotes, which columns are source and target. Of a recipe: its sets,
    their lengths, what would be dropped and why, what sets have in common. Ends with exit code 2 where
    training would be refused.
    """
    from whyformer.config.recipe_files import shipped
    from whyformer.data.checks.files import examine
    from whyformer.errors import CheckpointError
    from whyformer.runs.inputs import run_fault

    path = Path(target)
    named = target.endswith((".yaml", ".yml")) or target in shipped() or path.is_dir()
    if not named and (path.exists() or "/" in target or path.suffix):
        if overrides:
            raise typer.BadParameter(f"{target} is a file of text; changes belong to a recipe.")
        report = examine(path)
        lines, following = _file_lines(report), _next_lines(report)
    else:
        is_run = path.is_dir() and target not in shipped()
        if is_run and (fault := run_fault(path)):
            raise CheckpointError(fault)
        recipe = path / "recipe.yaml" if is_run else target
        report = _recipe_report(str(recipe), overrides or [])
        lines, following = _data_lines(report), ()
    if as_json:
        record = {**asdict(report), "refused": report.is_refused}
        typer.echo(json.dumps(record, ensure_ascii=False, default=str))
    else:
        for line in lines:
            say(line)
        for finding in report.findings:
            say_labelled(finding.level, finding.text)
        for line in following:
            say(line)
    if report.is_refused:
        raise typer.Exit(2)


def _recipe_report(recipe: str, overrides: list[str]) -> "DataReport":
    from whyformer.data.checks.corpora import DataReport, examine_data, told
    from whyformer.data.checks.files import Finding
    from whyformer.errors import TokenizerError
    from whyformer.runs.beginning.start import prepare_anew
    from whyformer.runs.registry import load_any, load_undecided, task_of
    from whyformer.tasks.recipe import require_data

    spec, is_a_runs = load_undecided(recipe, overrides, tell)
    # Sounds and videos have no lines to look at: what training reads of them is all there is.
    is_stream = task_of(spec).recognises_streams
    report = DataReport("", (), ()) if is_stream else examine_data(require_data(spec.data))
    if report.is_refused:
        return report
    # Tokenizers, and texts that are longer than the model reads: what training finds before its first step.
    findings = list[Finding]()
    summary = [report.summary]

    def prepare() -> Iterator[Never]:
        try:
            decided = load_any(recipe, overrides, to_train=not is_a_runs)
            if decided.start is None or is_a_runs:
                prepared = task_of(decided).prepare(decided, None)
            else:
                # The weights that it starts from may not fit, which building tells.
                prepared = prepare_anew(decided, Path("runs") / Path(recipe).stem, lambda _line: None)
                prepared.build()
            summary[:] = [prepared.summary]
        except TokenizerError as error:
            findings.append(Finding("refused", str(error)))
        yield from ()

    told(findings, prepare)
    findings = list(dict.fromkeys([*report.findings, *findings]))
    return replace(report, summary=summary[0], findings=tuple(findings))


def _file_lines(report: "FileReport") -> Iterator[str]:
    form = report.form
    kind = {"tsv": "columns parted by tabs", "csv": f"columns parted by {form.delimiter!r}"}.get(form.kind)
    kind = kind or {"jsonl": "JSON lines"}.get(form.kind, "text without columns")
    details = [report.encoding or "an encoding unknown here", f"{report.lines:,} lines"]
    details += [kind] if report.columns else []
    if form.delimiter:
        details += ["with a header" if form.header else "without a header"]
        details += ["in quotes" if form.quotes else "without quotes"]
    yield f"{report.path}: {', '.join(details)}"
    for column in report.columns:
        yield (
            f"  column {column.number}{f' {column.name}' if column.name else ''}: {column.kind}"
            f"{f' in {column.script} letters' if column.script else ''}, {column.characters:g} characters on "
            f"average, {column.longest:,} at most, {column.different:,} different, {column.empty:,} empty"
        )
    if report.sides is not None:
        yield f"  source and target are likely columns {report.sides[0]} and {report.sides[1]}"
    elif report.label is not None:
        yield f"  the label is likely column {report.label}"


def _next_lines(report: "FileReport") -> Iterator[str]:
    """The command that may come next, for a file that can be used."""
    from whyformer.runs.beginning.new_recipe import language_model_command

    if report.is_refused or report.foreign or not report.columns:
        return
    if report.sides is not None:
        yield f"next: `whyformer init {quote(str(report.path))} --to mine.yaml`"
    elif report.label is not None:
        yield "next: a recipe of task classification; `whyformer recipes --keys` lists what it may say"
    elif report.form.kind == "text":
        yield f"next: `whyformer init {quote(str(report.path))} TRANSLATIONS --to mine.yaml` for a translator"
        yield f"      `{language_model_command(report.path)}` for a language model"
    else:
        yield f"next: `whyformer init {quote(str(report.path))} --source 1 --target 2 --to mine.yaml`"


def _data_lines(report: "DataReport") -> Iterator[str]:
    if report.summary:
        yield report.summary
    for each in report.sets:
        lengths = (
            f"{side} {mean:g} characters on average, {most:,} at most"
            for side, (mean, most) in each.characters.items()
        )
        yield f"  {each.name}: {each.examples:,} examples; {'; '.join(lengths)}"
        if each.labels:
            yield f"    labels: {', '.join(f'{label} {count:,}' for label, count in each.labels.items())}"
