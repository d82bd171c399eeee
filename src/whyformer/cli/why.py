"""``whyformer why``: a question about the Transformer, answered by an experiment."""

import json
from pathlib import Path
from typing import Annotated

import typer

from whyformer.cli.console import tell
from whyformer.language import current_language
from whyformer.progress import counted


def why(
    number: Annotated[int | None, typer.Argument(help="The question; all are listed if left out.")] = None,
    output: Annotated[
        Path, typer.Option("--out", "--output", "-o", help="Folder of the record, page and picture.")
    ] = Path("runs/why"),
    as_json: Annotated[bool, typer.Option("--json", help="Print the record as JSON.")] = False,
    seeds: Annotated[int, typer.Option(min=3, help="How often the experiment runs, seeds 1, 2, 3 …")] = 3,
    again: Annotated[bool, typer.Option("--again", help="Measure anew what was measured before.")] = False,
) -> None:
    """Answer a question by an experiment; list the questions.

    It prints the answer, the numbers and a verdict (supported, refuted or undecided), which is computed from
    thresholds that stand in the source. The numbers of each seed are kept in the folder, and measured anew
    only if the experiment's code or settings, Whyformer, torch or the number of threads have changed.
    """
    from whyformer.why.catalogue import QUESTIONS, find

    lang = current_language()
    if number is None:
        for question in QUESTIONS.values():
            typer.echo(f"{question.number:>3}  {question.title.say(lang)}")
        return
    question = find(number)
    from rich.console import Console

    from whyformer.why.book.terminal import render, save_findings
    from whyformer.why.results import SeedResults, name_seeds, result_record

    results = SeedResults(question, output)
    known = {} if again else results.read(range(1, seeds + 1))
    if known:
        told = f"{name_seeds(known)}: read from {results.folder}; --again measures anew."
        tell(told)
    runs = counted(range(1, seeds + 1), question.stem, seeds, "seeds")
    findings = results.findings(runs, known)
    files, note = save_findings(findings, output, lang)
    if note is not None:
        typer.echo(note, err=True)
    if as_json:
        typer.echo(json.dumps(result_record(findings), ensure_ascii=False, indent=2))
        return
    console = Console(highlight=False, soft_wrap=False)
    for part in render(findings, lang):
        console.print(part, markup=False)
        console.print()
    for file in files:
        typer.echo(str(file))
