"""What can be said of one CUDA GPU, in six minutes: is it right, and how fast is it beside others.

    python benchmarks/gpu.py [--device cuda] [--size base big] [--seconds 20] [--only conformance ...]

First every combination of the conformance suite is compared with fp64, in fp32 and in bf16. Then, for each
size, training steps of ours (compiled and not) take turns with those of transformers' Marian at its best
(bf16, compiled, fused attention), with MFU and peak memory; then greedy and beam translation take turns with
CTranslate2 and transformers. Sentences are made up, so that nothing has to be fetched. `results/gpu.md` and
`gpu.json` say what was measured, what was not, and why. Where there is no GPU nothing is measured, which is
no failure. With `--device cpu --size toy` all goes its way on a CPU, to see that it does; those figures mean
nothing.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence

from bench import HERE, Step, measure
from multi30k import SIZES

MINUTES = 6
TRAINED = ("ours-bf16", "ours-bf16-uncompiled", "marian-bf16", "marian-bf16-sdpa-compile")
"""Arms of training; eager attention of Marian's compiles no faster than torch's own."""
TESTS = str(HERE.parent / "tests" / "conformance" / "test_cuda.py")


def main() -> None:
    """Read the arguments, measure, tell; ends with status 1 where something has failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--size", nargs="+", choices=[*SIZES], default=["base", "big"])
    parser.add_argument("--seconds", type=float, default=20.0, help="for the rounds of one comparison")
    parser.add_argument("--only", nargs="+", choices=["conformance", "training", "translation"])
    asked = parser.parse_args()
    if reason := missing(asked.device):
        print(reason)
        return
    steps = [
        step
        for step in steps_of(asked.device, asked.size, asked.seconds)
        if asked.only is None or step.name.partition("-")[0] in asked.only
    ]
    outcomes = measure(steps, 60.0 * MINUTES, name="gpu", device=asked.device)
    sys.exit(any(outcome.status == "failed" for outcome in outcomes))


def missing(device: str) -> str | None:
    """The sentence on why nothing can be measured on ``device``; None where it can."""
    import torch

    if device == "cpu" or torch.cuda.is_available():
        return None
    build = "" if torch.version.cuda else f"; torch {torch.__version__} is built without CUDA"
    return f"There is no CUDA GPU here{build}, so nothing is measured, and no figure of a GPU is told."


def steps_of(device: str, sizes: Sequence[str], seconds: float) -> Iterator[Step]:
    """What is run: each comparison's processes start, compile and agree before its ``seconds`` begin."""
    on_gpu = device == "cuda"
    which = "cuda" if on_gpu else "'not cuda'"
    yield Step("conformance", f"pytest -q -p no:cacheprovider -m {which} {TESTS}", 50, paced=False)
    data = "--made-up 20000" if on_gpu else "--made-up 300"
    arms = TRAINED if on_gpu else ("ours-bf16", "marian-bf16")
    for size in sizes:
        batch = "--tokens 16384 --steps 200" if on_gpu else "--tokens 512 --steps 2"
        yield Step(
            f"training-{size}",
            f"training.py --device {device} --size {size} {data} {batch} --name {device} --arms "
            + " ".join(arms),
            seconds + (70 if on_gpu else 60),
        )
    for beam in (1, 5):
        batch = "--batch 128 --sentences 512 --rounds 4" if on_gpu else "--batch 8 --sentences 8 --rounds 1"
        if not on_gpu:
            batch += " --arms 'ct2-float32-s2' 'hf-fp32-*'"
        yield Step(
            f"translation-{sizes[0]}-beam{beam}",
            f"translation.py --device {device} --size {sizes[0]} {data} {batch} --beam {beam}",
            seconds + (35 if on_gpu else 60),
        )


if __name__ == "__main__":
    main()
