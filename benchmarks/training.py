"""Training on real batches of Multi30k, ours beside others: the same batches, taking turns in one run.

    python benchmarks/training.py [--size tiny] [--steps 10] [--threads 2] [--arms ours-bf16 marian-fp32 ...]
                                  [--seconds 200] [--name compiled] [--device cuda] [--tokens 16384]

A round is one batch of 4,096 tokens, on which every arm makes one step: padding, forward, backward, clipping,
Adam. Before that each arm judges a batch without dropout: all have our weights, and whose loss is not ours is
left out. Left out as well is bf16 where the processor has no arithmetic for it, unless it is asked for. MFU
is against a product of two large matrices in the same rounds; what counts is the products of our model
alone. Peak memory is that of the arm's own process (VmHWM), libraries included, or of a GPU what torch has
taken. All arms wait in memory for their turns: at base, seven want more than 24 GB.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import torch
from arms import Arms, Run, Start, Turn, alternate, memory, started
from multi30k import RECIPE, Request, batches, data_options, prepared_by, resumed
from peers import Logits, Precision, Stepper, marian, torch_transformer, x_transformer
from report import Spread, bars, machine, publish, ratios
from torch import Tensor, nn

from whyformer.data.batches.batch import PairBatch
from whyformer.errors import DataError
from whyformer.huggingface.transfer import export_model
from whyformer.machine import bf16_is_fast
from whyformer.runs.load import open_run
from whyformer.tasks.translation.training import TeacherForcing
from whyformer.training.flops import training_flops

SIDES = {"cpu": 2048, "cuda": 8192}
"""Rows and columns of the matrices whose product is the measure."""
AGREED = 0.003
"""Nats a token by which losses of equal weights may differ, some of them in bf16."""
Made = tuple[nn.Module, Logits, Tensor]


@dataclass(frozen=True)
class Peer:
    """One way of using another toolkit."""

    make: Callable[..., Made]
    arguments: tuple[Any, ...] = ()
    precision: Precision = "fp32"
    default: bool = False
    """Whether this is what its users get who ask for nothing."""


PEERS = {
    "marian-fp32": Peer(marian, ("sdpa", False), default=True),
    "marian-fp32-eager": Peer(marian, ("eager", False)),
    "marian-bf16": Peer(marian, ("sdpa", False), "bf16"),
    "marian-bf16-eager": Peer(marian, ("eager", False), "bf16"),
    "marian-bf16-compile": Peer(marian, ("eager", True), "bf16"),
    "marian-bf16-sdpa-compile": Peer(marian, ("sdpa", True), "bf16"),
    "marian-fp32-compile": Peer(marian, ("eager", True)),
    "torch-fp32-compile": Peer(torch_transformer, (True,)),
    "xtransformers-fp32-compile": Peer(x_transformer, (False, True)),
    "torch-fp32": Peer(torch_transformer, (False,), default=True),
    "torch-bf16": Peer(torch_transformer, (False,), "bf16"),
    "torch-bf16-compile": Peer(torch_transformer, (True,), "bf16"),
    "xtransformers-fp32": Peer(x_transformer, (False, False), default=True),
    "xtransformers-fp32-flash": Peer(x_transformer, (True, False)),
    "xtransformers-bf16": Peer(x_transformer, (False, False), "bf16"),
    "xtransformers-bf16-flash": Peer(x_transformer, (True, False), "bf16"),
    "xtransformers-bf16-compile": Peer(x_transformer, (False, True), "bf16"),
}
OURS: dict[str, Precision] = {"ours-fp32": "fp32", "ours-bf16": "bf16", "ours-bf16-uncompiled": "bf16"}
"""Compiled where `auto` compiles, which is on a GPU, unless the name says otherwise."""
USUAL = [
    *(
        "ours-fp32",
        "ours-bf16",
        "marian-fp32",
        "marian-fp32-eager",
        "marian-bf16-eager",
        "torch-fp32",
        "torch-bf16",
    ),
    *("xtransformers-fp32", "xtransformers-bf16"),
]
"""Few enough to wait in memory together at base."""


class Step(NamedTuple):
    """What an arm tells."""

    seconds: float
    loss: float
    """In nats per token."""
    peak: float
    """Memory in MB so far."""


def ours(run: Path, name: str, threads: int, device: str) -> Run:
    """Our trainer, whose own step is measured."""
    torch.set_num_threads(threads)
    trainer = resumed(run, *(["training.compile=false"] if "uncompiled" in name else []), device=device)
    trainer.step.precision = OURS[name]
    taken = count(1)

    def step(request: Request) -> Step:
        indices = torch.tensor(request.indices).numpy()
        trainer.model.train(request.learn)
        began = time.perf_counter()
        with torch.set_grad_enabled(request.learn):
            if request.learn:
                number = next(taken)
                loss = trainer.step.gradient([indices], number, 0).loss
                trainer.step.update(number, trainer.total_steps)
            else:
                # A model in evaluation would be compiled once more.
                with trainer.step.autocast(), trainer.step.uncompiled():
                    batch = trainer.task.batch(indices, 0, trainer.device)
                    loss = TeacherForcing(0.0)(trainer.model, batch).total.item()
            wait_for(device)
        return Step(time.perf_counter() - began, loss / request.tokens, peak_of(device))

    return step


def wait_for(device: str) -> None:
    """Let a GPU finish what it was asked to do."""
    if device == "cuda":
        torch.cuda.synchronize()


def peak_of(device: str) -> float:
    """The most memory in MB that this process has taken so far, of its GPU if it has one."""
    return torch.cuda.max_memory_allocated() / 2**20 if device == "cuda" else memory("VmHWM")


def theirs(run: Path, name: str, threads: int, device: str) -> Run:
    """A step of another toolkit."""
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    opened = open_run(run)
    recipe: Any = opened.recipe
    tokenizers: Any = opened.assets
    peer = PEERS[name]
    if peer.make is marian:
        made = peer.make(run, tokenizers.source.size, *peer.arguments)
    else:
        made = peer.make(run, recipe.model, *peer.arguments)
    stepper = Stepper(made, recipe.training, peer.precision, device)

    def step(request: Request) -> Step:
        began = time.perf_counter()
        pairs = PairBatch.of(request.pairs)
        loss = stepper.learn(pairs) if request.learn else stepper.judge(pairs)
        wait_for(device)
        return Step(time.perf_counter() - began, loss, peak_of(device))

    return step


def product(precision: Precision, threads: int, device: str) -> Run:
    """One product of two matrices, as fast as torch makes it: its seconds."""
    torch.set_num_threads(threads)
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    matrix = torch.ones(SIDES[device], SIDES[device], dtype=dtype, device=device)

    def step(_: Request) -> Step:
        times: list[float] = []
        for _turn in range(5):
            began = time.perf_counter()
            _ = matrix @ matrix
            wait_for(device)
            times.append(time.perf_counter() - began)
        return Step(min(times), 0.0, 0.0)

    return step


def main() -> None:
    """Read the arguments, measure, tell."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    data_options(parser)
    parser.add_argument("--tokens", type=int, default=4096, help="tokens of a batch, padding included")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--arms", nargs="+", choices=[*OURS, *PEERS])
    parser.add_argument("--seconds", type=float, help="begin no round that would end later")
    parser.add_argument("--name", help="a word for the names of the files")
    asked = parser.parse_args()
    until = None if asked.seconds is None else time.perf_counter() + asked.seconds
    torch.set_num_threads(asked.threads)
    with tempfile.TemporaryDirectory() as folder:
        try:
            changes = () if asked.tokens == 4096 else (f"training.batching.tokens={asked.tokens}",)
            trainer = prepared_by(asked, Path(folder), *changes)
        except DataError as error:
            sys.exit(f"training is left out: {error}")
        names = asked.arms or [name for name in USUAL if "bf16" not in name or bf16_is_fast()]
        measure(trainer, names, asked.size + (f"-{asked.name}" if asked.name else ""), asked, until)


def measure(
    trainer: Any, names: list[str], name: str, asked: argparse.Namespace, until: float | None
) -> None:
    """Start the arms, see whether they agree, let them take turns, publish under a ``name``."""
    # What a token costs depends little on its batch, and a CPU counts by computing it.
    flops = training_flops(trainer.model, trainer.task, min(asked.tokens, 512))
    parameters = sum(parameter.numel() for parameter in trainer.model.parameters())
    run, about, where = trainer.run.path, machine(asked.threads, asked.device), (asked.threads, asked.device)
    print(export_model(run, run / "marian"))
    requests = batches(trainer, asked.steps + 1)
    about["work"] = (
        f"{RECIPE if asked.made_up is None else 'made-up words'}, {name}: {parameters:,} parameters, "
        f"{flops / 1e6:.1f} MFLOP per target token, batches of {asked.tokens:,} tokens"
    )
    starts = {f"product-{kind}": Start(product, (kind, *where)) for kind in precisions(names)}
    starts |= {arm: Start(ours if arm in OURS else theirs, (run, arm, *where)) for arm in names}
    with started(starts) as arms:
        judged = alternate(arms, [requests[0]._replace(learn=False)])
        before = {arm: judged[arm][0].answers[0].loss for arm in names if arm in judged}
        leave_out_others(arms, before)
        # The first step of all is slow everywhere, and of a compiled model most of all.
        alternate(arms, requests[:1])

        def tell(turns: dict[str, list[Turn]], done: bool = False) -> None:
            rows, told = rows_of(turns, before, requests[1:], flops, SIDES[asked.device])
            if rows:
                chart = bars(
                    [(arm, Spread.of(rate)) for arm, rate in told["rates"].items()],
                    "target tokens per second",
                    f"Training, {name}",
                )
                publish(
                    f"training-{name}", about | arms.told(), rows, told, chart if done else None, done=done
                )

        tell(alternate(arms, requests[1:], until=until, told=tell), done=True)


def precision_of(arm: str) -> Precision:
    """The precision in which an arm multiplies."""
    return OURS[arm] if arm in OURS else PEERS[arm].precision


def precisions(arms: Iterable[str]) -> list[Precision]:
    """Those in which any of the arms multiplies, and a measure is needed.

    One in bf16 takes minutes where the processor has to emulate it.
    """
    return sorted({precision_of(arm) for arm in arms})


def leave_out_others(arms: Arms, losses: dict[str, float]) -> None:
    """Leave out whose ``losses`` on the same batch, by arm, are not those of our first arm."""
    if not losses:
        return
    first = next((arm for arm in losses if arm in OURS), next(iter(losses)))
    for arm, loss in losses.items():
        if not abs(loss - losses[first]) <= AGREED and arm in arms:
            arms.leave_out(arm, f"its loss is {loss:.4f} where {first} has {losses[first]:.4f}: other work")


def rows_of(
    turns: dict[str, list[Turn]], before: dict[str, float], requests: list[Request], flops: float, side: int
) -> tuple[list[dict[str, str]], dict[str, Any]]:
    """The rows of the table and the figures behind them, of as many rounds as there were."""
    # A round that was interrupted is whole for some only.
    rounds = min((len(each) for each in turns.values()), default=0)
    tokens = [request.tokens for request in requests[:rounds]]
    work = [2.0 * side**3] * rounds
    peaks = {kind: speeds(turns, f"product-{kind}", work) for kind in precisions(before)}
    rates = {arm: speeds(turns, arm, tokens) for arm in before if arm in turns}
    rows: list[dict[str, str]] = []
    for arm, rate in rates.items():
        peak = peaks[precision_of(arm)]
        used = [flops * speed / most for speed, most in zip(rate, peak, strict=True)]
        default = ratios(rates, arm, [peer for peer in PEERS if PEERS[peer].default])
        best = ratios(rates, arm, PEERS)
        rows.append(
            {
                "arm": arm,
                "target tokens/s": Spread.of(rate).text(),
                "x fastest default peer": default.text(2) if default else "-",
                "x fastest peer": best.text(2) if best else "-",
                "GFLOP/s": f"{Spread.of(rate).median * flops / 1e9:.0f}",
                "MFU %": f"{100 * Spread.of(used).median:.0f}" if used else "-",
                "peak MB": f"{turns[arm][-1].answers[0].peak:.0f}",
                "nll before": f"{before[arm]:.4f}",
                "rounds": f"{rounds}",
            }
        )
    return rows, {"tokens": tokens, "rates": rates, "peaks": peaks, "flops_per_token": flops}


def speeds(turns: dict[str, list[Turn]], name: str, work: list[Any]) -> list[float]:
    """What an arm does of its ``work`` a second, round by round."""
    return [done / turn.answers[0].seconds for done, turn in zip(work, turns[name], strict=False)]


if __name__ == "__main__":
    main()
