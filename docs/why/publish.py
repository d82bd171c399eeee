"""Puts results of ``whyformer why --all`` here, to be committed and shipped: ``make book`` runs this.

With them come small pictures of the decisive figures, and a summary, which ``--summary`` writes alone. A
result is kept short: numbers to seven digits, long learning curves thinned; but only as far as every claim
still has the value and the outcome that it had. Questions whose seeds are not all there, or were not measured
by the present code, are named and stay as they were published.
"""

import argparse
import math
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from whyformer.files import write_text
from whyformer.plots.chart import Language
from whyformer.why.book.picture import decisive_svg
from whyformer.why.catalogue import QUESTIONS
from whyformer.why.published import published
from whyformer.why.question import Findings, Question, Text
from whyformer.why.quiz.cards import SUMMARY, summary_text
from whyformer.why.results import SeedResult, SeedResults, concluded

LONGEST = 60
"""Numbers of an arm in a figure from which on they are thinned."""
DIGITS = 7
LANGUAGES: tuple[Language, ...] = ("en", "zh")
Numbered = tuple[int | float | Text, int | float]


def shortened(result: SeedResult, *, thin: bool) -> SeedResult:
    """``result`` with numbers of ``DIGITS`` digits, and of long series only a part."""
    series = tuple(
        (index, arm, tuple((place, _rounded(value)) for place, value in _part(numbers, thin=thin)))
        for index, arm, numbers in result.series
    )
    return result.model_copy(update={"series": series})


def _part(numbers: tuple[Numbered, ...], *, thin: bool) -> tuple[Numbered, ...]:
    """Each n-th of ``numbers``, and the last."""
    every = math.ceil(len(numbers) / LONGEST) if thin else 1
    return tuple(each for at, each in enumerate(numbers) if at % every == 0 or at == len(numbers) - 1)


def _rounded(value: float) -> float:
    return value if isinstance(value, int) or not math.isfinite(value) else float(f"{value:.{DIGITS}g}")


def publishable(question: Question, results: Mapping[int, SeedResult]) -> Mapping[int, SeedResult]:
    """``results`` as short as they say the same."""
    before = concluded(question, results)
    for thin in (True, False):
        after = {seed: shortened(result, thin=thin) for seed, result in results.items()}
        try:
            if _agree(before, concluded(question, after)):
                return after
        except LookupError:
            pass  # a claim reads a number that is gone
    return results


def _agree(before: Findings, after: Findings) -> bool:
    if [each.outcome for each in before.judgements] != [each.outcome for each in after.judgements]:
        return False
    pairs = zip(before.values().values(), after.values().values(), strict=True)
    return all(math.isclose(old, new, rel_tol=1e-4, abs_tol=1e-9) or old != old for old, new in pairs)


def publish(runs: Path, target: Path) -> list[str]:
    """Write what is in ``runs`` to ``target``; a sentence for each question that is not published."""
    left: list[str] = []
    for question in QUESTIONS.values():
        wanted = question.wanted()
        found = SeedResults(question, runs).current()
        if missing := [str(seed) for seed in wanted if seed not in found]:
            left.append(f"{question.stem}: not published, seeds {', '.join(missing)} are missing")
            continue
        folder = target / question.stem
        shutil.rmtree(folder, ignore_errors=True)
        for seed, result in publishable(question, {seed: found[seed] for seed in wanted}).items():
            write_text(folder / f"seed-{seed}.json", result.model_dump_json() + "\n")
        findings = concluded(question, {seed: found[seed] for seed in wanted})
        for lang in LANGUAGES:
            write_text(target / "pictures" / f"{question.stem}.{lang}.svg", decisive_svg(findings, lang))
    summarise(target)
    return left


def summarise(target: Path) -> None:
    """Write the summary of all that is published in ``target``."""
    found = (published(question, target) for question in QUESTIONS.values())
    write_text(target / SUMMARY, summary_text(each for each in found if each is not None))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path, nargs="?", default=Path("runs/why"), help="folder of the results")
    parser.add_argument("--summary", action="store_true", help="only write the summary anew")
    arguments, here = parser.parse_args(), Path(__file__).parent
    if arguments.summary:
        summarise(here)
        sys.exit()
    left_out = publish(arguments.runs, here)
    print("\n".join(left_out) or "all questions are published")
    sys.exit(bool(left_out))
