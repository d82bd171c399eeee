"""How many translations of a run change with the batch they are in.

    python benchmarks/batch_invariance.py runs/demo [--sentences 1000] [--on test]

Every sentence is translated in batches of 1, 7 and 64, greedily and by a beam of 5, in fp32. A translation
that changes is shown with both scores: a difference within 1e-4 is a tie that rounding decides.
"""

import argparse
import sys
from pathlib import Path

import torch
from report import machine, publish

from whyformer.data.corpora.parallel import load_held_out
from whyformer.decoding.beam import BeamSpec
from whyformer.decoding.greedy import GreedySpec
from whyformer.decoding.search import SearchSpec
from whyformer.runs.execution import Execution
from whyformer.runs.load import load_as, read_recipe
from whyformer.tasks.translation.translator import Translator

BATCHES = (1, 7, 64)
SEARCHES: dict[str, SearchSpec] = {"greedy": GreedySpec(), "beam 5": BeamSpec(size=5)}


def main() -> None:
    """Read the arguments, translate, count."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", nargs="?", default="runs/demo", type=Path)
    parser.add_argument("--sentences", type=int, default=1000)
    parser.add_argument("--on", help="name of a test set; the first of the recipe if left out")
    arguments = parser.parse_args()
    if not arguments.run.exists():
        sys.exit(f"{arguments.run} is not there; train it first (`make demo`)")
    tests = load_held_out(read_recipe(arguments.run).data, [arguments.on] if arguments.on else [])
    name, pairs = next(iter(tests.items()))
    sources = [pair.source for pair in pairs][: arguments.sentences]
    translator = load_as(Translator, arguments.run, Execution("cpu"))
    about = machine(torch.get_num_threads())
    about["work"] = f"{arguments.run}, {name}: {len(sources)} sentences, batches {BATCHES}"
    counts = {kind: changes(translator, sources, settings) for kind, settings in SEARCHES.items()}
    rows = [
        {"search": kind, "translations that change": f"{count} of {len(sources)}"}
        for kind, count in counts.items()
    ]
    publish("batch-invariance", about, rows, counts)


def changes(translator: Translator, sources: list[str], settings: SearchSpec) -> int:
    """Count the sentences whose best translation is not the same in all batches, and show them."""
    runs = [[found[0] for found in translator.translate(sources, settings, batch=batch)] for batch in BATCHES]
    changed = 0
    for source, *candidates in zip(sources, *runs, strict=True):
        if len({candidate.text for candidate in candidates}) > 1:
            changed += 1
            print(f"  {source}")
            for batch, candidate in zip(BATCHES, candidates, strict=True):
                print(f"    batch {batch:2}  {candidate.score:.6f}  {candidate.text}")
    return changed


if __name__ == "__main__":
    main()
