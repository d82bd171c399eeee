"""``whyformer why``: a question about the Transformer, answered by an experiment."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from whyformer.cli.console import say, tell, tell_labelled
from whyformer.errors import WhyformerError
from whyformer.language import current_language

if TYPE_CHECKING:
    from rich.console import Console

    from whyformer.why.measuring import Done
    from whyformer.why.question import Findings, Question


def why(
    number: Annotated[int | None, typer.Argument(help="The question; all are listed if left out.")] = None,
    search: Annotated[
        str | None, typer.Option(help="List only questions with these words, of any language.")
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Measure all questions, one after another.")] = False,
    site: Annotated[
        Path | None,
        typer.Option(
            help="Write the book of all answers into this folder: your own results, else published ones."
        ),
    ] = None,
    live: Annotated[
        Path | None,
        typer.Option(
            help="With --site: a run whose model is alive in the book; runs/demo, where there is one."
        ),
    ] = None,
    output: Annotated[
        Path, typer.Option("--out", "--output", "-o", help="Folder of results, records, pages and pictures.")
    ] = Path("runs/why"),
    as_json: Annotated[bool, typer.Option("--json", help="Print the record as JSON.")] = False,
    seeds: Annotated[
        int | None,
        typer.Option(min=3, max=30, help="How often an experiment runs; as published if left out."),
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Seeds at a time; as many as there are cores if left out.")
    ] = None,
    budget: Annotated[
        float,
        typer.Option(
            min=0.01, max=100.0, help="How much work an experiment may take, 1 being the published."
        ),
    ] = 1.0,
    again: Annotated[bool, typer.Option("--again", help="Measure anew what was measured before.")] = False,
) -> None:
    """Answer a question by an experiment; list the questions.

    It prints the answer, the claims with the thresholds that were set beforehand, the numbers and a verdict
    (supported, refuted or undecided), which is computed from them. The numbers of each seed are kept in the
    folder; a run that was stopped goes on after the last finished seed. They are measured anew only if the
    experiment's code or settings, Whyformer or torch have changed, so that another language needs no second
    run. The list shows your own results, else those that were published with this version.
    """
    if number is not None and (all_ or search is not None or site is not None):
        raise typer.BadParameter("--all, --search and --site are about all questions; leave the number out.")
    if search is not None and (all_ or site is not None):
        raise typer.BadParameter("--search only lists; leave --all and --site out.")
    if live is not None and site is None:
        raise typer.BadParameter("--live is about the book; add --site.")
    folder = output if budget == 1.0 else output / f"budget-{budget:g}"
    plan = _Plan(folder, seeds, jobs, budget, again=again)
    if number is not None:
        _answer(plan, number, as_json=as_json)
        return
    # Before hours of measuring: whether there is a model to show.
    model = None if site is None else _live_page(live)
    failed = plan.measure_everything(as_json=as_json) if all_ else 0
    if site is not None:
        _write_site(plan, site, model)
    elif not all_:
        _list(plan, search, as_json=as_json)
    if failed:
        raise typer.Exit(1)


class _Plan:
    """Request to all questions alike: where, how often, how many at a time, and how much work."""

    def __init__(
        self, folder: Path, seeds: int | None, jobs: int | None, budget: float, *, again: bool
    ) -> None:
        from whyformer.machine import usable_cores
        from whyformer.why.catalogue import QUESTIONS

        self.folder = folder
        self.is_whole = budget == 1.0
        self._seeds, self._again = seeds, again
        self._jobs = jobs or usable_cores()
        self.questions = {number: question.with_budget(budget) for number, question in QUESTIONS.items()}

    def measure(self, questions: Sequence["Question"], done: "Done") -> Mapping[int, "Findings | str"]:
        """Findings by number, or why there are none; ``done`` is told of each when it is there."""
        from whyformer.why.measuring import measure_all

        return measure_all(questions, self.folder, self._seeds, jobs=self._jobs, again=self._again, done=done)

    def measure_everything(self, *, as_json: bool) -> int:
        """Measure all questions and write the files of each as soon as it is done; how many failed."""
        faults: dict[int, str] = {}

        def done(question: "Question", outcome: "Findings | str", measured: int) -> None:
            _tell_done(question, outcome, measured)
            try:
                if isinstance(outcome, str):
                    raise WhyformerError(outcome)
                _save(outcome, self.folder)
            except WhyformerError as error:
                # The others go on.
                faults[question.number] = str(error)

        outcomes = self.measure([*self.questions.values()], done)
        if as_json:
            from whyformer.why.results import result_record

            found = (outcome for outcome in outcomes.values() if not isinstance(outcome, str))
            _print_json([result_record(findings) for findings in found])
        else:
            _list(self, None, as_json=False)
        for number, fault in faults.items():
            tell_labelled("error", f"Q{number:02}: {fault}")
        return len(faults)


def _tell_done(question: "Question", outcome: "Findings | str", measured: int) -> None:
    """Say in a line what became of a question."""
    from whyformer.why.book.labels import VERDICTS

    if isinstance(outcome, str):
        tell(f"{question.stem}: failed: {outcome}")
        return
    verdict, count = VERDICTS[outcome.verdict].say(current_language()), len(outcome.measured)
    seconds = outcome.seconds / count
    if measured:
        told = f"{verdict}, {measured} of {count} seeds measured, {seconds:.1f} s a seed"
        tell(f"{question.stem}: {told}")
    else:
        tell(f"{question.stem}: {verdict}, all {count} seeds read back; --again measures anew")


def _answer(plan: _Plan, number: int, *, as_json: bool) -> None:
    from whyformer.why.catalogue import find
    from whyformer.why.results import result_record
    from whyformer.why.terminal.answer import render

    find(number)
    outcome = plan.measure([plan.questions[number]], _tell_done)[number]
    if isinstance(outcome, str):
        raise WhyformerError(f"Q{number:02}: {outcome}")
    files = _save(outcome, plan.folder)
    if as_json:
        _print_json(result_record(outcome))
        return
    console = _console()
    for part in render(outcome, current_language()):
        console.print(part)
    for file in files:
        typer.echo(str(file))


def _save(findings: "Findings", folder: Path) -> list[Path]:
    from whyformer.why.terminal.answer import save_findings

    files, note = save_findings(findings, folder, current_language())
    if note is not None:
        typer.echo(note, err=True)
    return files


def _list(plan: _Plan, query: str | None, *, as_json: bool) -> None:
    from whyformer.why.published import answers
    from whyformer.why.terminal.listing import listing_lines, listing_record
    from whyformer.why.terminal.search import nearest, search_questions

    asked = [*plan.questions.values()]
    if query is not None:
        asked = search_questions(asked, query)
        if not asked and not as_json:
            near = nearest(plan.questions.values(), query)
            say(f"No question has all of these words: {query}.")
            if near:
                say(f"Perhaps: {', '.join(near)}")
            return
    known = answers(asked, plan.folder, with_published=plan.is_whole)
    lang = current_language()
    if as_json:
        _print_json(listing_record(asked, known, lang))
        return
    console = _console()
    for line in listing_lines(asked, known, lang, console.width):
        console.print(line)
    tell("✓ supported, ✗ refuted, ? undecided, · not measured; `whyformer why 3` answers question 3")


def _write_site(plan: _Plan, site: Path, live: Mapping[str, str] | None) -> None:
    from whyformer.why.published import answers

    known = answers(plan.questions.values(), plan.folder, with_published=plan.is_whole)
    if not known:
        raise WhyformerError(
            f"{plan.folder}: there are no results, and none came with this version; measure some first, as "
            "by `whyformer why --all`."
        )
    from whyformer.why.book.site import write_site

    write_site({number: answer.findings for number, answer in known.items()}, site, live)
    missing = len(plan.questions) - len(known)
    if missing:
        tell(f"{missing} of {len(plan.questions)} questions have no results and are not in the book")
    typer.echo(str(site / "index.html"))


def _live_page(run: Path | None) -> Mapping[str, str] | None:
    """The page of ``run``; of the demo, where none is named; if that cannot be, say so."""
    from whyformer.browser.page import run_page

    if run is not None:
        return run_page(run)
    demo = Path("runs/demo")
    if not demo.is_dir():
        tell("no model is alive in this book; --live RUN puts one in, such as that of `make demo`")
        return None
    try:
        return run_page(demo)
    except WhyformerError as error:
        tell(f"no model is alive in this book: {error}")
        return None


def _console() -> "Console":
    from rich.console import Console

    return Console(highlight=False, markup=False, emoji=False)


def _print_json(record: object) -> None:
    typer.echo(json.dumps(record, ensure_ascii=False, indent=2))
