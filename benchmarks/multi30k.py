"""What is measured where no run is given: fresh weights, but real tokenizers and batches, of Multi30k."""

from pathlib import Path
from typing import Any, NamedTuple

from whyformer.data.batches.planning import plan_batches

SIZES = {"tiny": "small", "base": "base"}
"""What the tables call a size, and our preset of it; tiny is the Transformer-Tiny of Wu et al. 2021."""
RECIPE = "multi30k-en-de-sinusoidal"
VOCABULARY = 10_000
LONGEST = 256


def begun(size: str, folder: Path, *others: str) -> Any:
    """A training that is about to begin in ``folder / "run"``, with ``others`` changed in the recipe.

    Its fresh weights are saved.

    Raises:
        DataError: Multi30k is not there.
    """
    from whyformer.runs.train import start_run

    changes = [
        f"model.preset={SIZES[size]}",
        f"model.longest={LONGEST}",
        f"tokenizers.both.vocabulary={VOCABULARY}",
        "training.precision=fp32",
        *others,
    ]
    trainer = start_run(RECIPE, changes, folder / "run", device="cpu", overwrite=True, say=print)
    trainer.run.save_weights(trainer.model, trainer.progress.step, {})
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


def batches(trainer: Any, count: int | None = None, epoch: int = 0) -> list[Request]:
    """The first batches of an epoch as our trainer makes them; all if ``count`` is None."""
    task = trainer.task
    spec = trainer.spec
    chosen = plan_batches(task.lengths, spec.batching.tokens, seed=spec.seed, epoch=epoch)[:count]
    requests: list[Request] = []
    for indices in chosen:
        pairs = [task.corpus.train[index] for index in indices.tolist()]
        sources = task.tokenizers.source.encode_all([source for source, _ in pairs])
        targets = task.tokenizers.target.encode_all([target for _, target in pairs])
        requests.append(Request(indices.tolist(), list(zip(sources, targets, strict=True)), learn=True))
    assert all(
        request.tokens == task.predicted(indices, epoch)
        for request, indices in zip(requests, chosen, strict=True)
    )
    return requests
