"""The teacher: what a translator makes of training sources, as a student is to learn it."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from whyformer.decoding.overrides import SearchChoice
from whyformer.decoding.search import SearchSpec
from whyformer.errors import DecodingError, without_notes
from whyformer.tasks.bad_lines import BadLines
from whyformer.tasks.output import TextOutput
from whyformer.tasks.translation.scores.metrics import ScoringSpec
from whyformer.tasks.translation.scores.tokenization import suited_tokenize
from whyformer.tasks.translation.translator import Translator

Closeness = Literal["bleu", "chrf"]
"""Measure by which a translation is close to the true one."""

# They end a line, or cannot stand in one.
_NO_PART_OF_A_LINE = re.compile("[\n\r\0]")


class SourceGroup(NamedTuple):
    """A source, and the true translations of all training pairs that have it."""

    source: str
    targets: list[str]
    places: list[int]
    """Of those pairs among all."""


class Taught(NamedTuple):
    """The teacher's outputs for some groups."""

    texts: list[list[str] | None]
    """A translation for each pair of a group; None for a group that has none."""
    left_out: dict[str, int]
    """Number of pairs without one, by the reason."""


def groups_of(pairs: Sequence[tuple[str, str]], settings: SearchSpec) -> list[SourceGroup]:
    """The ``pairs`` by their sources, each of which is translated once; if by chance, once for each pair."""
    groups: dict[object, SourceGroup] = {}
    for place, (source, target) in enumerate(pairs):
        key = place if settings.kind == "sampling" else source
        group = groups.setdefault(key, SourceGroup(source, [], []))
        group.targets.append(target)
        group.places.append(place)
    return list(groups.values())


def teaching_search(choice: SearchChoice, default: SearchSpec, closest: Closeness | None) -> SearchSpec:
    """The way to search: the teacher's ``default``, changed by ``choice``; for ``closest`` all of a beam.

    Raises:
        DecodingError: with ``closest`` there is but one translation to choose from, or see ``SearchChoice``.
    """
    settings = choice.over(default)
    if closest is None:
        return settings
    if settings.kind != "beam" or settings.size < 2:
        raise DecodingError(
            f"--closest {closest} chooses among the translations that a beam search finds; add --beam 5."
        )
    return settings.model_copy(update={"n_best": settings.size})


class Teacher:
    """A translator that writes training targets."""

    def __init__(
        self,
        translator: Translator,
        settings: SearchSpec,
        batch: int,
        closeness: Callable[[str, str], float] | None = None,
    ) -> None:
        """Translate by ``settings``, ``batch`` sentences side by side.

        With ``closeness`` of a translation and the true one, the closest of those that are found is taken
        (sequence-level interpolation: Kim and Rush 2016, section 3.3), else the likeliest (section 3.2).
        """
        self._translator = translator
        self._settings = settings
        self._batch = batch
        self._closeness = closeness

    def taught(self, groups: Sequence[SourceGroup], first: int, advance: Callable[[int], None]) -> Taught:
        """The outputs for ``groups``, the first of which is number ``first`` of all, counted from 1."""
        bad = BadLines("skip")
        with without_notes():
            found = self._translator.translate(
                [group.source for group in groups],
                self._settings,
                batch=self._batch,
                first=first,
                advance=advance,
                scores=False,
                bad=bad,
            )
        texts: list[list[str] | None] = []
        left_out: Counter[str] = Counter()
        for number, (group, outputs) in enumerate(zip(groups, found, strict=True), start=first):
            # One that stops at the length limit would teach to stop there; mostly it repeats itself.
            whole = [one_line(output.text) for output in outputs if output.finished]
            usable = [text for text in whole if text]
            if number in bad.left_out or not usable:
                left_out[_reason(number, bad, outputs)] += len(group.places)
                texts.append(None)
            else:
                texts.append([self._chosen(usable, target) for target in group.targets])
        return Taught(texts, dict(left_out))

    def _chosen(self, texts: Sequence[str], target: str) -> str:
        """One of ``texts``, likeliest first."""
        closeness = self._closeness
        return texts[0] if closeness is None else max(texts, key=lambda text: closeness(text, target))


def _reason(number: int, bad: BadLines, outputs: Sequence[TextOutput]) -> str:
    if number in bad.left_out:
        return "the model cannot take the source"
    if any(output.finished for output in outputs):
        return "the translation is empty"
    return "the translation has no end"


def one_line(text: str) -> str:
    """``text`` as a line of a file: spaces for line ends, none around it."""
    return _NO_PART_OF_A_LINE.sub(" ", text).strip()


def closeness_by(
    measure: Closeness, scoring: ScoringSpec, pairs: Iterable[tuple[str, str]]
) -> Callable[[str, str], float]:
    """The function that scores one translation against the true one, as sacrebleu does (Post 2018).

    BLEU is smoothed, and of short sentences compares no longer runs of words than they have. Where
    ``scoring`` leaves it to the text how words are cut, the targets of ``pairs`` decide.
    """
    if measure == "chrf":
        from sacrebleu.metrics.chrf import CHRF

        metric = CHRF(lowercase=scoring.lowercase)
    else:
        from sacrebleu.metrics.bleu import BLEU

        cut = (
            suited_tokenize(target for _, target in pairs) if scoring.tokenize == "auto" else scoring.tokenize
        )
        metric = BLEU(tokenize=cut, lowercase=scoring.lowercase, force=True, effective_order=True)
    return lambda text, target: metric.sentence_score(text, [target]).score


def added(counts: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
    """The sums of two counts by name."""
    return dict(Counter(counts) + Counter(more))
