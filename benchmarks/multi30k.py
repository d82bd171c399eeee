"""What is measured where no run is given: fresh weights, but real tokenizers and batches, of Multi30k.

    WHYFORMER_BENCH_PREPARED=FOLDER python benchmarks/multi30k.py tiny base

prepares those sizes in the folder, for all scripts that are told of it. Where Multi30k is not there,
sentences can be made up, whose lengths and rare words are like those of news.
"""

import argparse
import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from whyformer.data.batches.planning import plan_batches
from whyformer.errors import DataError

SIZES = {"toy": "tiny", "tiny": "small", "base": "base", "big": "big"}
"""What the tables call a size, and our preset of it; tiny is the Transformer-Tiny of Wu et al. 2021."""
RECIPE = "multi30k-en-de-sinusoidal"
VOCABULARY = 10_000
LONGEST = 256
CLASSIC = [
    f"model.{stack}.{key}"
    for stack in ("encoder", "decoder")
    for key in ("positions=[{kind: sinusoidal}]", "block.placement.kind=post")
]
"""What other toolkits can express, even where a short training would do better with something else."""


@dataclass(frozen=True)
class MadeUp:
    """Sentences of made-up words, as many pairs to train on."""

    pairs: int = 20_000
    words: int = 20_000
    """Different words, of which the n-th is drawn as often as 1/n says."""
    held_out: int = 512

    def changes(self, folder: Path) -> list[str]:
        """What a recipe has to be told to read them, after they were written to ``folder``."""
        folder.mkdir(parents=True, exist_ok=True)
        random = Random(0)
        letters = "abcdefghijklmnopqrstuvwxyz"
        words = ["".join(random.choices(letters, k=random.randint(2, 9))) for _ in range(self.words)]
        often = [*accumulate(1 / rank for rank in range(1, self.words + 1))]
        sides: list[str] = []
        for part, count in (("train", self.pairs), ("valid", self.held_out), ("test", self.held_out)):
            files: list[str] = []
            for side in ("source", "target"):
                lines = [
                    " ".join(random.choices(words, cum_weights=often, k=random.randint(10, 50)))
                    for _ in range(count)
                ]
                (folder / f"{part}.{side}").write_text("\n".join(lines) + "\n", encoding="utf-8")
                files.append(f"{side}: {folder / part}.{side}")
            text = f"{{kind: text, {', '.join(files)}}}"
            sides.append(f"data.test={{made_up: {text}}}" if part == "test" else f"data.{part}={text}")
        return sides


def begun(size: str, folder: Path, *others: str, made_up: MadeUp | None = None) -> Any:
    """A training that is about to begin in ``folder / "run"``, with ``others`` changed in the recipe.

    Its fresh weights are saved. Where WHYFORMER_BENCH_PREPARED names a folder, what was prepared there before
    is used again, since learning a tokenizer takes longer than many a measurement. Sentences are ``made_up``
    where that is asked for.

    Raises:
        DataError: Multi30k is not there.
    """
    from whyformer.runs.train import start_run

    kept = os.environ.get("WHYFORMER_BENCH_PREPARED")
    changes = [
        *([] if made_up is None else made_up.changes(Path(kept or folder) / "made-up")),
        f"model.preset={SIZES[size]}",
        f"model.longest={LONGEST}",
        f"tokenizers.both.vocabulary={VOCABULARY}",
        "training.precision=fp32",
        *CLASSIC,
        *others,
    ]
    place = Path(kept or folder) / hashlib.sha256("\n".join(changes).encode()).hexdigest()[:16]
    if kept and place.exists():
        shutil.copytree(place, folder / "run")
        return resumed(folder / "run")
    trainer = start_run(RECIPE, changes, folder / "run", device="cpu", overwrite=True, say=print)
    trainer.run.save_weights(trainer.model, trainer.progress.step, {})
    trainer.lock.release()
    if kept:
        shutil.copytree(folder / "run", place.with_suffix(".part"), ignore=shutil.ignore_patterns(".lock*"))
        place.with_suffix(".part").rename(place)
    return trainer


def resumed(run: Path, *changes: str, device: str = "cpu") -> Any:
    """The training in the folder ``run``, which stays open to others: nothing measured is written there."""
    from whyformer.runs.train import resume_run

    trainer = resume_run(run, changes, device=device, say=lambda _: None)
    trainer.lock.release()
    return trainer


class Request(NamedTuple):
    """A batch for all arms."""

    indices: list[int]
    """Of the examples, for ours."""
    pairs: list[tuple[list[int], list[int]]]
    """The same as token ids of ours, for the others."""
    learn: bool
    """Whether to make a step; else judge it without dropout."""

    @property
    def tokens(self) -> int:
        """Target tokens, end marks included."""
        return sum(len(target) + 1 for _, target in self.pairs)


def data_options(parser: argparse.ArgumentParser) -> None:
    """Let ``parser`` take what is measured, and on what."""
    parser.add_argument("--size", choices=SIZES, default="tiny")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--made-up", type=int, metavar="PAIRS", help="pairs of made-up words, not Multi30k")


def prepared_by(asked: argparse.Namespace, folder: Path, *others: str) -> Any:
    """The training that the options ask for; see ``begun``."""
    if asked.made_up is None:
        return begun(asked.size, folder, *others)
    # A tokenizer cannot learn more than there is.
    few = asked.made_up < 5_000
    made_up = MadeUp(asked.made_up, 200, 16) if few else MadeUp(asked.made_up)
    return begun(
        asked.size, folder, *others, *(["tokenizers.both.vocabulary=400"] if few else []), made_up=made_up
    )


def batches(trainer: Any, count: int | None = None, epoch: int = 0) -> list[Request]:
    """The first batches of an epoch as our trainer makes them; all if ``count`` is None."""
    task = trainer.task
    spec = trainer.spec
    chosen = plan_batches(task.lengths, spec.batching.tokens, seed=spec.seed, epoch=epoch)[:count]
    requests: list[Request] = []
    for indices in chosen:
        batch = task.batch(indices, epoch, trainer.device)
        # Without the marks that ours adds: EOS behind the source; BOS before the target, and EOS behind.
        sources = [row[: size - 1] for row, size in sentences_of(batch.source)]
        targets = [row[1 : size - 1] for row, size in sentences_of(batch.target)]
        requests.append(Request(indices.tolist(), list(zip(sources, targets, strict=True)), learn=True))
    assert all(
        request.tokens == task.predicted(indices, epoch)
        for request, indices in zip(requests, chosen, strict=True)
    )
    return requests


def sentences_of(batch: Any) -> Iterable[tuple[list[int], int]]:
    """Each sentence of a batch, padding included, and its number of tokens."""
    return zip(batch.tokens.tolist(), batch.lengths, strict=True)


def main() -> None:
    """Prepare what scripts have in common."""
    for size in sys.argv[1:]:
        with tempfile.TemporaryDirectory() as folder:
            try:
                begun(size, Path(folder))
            except DataError as error:
                sys.exit(f"nothing is prepared: {error}")
            print(f"{size} is prepared", flush=True)


if __name__ == "__main__":
    main()
