"""How long ours and Hugging Face's Marian train until they translate Multi30k equally well.

    python benchmarks/time_to_quality.py [--steps 2412] [--looks 4] [--threads 2] [--precision bf16]

Transformer-Tiny with the recipe of Wu et al. 2021 (inverse square root, peak 0.005, 2,000 steps of warm-up,
dropout 0.3, label smoothing 0.1), the same first weights and the same batches of 4,096 tokens, sorted by
length; Marian computes attention by batched products, which is faster here. They take turns step by step, so
that both train in the same hours, and only their own time counts. At each look an arm writes the mean of its
last weights, one set from the end of each epoch. When all is over, these translate the test set by one and
the same search of our native engine, beam 5.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections import deque
from pathlib import Path
from typing import Any, NamedTuple

import torch
from arms import Run, Start, Turn, alternate, started
from multi30k import Request, batches, begun, resumed
from peers import Precision, Stepper, marian
from report import machine, publish
from torch import Tensor, nn

from whyformer.data.batches.batch import PairBatch
from whyformer.data.corpora.parallel import load_held_out
from whyformer.decoding.beam import BeamSpec
from whyformer.errors import DataError
from whyformer.huggingface.transfer import export_model, import_model
from whyformer.machine import bf16_is_fast
from whyformer.runs.execution import Execution
from whyformer.runs.load import load_as, open_run, read_recipe
from whyformer.tasks.translation.evaluation import evaluate_translator
from whyformer.tasks.translation.translator import Translator
from whyformer.training.storage.checkpoint import save_tensors
from whyformer.training.storage.run import RunFolder

SCHEDULE = "training.schedule={kind: inverse_sqrt, peak: 0.005, warmup: 2000}"
KEPT = 8
"""Epochs whose weights are averaged."""
JUDGING = 25.0
"""Seconds at the end in which translations are made and scored."""


class Lesson(NamedTuple):
    """What all arms do next."""

    request: Request
    step: int
    """From 1."""
    epoch_ends: bool
    look: Path | None
    """Where to leave weights, in a folder for each arm; before the step."""


class Last:
    """The weights at the end of the last epochs."""

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._kept: deque[dict[str, Tensor]] = deque(maxlen=KEPT)

    def keep(self) -> None:
        """Take those of now."""
        self._kept.append({name: each.clone() for name, each in self._model.state_dict().items()})

    def mean(self) -> dict[str, Tensor]:
        """Their mean; what is no number of the model's own stays."""
        # Before the first epoch has ended, the weights are those of now.
        sets = [*self._kept] or [self._model.state_dict()]
        first = sets[-1]
        return {
            name: torch.stack([kept[name] for kept in sets]).mean(dim=0) if each.is_floating_point() else each
            for name, each in first.items()
        }


def ours(run: Path, name: str, precision: Precision, threads: int) -> Run:
    """Our trainer."""
    torch.set_num_threads(threads)
    trainer = resumed(run)
    trainer.step.precision = precision
    trainer.model.train()
    last = Last(trainer.model)

    def learn(lesson: Lesson) -> float:
        if lesson.look is not None:
            folder = lesson.look / name
            shutil.copytree(run, folder, ignore=shutil.ignore_patterns("marian", "state"))
            facts = {"assets": trainer.run.assets, "step": lesson.step, "scores": {}}
            save_tensors(RunFolder(folder).weights, last.mean(), facts)
            return 0.0
        began = time.perf_counter()
        trainer.step.gradient([torch.tensor(lesson.request.indices).numpy()], lesson.step, 0)
        trainer.step.update(lesson.step, trainer.total_steps)
        seconds = time.perf_counter() - began
        if lesson.epoch_ends:
            last.keep()
        return seconds

    return learn


def theirs(run: Path, name: str, precision: Precision, threads: int) -> Run:
    """Marian, trained with what torch offers."""
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    opened = open_run(run)
    recipe: Any = opened.recipe
    tokenizers: Any = opened.assets
    made = marian(run, tokenizers.source.size, "eager", False)
    model: Any = made[0]
    stepper, last = Stepper(made, recipe.training, precision), Last(model)

    def learn(lesson: Lesson) -> float:
        if lesson.look is not None:
            folder = lesson.look / name
            shutil.copytree(run / "marian", folder)
            now = {name: each.clone() for name, each in model.state_dict().items()}
            model.load_state_dict(last.mean())
            model.save_pretrained(folder)
            model.load_state_dict(now)
            return 0.0
        began = time.perf_counter()
        rate = recipe.training.schedule.rate(lesson.step, recipe.training.steps)
        stepper.learn(PairBatch.of(lesson.request.pairs), rate)
        seconds = time.perf_counter() - began
        if lesson.epoch_ends:
            last.keep()
        return seconds

    return learn


def main() -> None:
    """Read the arguments, train, compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=2412, help="19 epochs have about so many")
    parser.add_argument("--looks", type=int, default=4, help="how often quality is looked at")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--precision", choices=["fp32", "bf16"], help="the faster one if left out")
    parser.add_argument("--seconds", type=float, help="look then for the last time, if it is not yet the end")
    asked = parser.parse_args()
    until = None if asked.seconds is None else time.perf_counter() + max(1.0, asked.seconds - JUDGING)
    about = machine(asked.threads)
    precision: Precision = asked.precision or ("bf16" if bf16_is_fast() else "fp32")
    with tempfile.TemporaryDirectory() as folder:
        try:
            trainer = begun(
                "tiny", Path(folder), SCHEDULE, f"training={{epochs: null, steps: {asked.steps}}}"
            )
        except DataError as error:
            sys.exit(f"time to quality is left out: {error}")
        print(export_model(trainer.run.path, trainer.run.path / "marian"))
        lessons = lessons_of(trainer, asked.steps, asked.looks, Path(folder))
        names = {f"ours-{precision}": ours, f"marian-{precision}-eager": theirs}
        arguments = (precision, asked.threads)
        starts = {name: Start(make, (trainer.run.path, name, *arguments)) for name, make in names.items()}
        with started(starts) as arms:
            turns = alternate(arms, lessons, until=until)
            done = min(map(len, turns.values()), default=0)
            if 0 < done < len(lessons) and lessons[done - 1].look is None:
                last = lessons[done - 1]
                lessons = [*lessons[:done], last._replace(look=Path(folder) / "end", epoch_ends=False)]
                for name, each in alternate(arms, lessons[done:]).items():
                    turns[name] += each
        about["work"] = f"Multi30k, {asked.steps} steps of 4,096 tokens, mean of {KEPT} epochs, beam 5"
        tell(trainer.run.path, lessons, turns, about | arms.told())


def lessons_of(trainer: Any, steps: int, looks: int, folder: Path) -> list[Lesson]:
    """All steps in their order, with a look behind each epoch that passes the next of ``looks`` parts."""
    lessons: list[Lesson] = []
    step = epoch = looked = 0
    while step < steps:
        requests = batches(trainer, steps - step, epoch)
        lessons += [
            Lesson(request, step + place, place == len(requests), None)
            for place, request in enumerate(requests, start=1)
        ]
        step, epoch = step + len(requests), epoch + 1
        if step * looks >= (looked + 1) * steps:
            looked = step * looks // steps
            lessons.append(Lesson(requests[-1], step, False, folder / str(step)))
    return lessons


def tell(run: Path, lessons: list[Lesson], turns: dict[str, list[Turn]], about: dict[str, str]) -> None:
    """Translate the test set with what was left at each look, and publish."""
    recipe: Any = read_recipe(run)
    pairs = next(iter(load_held_out(recipe.data).values()))
    rows: list[dict[str, str]] = []
    points: list[dict[str, Any]] = []
    # A model that has learned little writes long translations, and the time is short.
    native = Execution("cpu", engine="native")
    for arm, each in turns.items():
        minutes = 0.0
        for lesson, turn in zip(lessons, each, strict=False):
            minutes += turn.answers[0] / 60
            if lesson.look is None:
                continue
            folder = lesson.look / arm
            if arm.startswith("marian"):
                folder = lesson.look / "run"
                import_model(lesson.look / arm, folder)
            settings = BeamSpec(size=5, length_penalty=1.0)
            judged = evaluate_translator(
                load_as(Translator, folder, native), pairs, recipe.scoring, settings=settings
            )
            bleu = judged.scores[0].value
            rows.append(
                {"arm": arm, "steps": f"{lesson.step}", "minutes": f"{minutes:.1f}", "BLEU": f"{bleu:.2f}"}
            )
            points.append({"arm": arm, "steps": lesson.step, "minutes": minutes, "BLEU": bleu})
            publish("time-to-quality", about, rows, points, done=False)
    if rows:
        publish("time-to-quality", about, rows, points, lines(points))


def lines(points: list[dict[str, Any]]) -> dict[str, Any]:
    """BLEU by minutes, a line for each arm."""
    import altair as alt

    base = alt.Chart(alt.Data(values=points)).mark_line(point=True)
    return base.encode(x="minutes:Q", y="BLEU:Q", color="arm:N").properties(width=420, height=240).to_dict()


if __name__ == "__main__":
    main()
