"""What position schemes add to the time of one attention, at a length where it shows.

    python benchmarks/position_cost.py [--length 1024] [--batch 2] [--threads 2] [--rounds 15] [--causal]

One layer of 8 heads of 64, forward and backward, as in training: once without a scheme, once with each.
All take turns in every round, so that other work on the machine hits all alike. Told are the median times
and, for each scheme, the median and the range of its ratio to the plain attention of the same round.
"""

import argparse
import time
from collections.abc import Callable

import torch
from report import Spread, bars, machine, publish, ratios
from torch import Tensor

from whyformer.attention.heads import HeadsSpec
from whyformer.attention.mask import Causal, Everything, Mask, MaskRule
from whyformer.attention.multihead import AttentionSpec
from whyformer.machine import keep_freed_memory
from whyformer.position.alibi import AlibiSpec
from whyformer.position.layout import Layout
from whyformer.position.positions import Positions
from whyformer.position.rotary import RotarySpec
from whyformer.position.scheme import PositionScheme
from whyformer.position.shaw import ShawKeysSpec, ShawValuesSpec
from whyformer.position.t5 import T5Spec
from whyformer.position.transformer_xl import TransformerXLSpec

D_MODEL, HEADS = 512, 8
SITE = HeadsSpec(query=HEADS).attention_shape(D_MODEL, causal=True)
SCHEMES: dict[str, tuple[PositionScheme, ...]] = {
    "none": (),
    "rotary": (RotarySpec().build(SITE),),
    "alibi": (AlibiSpec().build(SITE),),
    "t5": (T5Spec().build(SITE),),
    "shaw_keys": (ShawKeysSpec().build(SITE),),
    "shaw_values": (ShawValuesSpec().build(SITE),),
    "shaw_keys + shaw_values": (ShawKeysSpec().build(SITE), ShawValuesSpec().build(SITE)),
    "transformer_xl": (TransformerXLSpec().build(SITE),),
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--length", type=int, default=1024)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--causal", action="store_true", help="as in a decoder; an encoder if left out")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    keep_freed_memory()
    torch.manual_seed(0)
    rule = Causal() if asked.causal else Everything()
    x = torch.randn(asked.batch, asked.length, D_MODEL)
    runs = {name: layer(x, Positions(schemes), rule) for name, schemes in SCHEMES.items()}
    for run in runs.values():
        run()
    rounds = [{name: seconds(run) for name, run in runs.items()} for _ in range(asked.rounds)]
    about = machine(asked.threads)
    about["work"] = f"one layer, {asked.batch} x {asked.length} tokens, {rule.kind}, fp32"
    times = {name: [measured[name] for measured in rounds] for name in runs}
    rows: list[dict[str, str]] = []
    for name, values in times.items():
        ratio = ratios(times, name, ["none"])
        milliseconds = Spread.of([1000 * value for value in values])
        rows.append({"scheme": name, "ms": milliseconds.text(1), "x none": ratio.text(2) if ratio else "-"})
    chart = bars([(name, Spread.of(values)) for name, values in times.items()], "seconds", "Schemes")
    publish("position-cost", about, rows, times, chart)


def layer(x: Tensor, positions: Positions, rule: MaskRule) -> Callable[[], None]:
    """One training pass of one attention layer over ``x`` (B,L,M)."""
    attention = AttentionSpec(heads=HeadsSpec(query=HEADS)).build(D_MODEL)
    layout = Layout(torch.arange(x.shape[1]).expand(len(x), -1))

    def run() -> None:
        mask = Mask(rule, layout, layout)
        source = attention.key_values(x, positions, layout.position)
        attention(x, source, mask, positions).sum().backward()

    return run


def seconds(run: Callable[[], None]) -> float:
    """How long ``run`` takes."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
