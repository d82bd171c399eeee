"""Examination of all data that a recipe names, by reading them as training and evaluation do."""

import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from whyformer.data.checks.files import Finding
from whyformer.data.corpora.documents import DocumentsSpec
from whyformer.data.corpora.held_out import VALID
from whyformer.data.corpora.labelled import Labelled, LabelledSpec
from whyformer.data.corpora.lines import SentencePair
from whyformer.data.corpora.pair_files import Referenced
from whyformer.data.corpora.pairs.notes import overlap_notes
from whyformer.data.store.document_data import StoredDocumentsSpec
from whyformer.data.store.pair_data import (
    AnyPairData,
    StoredPairsSpec,
    held_out_pairs,
    pair_corpus,
    set_names,
)
from whyformer.errors import DataError, WhyformerNote


@dataclass(frozen=True)
class SetReport:
    """One set of a recipe's data, as it is read."""

    name: str
    """``train``, ``valid``, or that of a test set."""
    examples: int
    """Pairs, documents or labelled texts that remain."""
    characters: Mapping[str, tuple[float, int]]
    """Mean and maximum number of characters, by side."""
    labels: Mapping[str, int] = field(default_factory=dict[str, int])
    """Number of examples by label, where there are labels."""


@dataclass(frozen=True)
class DataReport:
    """Description of a recipe's data, and of what would go wrong with them."""

    summary: str
    """One sentence on what was read, dropped and held out; empty where training would be refused."""
    sets: tuple[SetReport, ...]
    findings: tuple[Finding, ...]

    @property
    def is_refused(self) -> bool:
        """Whether training, or evaluation on one of the sets, would be refused."""
        return any(finding.level == "refused" for finding in self.findings)


def examine_data(data: AnyPairData | DocumentsSpec | StoredDocumentsSpec | LabelledSpec) -> DataReport:
    """Read every set of ``data`` and say what it is; whatever is wrong comes as a finding."""
    findings: list[Finding] = []
    match data:
        case DocumentsSpec() | StoredDocumentsSpec():
            summary, sets = _documents(data, findings)
        case LabelledSpec():
            summary, sets = _labelled(data, findings)
        case _:
            summary, sets = _pairs(data, findings)
    # A file that training cannot read is met again as a held-out set's.
    return DataReport(summary, tuple(sets), tuple(dict.fromkeys(findings)))


def told(findings: list[Finding], read: Callable[[], Iterable[SetReport]]) -> list[SetReport]:
    """The sets that ``read`` gives; its notes go among ``findings`` as warnings, its refusal as such."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found = list(read())
        except DataError as error:
            found = []
            findings.append(Finding("refused", str(error)))
    for each in caught:
        if issubclass(each.category, WhyformerNote):
            findings.append(Finding("warning", str(each.message)))
        else:
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
    return found


def _pairs(data: AnyPairData, findings: list[Finding]) -> tuple[str, list[SetReport]]:
    summary: list[str] = []

    def train() -> Iterator[SetReport]:
        if isinstance(data, StoredPairsSpec):
            # Its text is in no one's memory; what it was made of was looked at when it was built.
            store = data.open()
            summary.append(store.summary)
            return
        corpus = pair_corpus(data)
        summary.append(corpus.summary)
        pairs = [SentencePair(*pair) for pair in corpus.train]
        overlaps = overlap_notes(pairs, {VALID: corpus.valid, **corpus.test})
        findings.extend(Finding("warning", each) for each in overlaps)
        yield _pair_set("train", [Referenced(source, [target]) for source, target in corpus.train])

    def held_out(name: str) -> Iterator[SetReport]:
        yield _pair_set(name, held_out_pairs(data, [name])[name])

    sets = told(findings, train)
    for name in (VALID, *set_names(data)):
        sets += told(findings, lambda name=name: held_out(name))
    return "".join(summary), sets


def _documents(
    data: DocumentsSpec | StoredDocumentsSpec, findings: list[Finding]
) -> tuple[str, list[SetReport]]:
    summary: list[str] = []

    def train() -> Iterator[SetReport]:
        if isinstance(data, StoredDocumentsSpec):
            summary.append(data.open().summary)
            return
        documents = data.load()
        summary.append(documents.summary)
        yield SetReport("train", len(documents.train), {"document": _lengths(documents.train)})

    def held_out(name: str) -> Iterator[SetReport]:
        documents = data.held_out(name)
        yield SetReport(name, len(documents), {"document": _lengths(documents)})

    sets = told(findings, train)
    for name in (VALID, *data.test):
        sets += told(findings, lambda name=name: held_out(name))
    return "".join(summary), sets


def _labelled(data: LabelledSpec, findings: list[Finding]) -> tuple[str, list[SetReport]]:
    summary: list[str] = []

    def train() -> Iterator[SetReport]:
        if data.labels is None:
            data.find_labels()
        texts = data.load()
        summary.append(texts.summary)
        yield _labelled_set("train", texts.train)

    def held_out(name: str) -> Iterator[SetReport]:
        yield _labelled_set(name, data.held_out(name))

    sets = told(findings, train)
    for name in (VALID, *data.test):
        sets += told(findings, lambda name=name: held_out(name))
    return "".join(summary), sets


def _pair_set(name: str, pairs: Sequence[Referenced]) -> SetReport:
    sides = {
        "source": _lengths([pair.source for pair in pairs]),
        "target": _lengths([text for pair in pairs for text in pair.references]),
    }
    return SetReport(name, len(pairs), sides)


def _labelled_set(name: str, examples: Sequence[Labelled]) -> SetReport:
    lengths = _lengths([text for example in examples for text in example.texts])
    counts = Counter(example.label for example in examples)
    return SetReport(name, len(examples), {"text": lengths}, dict(counts.most_common()))


def _lengths(texts: Sequence[str]) -> tuple[float, int]:
    lengths = [len(text) for text in texts]
    return round(sum(lengths) / max(1, len(lengths)), 1), max(lengths, default=0)
