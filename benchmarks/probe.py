"""What pretraining is worth to a label that the words of a sentence cannot tell, only their order.

    python benchmarks/probe.py --bert runs/bert-tiny --gpt runs/gpt-tiny [--elmo runs/elmo-tiny]

The label is whether neighbouring words were exchanged (bigram shift, Conneau et al. 2018, "What you can cram
into a single vector"; there it is one pair of words, here up to --exchanges). Every sentence is there twice,
whole and exchanged, so a bag of words must score 50 %; so must whoever always says the same. Neighbouring
words, counted, are shown beside it: that is what order tells without a model.

Training sentences are from the six novels that the shipped recipes pretrain on, those to choose by from the
last tenth of each novel. Test sentences are from The Time Machine, of which pretraining has read nothing (it
chose its best weights by it). Each model is tried with its pretrained weights and with fresh ones; frozen, so
that only a mix of its layers and one linear layer are trained, and with everything trained. What is chosen
(epochs, rates) is the same for both kinds of weights.
"""

import argparse
import os
import random
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import mean, stdev

import torch
from torch import Tensor, nn

from whyformer.data.corpora.labelled import LabelledSpec
from whyformer.data.corpora.lines import read_lines
from whyformer.files import write_text
from whyformer.runs.load import load_as
from whyformer.runs.train import start_run
from whyformer.tasks.classification.classifier import Classifier

SHARED = Path(os.environ.get("WHYFORMER_SHARED", "../shared"))
TRAIN = ("alice", "dorian", "frankenstein", "pride", "sherlock", "treasure")
TEST = ("timemachine",)
SHORTEST, LONGEST = 6, 25
"""Words of a sentence."""
HOW = {
    "frozen": (
        "model={update: head, layer_mix: scalar_mix}",
        "training.epochs=30",
        "training.schedule.peak=0.01",
    ),
    "tuned": ("model={update: all}", "training.epochs=6", "training.schedule.peak=0.001"),
}
RECIPE = """\
task: classification
start: {start}
data: {{train: [{folder}/train.tsv], valid: [{folder}/valid.tsv], test: {{test: [{folder}/test.tsv]}}}}
training:
  epochs: 1
  batching: {{tokens: 1024}}
  loss: {{label_smoothing: 0.0}}
  optimizer: {{kind: adamw}}
  schedule: {{kind: linear, peak: 0.001, warmup: 50}}
  clip: 1.0
  precision: fp32
  validation: {{average: 1}}
  save_every: 100000
  log_every: 1000
"""

Row = tuple[bool, str]
"""Whether words were exchanged, and the sentence."""


def main() -> None:
    """Read the arguments, make the tables, train every arm, print what came out."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for kind in ("bert", "gpt", "elmo"):
        parser.add_argument(f"--{kind}", type=Path, help="a pretrained run")
    parser.add_argument("--sentences", type=int, default=3000, help="to train on")
    parser.add_argument("--exchanges", type=int, default=3, help="pairs of words; fewer are harder to tell")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path("runs/probe"))
    arguments = parser.parse_args()
    starts = {kind: run for kind in ("bert", "gpt", "elmo") if (run := getattr(arguments, kind))}
    sets = tables(arguments.folder, arguments.sentences, arguments.exchanges)
    counts = ", ".join(f"{len(rows):,} {name}" for name, rows in sets.items())
    lines = [f"{counts} examples; accuracy on test in %, mean and deviation of {arguments.seeds} seeds", ""]
    lines.append(f"{'majority':<28}{50:6.1f}")
    for length, name in ((1, "bag of words"), (2, "bag of neighbouring words")):
        lines.append(f"{name:<28}{counted(sets, length):6.1f}")
    for kind, start in starts.items():
        for weights in ("random", "pretrained"):
            for how in HOW:
                scores = [
                    arm(arguments.folder, start, weights, how, seed + 1) for seed in range(arguments.seeds)
                ]
                spread = f" ± {stdev(scores):.1f}" if len(scores) > 1 else ""
                lines.append(f"{f'{kind}, {weights}, {how}':<28}{mean(scores):6.1f}{spread}")
                print(lines[-1], flush=True)
    print("", *lines, sep="\n")


def tables(folder: Path, sentences: int, exchanges: int) -> dict[str, list[Row]]:
    """Write ``train.tsv``, ``valid.tsv`` and ``test.tsv``; their rows."""
    drawn = random.Random(1)
    train: list[str] = []
    valid: list[str] = []
    for name in TRAIN:
        lines = book(name)
        train += lines[: len(lines) * 9 // 10]
        valid += lines[len(lines) * 9 // 10 :]
    test = [line for name in TEST for line in book(name)]
    wanted = {"train": (train, sentences), "valid": (valid, sentences // 8), "test": (test, len(test))}
    sets: dict[str, list[Row]] = {}
    for name, (lines, most) in wanted.items():
        found = [both for line in dict.fromkeys(lines) if (both := exchanged(line, exchanges, drawn))]
        drawn.shuffle(found)
        sets[name] = [row for both in found[:most] for row in both]
        text = "".join(f"{'exchanged' if label else 'whole'}\t{line}\n" for label, line in sets[name])
        write_text(folder / f"{name}.tsv", text)
    return sets


def book(name: str) -> list[str]:
    """The sentences of a novel, in their order."""
    return [line for line in read_lines(SHARED / "data" / "text" / "sentences" / f"{name}.txt.gz") if line]


def exchanged(line: str, most: int, drawn: random.Random) -> tuple[Row, Row] | None:
    """``line`` and the same with up to ``most`` exchanges; None where there is none to make.

    Both neighbours are plain small letters and none is the first, so that capitals and stops stay where they
    were; no word is moved twice.
    """
    words = line.split(" ")
    places = [
        place
        for place, (a, b) in enumerate(pairwise(words))
        if place and a != b and all(word.isalpha() and word.islower() for word in (a, b))
    ]
    if not places or not SHORTEST <= len(words) <= LONGEST:
        return None
    drawn.shuffle(places)
    moved: set[int] = set()
    for place in places:
        if len(moved) < 2 * most and not moved & {place, place + 1}:
            words[place], words[place + 1] = words[place + 1], words[place]
            moved |= {place, place + 1}
    return (False, line), (True, " ".join(words))


def counted(sets: dict[str, list[Row]], length: int) -> float:
    """Accuracy of logistic regression on counts of ``length`` neighbouring words; valid chooses the epoch."""
    torch.manual_seed(1)
    known: dict[tuple[str, ...], int] = {}
    train = [
        [known.setdefault(gram, len(known)) for gram in grams(line, length)] for _, line in sets["train"]
    ]
    weights, bias = nn.EmbeddingBag(len(known), 1, mode="sum"), nn.Parameter(torch.zeros(()))
    nn.init.zeros_(weights.weight)
    optimizer = torch.optim.Adam([*weights.parameters(), bias], lr=0.01)

    def logits(rows: Sequence[list[int]]) -> Tensor:
        offsets = torch.tensor([0, *map(len, rows)]).cumsum(0)[:-1]
        return weights(torch.tensor([id for row in rows for id in row]), offsets).squeeze(1) + bias

    def accuracy(name: str) -> float:
        rows = [[known[gram] for gram in grams(line, length) if gram in known] for _, line in sets[name]]
        gold = torch.tensor([label for label, _ in sets[name]])
        return 100.0 * ((logits(rows) > 0) == gold).float().mean().item()

    best = (0.0, 0.0)
    for _ in range(20):
        for batch in torch.randperm(len(train)).split(64):
            gold = torch.tensor([float(sets["train"][index][0]) for index in batch.tolist()])
            loss = nn.functional.binary_cross_entropy_with_logits(
                logits([train[i] for i in batch.tolist()]), gold
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            best = max(best, (accuracy("valid"), accuracy("test")), key=lambda pair: pair[0])
    return best[1]


def grams(line: str, length: int) -> Iterator[tuple[str, ...]]:
    """All stretches of ``length`` neighbouring words."""
    words = line.lower().split(" ")
    return zip(*(words[first:] for first in range(length)), strict=False)


def arm(folder: Path, start: Path, weights: str, how: str, seed: int) -> float:
    """Train one classifier; its accuracy on the test set, in percent."""
    recipe, run = folder / "recipe.yaml", folder / f"{start.name}-{weights}-{how}-{seed}"
    write_text(recipe, RECIPE.format(start=start, folder=folder))
    changes = [f"weights={weights}", f"training.seed={seed}", *HOW[how]]
    start_run(str(recipe), changes, run, device="auto", overwrite=True, say=lambda _: None).train()
    data = LabelledSpec(train=(folder / "train.tsv",), test={"test": (folder / "test.tsv",)})
    return load_as(Classifier, run).evaluate(data.held_out("test")).accuracy


if __name__ == "__main__":
    main()
