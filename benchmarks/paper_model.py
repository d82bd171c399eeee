"""The paper model beside what was measured: memory of real training here, and torchtitan's public table.

    python benchmarks/paper_model.py                    # both
    python benchmarks/paper_model.py --memory demo      # of these recipes
    python benchmarks/paper_model.py --speed

Memory is that of the largest batch of the recipe's plan, two steps, by torch's own allocator (its profiler's
events), which knows nothing of the ledger of the paper model.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile

from whyformer.analysis.scaling.devices import find_device
from whyformer.analysis.scaling.paper import step_memory, weight_shapes
from whyformer.analysis.scaling.splits import rank_pace
from whyformer.analysis.scaling.workload import PlannedRecipe, read_workload
from whyformer.machine import Precision
from whyformer.training.step import TrainingStep

LLAMA = Path(__file__).with_name("llama-3.1-8b.yaml")
# pytorch/torchtitan, docs/performance.md: tokens/s of each GPU (H100, FSDP2, two rows of 8,192 tokens each),
# on 8 and on 128.
TORCHTITAN = {"FSDP": (5762, 5605), "compile": (6667, 6514), "compile, float8": (8532, 8380)}
RECIPES: dict[str, tuple[str, ...]] = {
    "demo": ("training.batching.tokens=1024",),
    "cldr-en-de": ("model={preset: base}", "training.batching.tokens=1024"),
    "gpt-tiny": (),
    "bert-tiny": (),
    "lstm-multi30k": (),
    "tones": (),
}
"""Recipes, and what is changed: an encoder-decoder small and base, GPT, BERT, LSTM, speech."""


def allocated(planned: PlannedRecipe, precision: Precision) -> int:
    """Maximum of bytes that torch has allocated in two steps of real training with the largest batch."""
    task, training = planned.task, planned.recipe.training
    assert task is not None, "a recipe with data"
    indices = largest(planned)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as watched:
        torch.manual_seed(training.seed)
        step = TrainingStep(planned.work.build(), task, training, torch.device("cpu"))
        step.precision = precision
        for number in (1, 2):
            step.gradient([indices], number, 0)
            step.update(number, 1000)
    events = [each for each in watched.profiler.kineto_results.events() if each.name() == "[memory]"]
    events.sort(key=lambda each: each.start_ns())
    return int(np.cumsum([each.nbytes() for each in events]).max())


def largest(planned: PlannedRecipe) -> np.ndarray:
    """Indices of the batch that the paper model takes for the largest."""
    assert planned.task is not None
    return planned.indices(planned.recipe.training.batching.tokens)[-1]


def memory(names: list[str]) -> Iterator[str]:
    """A line for each recipe and precision."""
    for name in names:
        planned = read_workload(name, RECIPES.get(name, ()))
        batch = planned.sample(planned.recipe.training.batching.tokens).largest
        for precision in ("fp32", "bf16"):
            told = step_memory(planned.work, [batch], precision, accelerator=False).total
            seen = allocated(planned, precision)
            sizes = f"{told / 2**20:,.1f} | {seen / 2**20:,.1f}"
            yield f"| {name} | {precision} | {sizes} | {told / seen - 1:+.1%} |"


def speed() -> Iterator[str]:
    """A line for each of torchtitan's columns."""
    shapes, tokens = weight_shapes(read_workload(str(LLAMA), ()).work), 2 * 8192
    for name, (eight, many) in TORCHTITAN.items():
        # What it takes of each GPU's time on 8 is not known; it is taken for nothing.
        sent = rank_pace(find_device("h100"), 128, "full", shapes, batches=1, seconds=tokens / eight)
        told = tokens / (sent.computing + sent.exposed)
        yield f"| {name} | {eight:,} | {told:,.0f} | {many:,} | {told / many - 1:+.1%} |"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--memory", nargs="*", help="recipes whose memory is compared; all if none is named")
    parser.add_argument("--speed", action="store_true", help="compare with torchtitan's table")
    asked = parser.parse_args()
    if asked.memory is not None or not asked.speed:
        print("| recipe | precision | on paper, MiB | allocated, MiB | difference |\n|---|---|---|---|---|")
        for line in memory(asked.memory or [*RECIPES]):
            print(line, flush=True)
    if asked.speed or asked.memory is None:
        print("| torchtitan | on 8 | on 128, told | on 128, measured | difference |\n|---|---|---|---|---|")
        for line in speed():
            print(line, flush=True)


if __name__ == "__main__":
    main()
