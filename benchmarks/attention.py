"""Time and memory of one attention, forward and backward, as sentences grow long.

    python benchmarks/attention.py [--lengths 512 2048 8192] [--masks causal chunk] [--dtypes bf16]

One sentence, 8 heads of 64. Our `attend` is given the rule and makes of it what it needs, in the time that
counts; scaled_dot_product_attention gets the same mask as a matrix, made beforehand but counted as memory.
Both once more with dropout on the weights. Every case has a process of its own, and they take turns. Memory
is what the peak (VmHWM) adds to inputs and libraries. Slopes are fitted through the longer half of the
lengths on double logarithmic scales: 1 = grows with the length, 2 = with its square. What wants more
memory than there is fails and is left out.
"""

import argparse
import math
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable
from itertools import product
from typing import Any, NamedTuple

import torch
from arms import Run, Start, alternate, forget_peak, memory, started
from report import Spread, machine, publish
from torch import Tensor
from torch.nn import functional as F

from whyformer.attention.mask import Causal, Chunk, Everything, Mask, MaskRule, Window
from whyformer.attention.multihead import Taps, attend
from whyformer.attention.score import Dot
from whyformer.dropout import Dropout
from whyformer.position.layout import Layout

HEADS, DIM = 8, 64
DROPPED = 0.1
WARM = 256
"""Length from which long sentences have kernels of their own."""
REAL = 0.75
"""Share of a padded sentence that is real."""
RULES: dict[str, MaskRule] = {
    "everything": Everything(),
    "causal": Causal(),
    "padding": Everything(),
    "window": Window(left=128, right=128),
    "chunk": Chunk(size=64, left_chunks=4),
}
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
Inputs = tuple[Tensor, Tensor, Tensor]


class Case(NamedTuple):
    """What is measured."""

    arm: str
    """ours, sdpa or sdpa is_causal."""
    mask: str
    dtype: str
    length: int
    dropout: bool


class Cost(NamedTuple):
    """What it takes."""

    seconds: float
    megabytes: float


def axis_of(case: Case, length: int) -> Layout:
    """Where the tokens stand, and which are real."""
    position = torch.arange(length)[None]
    return Layout(position, position < REAL * length if case.mask == "padding" else None)


def ours(case: Case, length: int) -> Callable[[Inputs], Tensor]:
    """Our attention; the mask is made anew each time, as for every batch."""
    score, taps = Dot(DIM**-0.5), Taps()
    dropout = Dropout(DROPPED if case.dropout else 0.0).train()

    def run(inputs: Inputs) -> Tensor:
        query, key, value = inputs
        layout = axis_of(case, length)
        mask = Mask(RULES[case.mask], layout, layout)
        context, _ = attend(
            score.prepare(query),
            key,
            value,
            score=score,
            bias=None,
            mask=mask,
            dropout=dropout,
            need_weights=False,
            taps=taps,
        )
        return context

    return run


def sdpa(case: Case, length: int) -> Callable[[Inputs], Tensor]:
    """Their fused attention: a matrix to add for a mask, or its own word for the causal one."""
    layout, fast = axis_of(case, length), case.arm == "sdpa is_causal"
    penalty = None if fast else Mask(RULES[case.mask], layout, layout).penalty(DTYPES[case.dtype])

    def run(inputs: Inputs) -> Tensor:
        query, key, value = inputs
        return F.scaled_dot_product_attention(
            query, key, value, attn_mask=penalty, dropout_p=DROPPED if case.dropout else 0.0, is_causal=fast
        )

    return run


def measured(case: Case, threads: int) -> Run:
    """A case in its process."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (int(memory("VmSize") * 2**20 + 0.8 * free),) * 2)
    make = ours if case.arm == "ours" else sdpa

    def inputs(length: int) -> Inputs:
        shape = (1, HEADS, length, DIM)
        query, key, value = (
            torch.randn(shape, dtype=DTYPES[case.dtype], requires_grad=True) for _ in range(3)
        )
        return query, key, value

    # What libraries set up on first use is not what grows.
    make(case, WARM)(inputs(WARM)).sum().backward()
    tensors = inputs(case.length)
    gradient = torch.randn_like(tensors[0])
    before = memory("VmRSS")
    run = make(case, case.length)
    forget_peak()  # a ready matrix stays and counts, but not what it took to make it

    def cost(_: None) -> Cost:
        for tensor in tensors:
            tensor.grad = None
        began = time.perf_counter()
        run(tensors).backward(gradient)
        return Cost(time.perf_counter() - began, memory("VmHWM") - before)

    return cost


def main() -> None:
    """Read the arguments, measure, tell."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lengths", type=int, nargs="+", default=[512, 1024, 2048, 4096, 8192, 16384])
    parser.add_argument("--masks", nargs="+", choices=RULES, default=list(RULES))
    parser.add_argument("--dtypes", nargs="+", choices=DTYPES, default=list(DTYPES))
    parser.add_argument("--rounds", type=int, default=5, help="fewer where a round takes long")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seconds", type=float, help="begin no case later")
    asked = parser.parse_args()
    until = None if asked.seconds is None else time.perf_counter() + asked.seconds
    about = machine(asked.threads)
    found: dict[Case, list[Cost]] = {}
    try:
        for mask, dtype, length in product(asked.masks, asked.dtypes, asked.lengths):
            if until is not None and time.perf_counter() > until:
                about["cut short"] = f"time was up before {mask}, {dtype}, {length} tokens"
                break
            cases = [
                Case(arm, mask, dtype, length, dropout)
                for dropout in (False, True)
                for arm in ("ours", "sdpa", *(("sdpa is_causal",) if mask == "causal" else ()))
            ]
            found |= by_turns(cases, asked.rounds, asked.threads)
            print(".", end="", file=sys.stderr, flush=True)
            tell(found, asked.lengths, about)
    finally:
        print(file=sys.stderr)
        # A run that is stopped by Ctrl-C tells what it has.
        if found:
            tell(found, asked.lengths, about, done=True)


def by_turns(cases: list[Case], rounds: int, threads: int) -> dict[Case, list[Cost]]:
    """The costs of all cases of one length, round by round; the first round only warms up."""
    named = {" ".join(map(str, case)): case for case in cases}
    with started({name: Start(measured, (case, threads)) for name, case in named.items()}) as arms:
        first = alternate(arms, [None])
        slow = sum(each[0].seconds for each in first.values()) > 10
        turns = alternate(arms, [None] * (min(rounds, 2) if slow else rounds))
    return {named[name]: [turn.answers[0] for turn in each] for name, each in turns.items()}


def tell(
    found: dict[Case, list[Cost]], lengths: list[int], about: dict[str, str], *, done: bool = False
) -> None:
    """Publish: a line for time and one for memory of each kind of case."""
    kinds = dict.fromkeys(case._replace(length=0) for case in found)
    rows: list[dict[str, str]] = []
    points: list[dict[str, Any]] = []
    for field, unit, scale in (("seconds", "ms", 1000.0), ("megabytes", "MB", 1.0)):
        for kind in kinds:
            spreads = {
                length: Spread.of([scale * getattr(cost, field) for cost in found[case]])
                for length in lengths
                if (case := kind._replace(length=length)) in found
            }
            dropout = "dropout" if kind.dropout else "-"
            rows.append(
                {"figure": unit, "mask": kind.mask, "type": kind.dtype, "dropout": dropout, "arm": kind.arm}
                | {str(length): spreads[length].text(1) if length in spreads else "-" for length in lengths}
                | {"slope": slope({length: spread.median for length, spread in spreads.items()})}
            )
            points += [
                {"figure": unit, "mask": kind.mask, "arm": f"{kind.arm} {dropout}".rstrip(" -")}
                | {"type": kind.dtype, "length": length, "median": max(spread.median, 1e-3)}
                for length, spread in spreads.items()
            ]
    told = [case._asdict() | {"costs": [cost._asdict() for cost in costs]} for case, costs in found.items()]
    publish("attention", about, rows, told, lines(points) if done else None, done=done)


def slope(medians: dict[int, float]) -> str:
    """The exponent with which the figure grows, from the longer half of the lengths."""
    longer = [(math.log(length), math.log(max(value, 1e-3))) for length, value in sorted(medians.items())]
    longer = longer[len(longer) // 2 :] if len(longer) > 3 else longer
    return f"{statistics.linear_regression(*zip(*longer, strict=True)).slope:.2f}" if len(longer) > 1 else "-"


def lines(points: list[dict[str, Any]]) -> dict[str, Any]:
    """A panel for each mask and type: time above, memory below."""
    import altair as alt

    ticks = alt.Axis(values=sorted({point["length"] for point in points}), labelAngle=-45)
    x = alt.X("length:Q", scale=alt.Scale(type="log", base=2), title="length", axis=ticks)
    y = alt.Y("median:Q", scale=alt.Scale(type="log"), title=None, axis=alt.Axis(tickCount=5))
    base = alt.Chart(alt.Data(values=points)).mark_line(point=True).encode(x=x, y=y, color="arm:N")
    return (
        base.properties(width=150, height=130)
        .facet(column=alt.Column("mask:N", title=None), row=alt.Row("panel:N", title=None))
        .resolve_scale(y="independent")
        .transform_calculate(panel="datum.figure + ', ' + datum.type")
        .to_dict()
    )


if __name__ == "__main__":
    main()
