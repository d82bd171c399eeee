"""Distillation as a whole: from a run to training data for its student.

Source: Kim and Rush 2016, sections 3.2 and 3.3.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from whyformer.config.paths import paths_of
from whyformer.data.corpora.parallel import Corpus
from whyformer.data.store.pair_data import pair_corpus
from whyformer.decoding.overrides import SearchChoice
from whyformer.errors import CheckpointError, DataError, DecodingError
from whyformer.machine import EngineName, PrecisionName
from whyformer.progress import progress
from whyformer.runs.distillation.student import STUDENT, check_place, student_files, write_distillation
from whyformer.runs.distillation.teacher import (
    Closeness,
    SourceGroup,
    Teacher,
    added,
    closeness_by,
    groups_of,
    teaching_search,
)
from whyformer.runs.distillation.work import UnfinishedWork
from whyformer.runs.evaluate import recipe_with_data
from whyformer.runs.execution import Execution, choose_device
from whyformer.runs.inputs import check_inputs_of_run
from whyformer.runs.load import load_as, open_run
from whyformer.tasks.translation.task import TranslationRecipe
from whyformer.tasks.translation.translator import Translator
from whyformer.training.storage.fingerprint import text_fingerprint
from whyformer.training.storage.lock import RunLock

KEPT_AT_ONCE: Final = 4096
"""Sources that are translated before what was done is kept."""


@dataclass(frozen=True)
class TeacherExecution:
    """Way in which the teacher computes."""

    device: str = "auto"
    """Device: auto, cpu, cuda or mps."""
    threads: int | None = None
    """CPU threads; torch's choice if left out."""
    precision: PrecisionName = "fp32"
    """Precision of matrix products."""
    engine: EngineName | None = None
    """Engine; left out, native where it can compute the model on this device, else torch."""
    batch: int = 64
    """Sentences side by side."""


@dataclass(frozen=True)
class DistillationOptions:
    """Choice of what the teacher's data are made of."""

    search: SearchChoice = field(default_factory=SearchChoice)
    """Way to search where the recipe is not to decide."""
    closest: Closeness | None = None
    """Measure by which of a beam's translations the closest to the true one is taken; the likeliest if left
    out."""
    with_originals: bool = False
    """Whether the true pairs are trained on, too."""


class Distilled(NamedTuple):
    """A distillation that is done."""

    recipe: Path
    """The student's recipe."""
    pairs: int
    """Number of pairs with a translation of the teacher's."""
    left_out: Mapping[str, int]
    """Number of training pairs that have none, by the reason."""


def distil_run(
    run: Path,
    folder: Path,
    options: DistillationOptions | None = None,
    *,
    execution: TeacherExecution | None = None,
    weights: Path | None = None,
    overrides: Sequence[str] = (),
    overwrite: bool = False,
    say: Callable[[str], None] = lambda _line: None,
) -> Distilled:
    """Translate the training sources of ``run`` and write what a student needs into ``folder``.

    Its files appear together, when all is done. What was translated before a process was killed is kept below
    ``folder``, and the same call goes on from there.

    Args:
        run: the folder of the teacher, a run that translates.
        folder: where the data go: new, empty, or with ``overwrite`` that of another distillation.
        options: what is made.
        execution: how it is computed.
        weights: other weights of the same run.
        overrides: ``path=value`` each, of its data.
        overwrite: replace a distillation that lies in ``folder``.
        say: told what was read, and what was there before.

    Raises:
        CheckpointError: the run does not translate, or the folder is not free.
        DataError: the run has no training data, or they cannot be read.
        DecodingError: the way to search does not suit, or nothing was translated.
    """
    options = DistillationOptions() if options is None else options
    execution = TeacherExecution() if execution is None else execution
    check_place(folder, overwrite=overwrite)
    translator, engine = load_teacher(run, execution, weights)
    settings = teaching_search(options.search, translator.settings, options.closest)
    opened = open_run(run)
    recipe = recipe_with_data(opened, overrides, say)
    assert isinstance(recipe, TranslationRecipe), "others have no translator"
    corpus = _corpus(run, recipe)
    say(corpus.summary)
    job: dict[str, object] = {
        "weights": hashlib.sha256(opened.folder.find_weights(weights).read_bytes()).hexdigest(),
        "train": text_fingerprint(corpus.train).digest,
        "search": settings.model_dump(mode="json"),
        "closest": options.closest,
        "engine": engine,
        "precision": execution.precision,
    }
    closeness = closeness_by(options.closest, recipe.scoring, corpus.train) if options.closest else None
    teacher = Teacher(translator, settings, execution.batch, closeness)
    with RunLock(folder):
        work = UnfinishedWork(folder, job)
        work.begin(overwrite=overwrite)
        pairs, left_out = _translated(teacher, groups_of(corpus.train, settings), corpus, work, say)
        files = student_files(run, recipe, corpus, pairs, with_originals=options.with_originals)
        record = {"teacher": str(run.absolute()), **job, "pairs": len(pairs), "left_out": left_out}
        write_distillation(folder, files, record)
        work.discard()
    return Distilled(folder / STUDENT, len(pairs), left_out)


def load_teacher(
    run: Path, execution: TeacherExecution, weights: Path | None = None
) -> tuple[Translator, EngineName]:
    """The translator in the folder ``run``, and the engine that computes it.

    Raises:
        WhyformerError: see ``load_as``.
    """
    device, threads, precision = execution.device, execution.threads, execution.precision
    if execution.engine is None and choose_device(device).type == "cpu":
        try:
            quick = Execution(device, threads, precision, "native")
            return load_as(Translator, run, quick, weights), "native"
        except (DecodingError, CheckpointError):
            pass  # torch takes every model; and what else is wrong, it says
    engine = execution.engine or "torch"
    return load_as(Translator, run, Execution(device, threads, precision, engine), weights), engine


def _corpus(run: Path, recipe: TranslationRecipe) -> Corpus:
    """The data of the teacher.

    Raises:
        DataError: there are none, or they cannot be read (any more).
    """
    if recipe.data is None:
        raise DataError(
            f"{run}: has no training data to translate, as the model was imported; name some behind the run: "
            "data.train=FILE data.valid=FILE."
        )
    try:
        return pair_corpus(recipe.data)
    except DataError:
        check_inputs_of_run(paths_of(recipe), run, "distil")
        raise


def _translated(
    teacher: Teacher,
    groups: Sequence[SourceGroup],
    corpus: Corpus,
    work: UnfinishedWork,
    say: Callable[[str], None],
) -> tuple[list[tuple[str, str]], dict[str, int]]:
    """Each training source with the teacher's translation, in the order of ``corpus``; and what lacks one.

    Raises:
        DecodingError: all do.
    """
    starts = range(0, len(groups), KEPT_AT_ONCE)
    done = {number: part for number, _ in enumerate(starts) if (part := work.part(number)) is not None}
    before = sum(len(part.texts) for part in done.values())
    if before:
        say(f"{before:,} of {len(groups):,} sentences were translated before; going on from there")
    texts: dict[int, str] = {}
    left_out: dict[str, int] = {}
    with progress("translating", len(groups), "sentences") as advance:
        advance(before)
        for number, start in enumerate(starts):
            some = groups[start : start + KEPT_AT_ONCE]
            part = done.get(number)
            if part is None:
                part = teacher.taught(some, start + 1, advance)
                work.keep(number, part)
            left_out = added(left_out, part.left_out)
            for group, found in zip(some, part.texts, strict=True):
                texts |= zip(group.places, found or (), strict=found is not None)
    if not texts:
        raise DecodingError(
            "not one training sentence has a translation with an end: train the model longer, or leave more "
            "room for an end (decoding.longest_extra, decoding.longest_factor)."
        )
    return [(corpus.train[place][0], texts[place]) for place in sorted(texts)], left_out
