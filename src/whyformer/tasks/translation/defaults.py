"""Defaults of a translator that its text decides, where the recipe leaves them out.

``decide`` is a pure function of what was said and of counts of the text; ``whyformer train`` prints its
decisions and ``whyformer init`` writes them into a recipe. The rules were found on two corpora of 3,000 pairs
(docs/log.md) and lead, at 29,000 pairs, to about what the recipe ``multi30k-en-de-raw`` says.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from whyformer.data.corpora.detection.scripts import script_of
from whyformer.tasks.decision import Decision, says, value_of

_EAST_ASIAN = "Chinese characters"
_IN_WORDS = {"han": _EAST_ASIAN, "kana": _EAST_ASIAN, "other": "another script"}
_PIECES = frozenset({"bpe", "unigram", "wordpiece"})
"""Kinds of tokenizers that have a vocabulary to be chosen."""
_COVERAGE = 0.9995
"""Share of the text's characters that are pieces, as the tokenizers have it."""
_RESERVED = 260
"""Special tokens and bytes of a vocabulary."""
_MANY_PAIRS = 300_000
"""Pairs from which on a model of the size ``base`` is worth its time."""

_STEPS_A_PASS = 40
"""Steps of a pass over the pairs below which a batch is too large for them."""
_SMALLEST_BATCH, _LARGEST_BATCH = 1024, 4096
_EPOCHS = 40
"""Passes over 3,000 pairs."""
_VALIDATIONS = 20

_APART = "each side has a vocabulary of its own; the decoder reads and writes by one table"


@dataclass(frozen=True)
class SideCounts:
    """Counts of one side of the training pairs."""

    words: int
    """Words, which white space ends; in Chinese and Japanese each character is one."""
    characters: int
    """Different characters, without the rarest."""
    script: str
    """Script of most letters, in words; empty where there are no letters."""

    @staticmethod
    def of(lines: Iterable[str]) -> "SideCounts":
        """Count ``lines``."""
        counts: Counter[str] = Counter()
        words = 0
        for line in lines:
            counts.update(line)
            words += len(line.split())
        scripts: Counter[str] = Counter()
        for character, count in counts.items():
            script = script_of(character)
            if script is not None:
                scripts[_IN_WORDS.get(script, script.title())] += count
        # A character without spaces around is a word, too; the runs of them were counted as one each.
        words += scripts[_EAST_ASIAN]
        most = max(scripts, key=lambda name: scripts[name], default="")
        return SideCounts(words, _covering(counts), most)


@dataclass(frozen=True)
class PairCounts:
    """Counts of the training pairs."""

    pairs: int
    source: SideCounts
    target: SideCounts
    both: SideCounts
    """Both sides as one text, as a joint tokenizer sees them."""
    copies: int = 0
    """Pairs that are copies of others, and counted nowhere else: nothing is learned from them."""

    @staticmethod
    def of(pairs: Iterable[tuple[str, str]]) -> "PairCounts":
        """Count ``pairs``."""
        read = list(pairs)
        kept = list(dict.fromkeys(read))
        sources, targets = [source for source, _ in kept], [target for _, target in kept]
        source, target, both = map(SideCounts.of, (sources, targets, [*sources, *targets]))
        return PairCounts(len(kept), source, target, both, copies=len(read) - len(kept))

    @property
    def cells(self) -> int:
        """Tokens of the longer side with its padding, roughly: batches are filled with them."""
        return round(1.15 * (max(_tokens(self.source), _tokens(self.target)) + 2 * self.pairs))


def is_complete(said: Mapping[str, object]) -> bool:
    """Whether ``said`` leaves nothing to the text, as a run's recipe does, so that it need not be counted."""
    source, target, both = (SideCounts(1, 1, script) for script in ("Latin", "Greek", "Latin"))
    few = PairCounts(1, source, target, both)
    return not decide(said, few)


def decide(said: Mapping[str, object], counts: PairCounts) -> list[Decision]:
    """Decisions on all keys that are not ``said``.

    Args:
        said: a recipe as it was written.
        counts: of the pairs that it trains on.
    """
    taken_over = says(said, "start")
    return [
        *([] if taken_over else _tokenizers(said, counts)),
        *([] if taken_over else _model(said, counts)),
        *_training(said, counts),
    ]


def implied(said: Mapping[str, object]) -> list[Decision]:
    """Decisions on keys that are not ``said`` and follow from those that are, whatever the text."""
    if (
        value_of(said, "tokenizers.kind") != "separate"
        or says(said, "model.embedding.tie")
        or says(said, "start")
    ):
        return []
    return [Decision("model.embedding.tie", "output", _APART)]


def _kind(said: Mapping[str, object], counts: PairCounts) -> str:
    """Kind of tokenizers, where the recipe says it, or names one of them, or else by the scripts."""
    kind = value_of(said, "tokenizers.kind")
    if isinstance(kind, str):
        return kind  # "run", too, whose tokenizers leave nothing to decide
    if says(said, "tokenizers.both"):
        return "joint"
    if says(said, "tokenizers.source") or says(said, "tokenizers.target"):
        return "separate"
    return "joint" if counts.source.script == counts.target.script else "separate"


def _tokenizers(said: Mapping[str, object], counts: PairCounts) -> list[Decision]:
    """One vocabulary for both sides where they share a script, else one for each; as large as pays."""
    source, target, kind = counts.source, counts.target, _kind(said, counts)
    decisions: list[Decision] = []
    if kind == "run":
        return decisions
    if not says(said, "tokenizers.kind"):
        if any(says(said, f"tokenizers.{side}") for side in ("both", "source", "target")):
            reason = "such tokenizers are named"
        elif kind == "joint":
            reason = f"both sides are written in {source.script or 'the same signs'}"
        else:
            reason = f"{source.script or 'text'} and {target.script or 'text'} have few pieces in common"
        decisions.append(Decision("tokenizers.kind", kind, reason, opens=True))
    if kind == "joint":
        return [*decisions, *_vocabulary(said, "tokenizers.both", counts.both)]
    return [
        *decisions,
        *_vocabulary(said, "tokenizers.source", source),
        *_vocabulary(said, "tokenizers.target", target),
    ]


def _vocabulary(said: Mapping[str, object], key: str, side: SideCounts) -> list[Decision]:
    """The size of one vocabulary: what must be in it, and pieces by the root of the number of words."""
    kind = value_of(said, f"{key}.kind") or "bpe"
    if kind not in _PIECES or says(said, f"{key}.vocabulary"):
        return []
    learned = _rounded(6 * math.sqrt(side.words))
    # WordPiece has each character twice, at the front of a word and within it.
    characters = side.characters * (2 if kind == "wordpiece" else 1)
    size = math.ceil((characters + _RESERVED + learned) / 100) * 100
    reason = (
        f"{side.words:,} words show about {learned:,} pieces often enough; the rest are {characters:,} "
        f"characters and {_RESERVED} bytes and special tokens"
    )
    return [Decision(f"{key}.vocabulary", size, reason)]


def _model(said: Mapping[str, object], counts: PairCounts) -> list[Decision]:
    """A size by the number of pairs, and a shape that learns from few steps, for each key by itself."""
    if value_of(said, "model.kind") == "recurrent":
        return []
    wanted: list[Decision] = []
    if not _names_size(said):
        size = "small" if counts.pairs < _MANY_PAIRS else "base"
        wanted.append(Decision("model.preset", size, f"{counts.pairs:,} pairs to learn from", opens=True))
    if _kind(said, counts) == "separate":
        wanted.append(Decision("model.embedding.tie", "output", _APART))
    for stack in ("encoder", "decoder"):
        reason = "a norm in front of each part keeps so short a training stable at a high rate"
        wanted.append(Decision(f"model.{stack}.block.placement.kind", "pre", reason))
        reason = "few sentences teach distances sooner than places"
        wanted.append(Decision(f"model.{stack}.positions", "[{kind: rotary}]", reason))
    return [decision for decision in wanted if not says(said, decision.key)]


def _names_size(said: Mapping[str, object]) -> bool:
    """Whether the recipe says how large the model is, by name or in numbers."""
    sizes = ("preset", "d_model", "encoder.layers", "decoder.layers")
    return any(says(said, f"model.{key}") for key in sizes)


def _training(said: Mapping[str, object], counts: PairCounts) -> list[Decision]:
    tokens = _batch_tokens(said, counts)
    steps = math.ceil(counts.cells / tokens)
    ends = any(value_of(said, f"training.{limit}") is not None for limit in ("epochs", "steps"))
    timed = value_of(said, "training.minutes") is not None
    epochs = _epochs(counts)
    said_epochs, said_steps = value_of(said, "training.epochs"), value_of(said, "training.steps")
    total = steps * (said_epochs if isinstance(said_epochs, int) else epochs)
    total = said_steps if isinstance(said_steps, int) else total
    wanted = [
        Decision(
            "training.batching.tokens",
            tokens,
            f"roughly {_rounded(steps):,} steps a pass, guessed by the words before there is a tokenizer",
        )
    ]
    if not (ends or timed):
        reason = f"{counts.pairs:,} pairs have to be seen so often; how many steps that makes is told later"
        wanted.append(Decision("training.epochs", epochs, reason))
    if ends or not timed:
        reason = "the rate falls to zero where training ends"
        wanted.append(Decision("training.schedule.kind", "linear", reason, opens=True))
        every = _rounded(total / _VALIDATIONS)
        reason = f"some {_VALIDATIONS} validations in all" if every > steps else "once a pass over the pairs"
        wanted.append(Decision("training.validation.every", max(steps, every), reason))
    if says(said, "start"):
        wanted.append(Decision("training.schedule.peak", 0.0005, "weights that are trained change little"))
    else:
        wanted.append(Decision("training.schedule.peak", 0.003, "suits a model of this width and shape"))
    wanted.append(Decision("training.clip", 1.0, "no single batch may throw the model far"))
    return [decision for decision in wanted if not says(said, decision.key)]


def _batch_tokens(said: Mapping[str, object], counts: PairCounts) -> int:
    """Tokens of a batch: the power of two that makes at least so many steps of a pass, within bounds."""
    given = value_of(said, "training.batching.tokens")
    if isinstance(given, int):
        return given
    return max(_SMALLEST_BATCH, min(_LARGEST_BATCH, 2 ** int(math.log2(counts.cells / _STEPS_A_PASS))))


def _epochs(counts: PairCounts) -> int:
    """Passes over the pairs: by the cube root of their number, so that more pairs are seen less often.

    A pass over pairs that stand there three times is three passes over the different ones.
    """
    pairs = max(1, counts.pairs)
    passes = max(5, min(300, round(_EPOCHS * (3000 / pairs) ** (1 / 3))))
    return max(1, round(passes * pairs / (pairs + counts.copies)))


def _tokens(side: SideCounts) -> int:
    """Pieces of a side, roughly: of small vocabularies there are three in two words, or one a character."""
    return round(side.words if side.script == _EAST_ASIAN else 1.5 * side.words)


def _covering(counts: Counter[str]) -> int:
    """Number of the most frequent characters that make up nearly all of the text."""
    needed, covered = _COVERAGE * counts.total(), 0
    for number, (_, count) in enumerate(counts.most_common(), start=1):
        covered += count
        if covered >= needed:
            return number
    return len(counts)


def _rounded(number: float) -> int:
    """The first two digits of ``number``, rounded."""
    step = 10 ** max(0, len(str(round(number))) - 2)
    return max(1, round(number / step) * step)
