"""The catalogue of parts: all that there is to choose from, and the pairs that do not go together.

Both are read from the specs: members, meaning and source of each union, and for every pair of choices the
verdict of the validator. So a new part is in the catalogue as soon as it is in its union.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any, cast, get_args

from pydantic import ValidationError

from whyformer.attention.gate import GateSpec
from whyformer.attention.keys import KeysSpec
from whyformer.attention.mask import Both, Causal, Chunk, Either, MaskRule, SameSegment, Window
from whyformer.attention.query_key_norm import QueryKeyNormSpec
from whyformer.attention.score import ScoreSpec
from whyformer.data.segmentation.segmentation import SegmentationSpec
from whyformer.data.tokenizers.kinds import TokenizerSpec
from whyformer.decoding.ctc.search import CTCSearchSpec
from whyformer.decoding.ranking.order import RankingSpec
from whyformer.decoding.search import SearchSpec
from whyformer.decoding.stopping_rules import StoppingSpec
from whyformer.errors import bare_complaint
from whyformer.models.streaming.encoder import FrontSpec
from whyformer.nn.feed_forward import FeedForwardSpec
from whyformer.nn.recurrent.ssru import RecurrenceSpec
from whyformer.nn.residual.norm import NormSpec
from whyformer.nn.residual.placement import PlacementSpec, ResidualSpec
from whyformer.nn.residual.values import ValueResidualSpec
from whyformer.nn.stack import StackSpec
from whyformer.nn.streaming.chunking import ChunkingSpec
from whyformer.position.positions import PositionSpec
from whyformer.spec import Spec
from whyformer.training.optimization.dropout import DropoutScheduleSpec
from whyformer.training.optimization.optimizer import OptimizerSpec
from whyformer.training.optimization.schedule import ScheduleSpec

Tree = dict[str, Any]
"""A piece of a recipe; by nature a free mapping."""

_WIDTH = 64
_LONGEST = 512


@dataclass(frozen=True)
class Part:
    """One alternative."""

    room: str
    """Place that it is an alternative for."""
    name: str
    meaning: str
    origin: str
    """Paper and section or equation."""
    value: Any
    """Value in a recipe, defaults left out."""


@dataclass(frozen=True)
class Refusal:
    """Two choices that cannot stand together, as ``room name``."""

    first: str
    second: str
    reason: str


@dataclass(frozen=True)
class Catalogue:
    """All parts, and what the validator says to their pairs."""

    parts: list[Part]
    pairs: int
    """Number of pairs that were tried."""
    refused: list[Refusal]


_UNIONS: dict[str, object] = {
    "score": ScoreSpec,
    "keys": KeysSpec,
    "query_key_norm": QueryKeyNormSpec,
    "gate": GateSpec,
    "positions": PositionSpec,
    "mask": MaskRule,
    "value_residual": ValueResidualSpec,
    "norm": NormSpec,
    "placement": PlacementSpec,
    "residual": ResidualSpec,
    "feed_forward": FeedForwardSpec,
    "recurrence": RecurrenceSpec,
    "schedule": ScheduleSpec,
    "dropout_schedule": DropoutScheduleSpec,
    "optimizer": OptimizerSpec,
    "tokenizer": TokenizerSpec,
    "segmentation": SegmentationSpec,
    "decoding": SearchSpec,
    "ranking": RankingSpec,
    "stopping": StoppingSpec,
    "front": FrontSpec,
    "chunking": ChunkingSpec,
    "ctc_search": CTCSearchSpec,
}
# Kinds that have to be told a number or a rule: with these.
_EXAMPLES: tuple[Spec, ...] = (
    Window(left=8, right=8),
    Chunk(size=8, left_chunks=1),
    Both(first=Causal(), second=SameSegment()),
    Either(first=Window(left=8, right=8), second=SameSegment()),
)
# One object, several numbers: choices that have a name of their own all the same.
_VASWANI = "Vaswani et al. 2017, section 3"
_NUMBERS = (
    Part("heads", "multi", "Several narrow heads.", f"{_VASWANI}.2.2", {"query": 4}),
    Part("heads", "single", "One head as wide as the model.", f"{_VASWANI}.2.1", {"query": 1}),
    Part(
        "heads",
        "grouped",
        "Groups of query heads share keys and values.",
        "Ainslie et al. 2023, section 2.2",
        {"query": 4, "key_value": 2},
    ),
    Part(
        "heads",
        "multi_query",
        "All query heads share keys and values.",
        "Shazeer 2019, section 3",
        {"query": 4, "key_value": 1},
    ),
    Part(
        "heads", "full_width", "Several heads as wide as the model.", "a control", {"query": 4, "dim": _WIDTH}
    ),
    Part("embedding", "three tables", "Source, target and output apart.", "a control", {"tie": "none"}),
    Part(
        "embedding",
        "two-way tie",
        "Target and output share a table.",
        "Press and Wolf 2017",
        {"tie": "output"},
    ),
    Part("embedding", "three-way tie", "Source shares it too.", "Press and Wolf 2017", {"tie": "all"}),
    Part("embedding", "scaled", "Vectors times √d_model.", f"{_VASWANI}.4", {"scale": True}),
    Part("embedding", "unscaled", "Vectors as they are.", "a control", {"scale": False}),
    Part(
        "embedding", "by width", "First vectors from N(0, 1/d_model).", "tensor2tensor", {"deviation": None}
    ),
    Part("embedding", "fixed", "First vectors from N(0, 0.02²).", "BERT, GPT-2", {"deviation": 0.02}),
    Part(
        "loss", "cross_entropy", "All probability on the true token.", "a control", {"label_smoothing": 0.0}
    ),
    Part(
        "loss",
        "label_smoothing",
        "A share of it on all others.",
        "Szegedy et al. 2016, section 7",
        {"label_smoothing": 0.1},
    ),
    Part(
        "loss",
        "r_drop",
        "Two readings under different dropout, drawn together.",
        "Wu et al. 2021, section 2",
        {"r_drop": 5.0},
    ),
    Part("positions", "none", "No scheme: attention sees a bag of tokens.", "a control", []),
)


_ATTENTION = ("heads", "keys", "score", "query_key_norm", "gate")
_BLOCK = ("norm", "placement", "residual", "feed_forward")
_STACK = ("positions", "mask", "value_residual")
_REST = (
    "recurrence",
    "embedding",
    "loss",
    "schedule",
    "dropout_schedule",
    "optimizer",
    "tokenizer",
    "segmentation",
    "decoding",
    "ranking",
    "stopping",
    "front",
    "chunking",
    "ctc_search",
)
_ROOMS = (*_ATTENTION, *_STACK, *_BLOCK, *_REST)
# Not a part, but a choice that parts have to suit.
_PLACES = tuple(Part("place", place, "", "", None) for place in ("attention", "cross_attention"))


def catalogue() -> Catalogue:
    """All parts, and every pair of an attention stack's parts put to the validator."""
    parts = sorted([*_members(), *_NUMBERS], key=lambda part: _ROOMS.index(part.room))
    choices = [*_PLACES, *(part for part in parts if part.room not in _REST)]
    pairs = [(a, b) for a, b in combinations(choices, 2) if a.room != b.room]
    refused = [Refusal(_name(a), _name(b), fault) for a, b in pairs if (fault := _complaint(a, b))]
    return Catalogue(parts, len(pairs), refused)


def _members() -> Iterator[Part]:
    """The members of all unions."""
    examples = {type(example): example for example in _EXAMPLES}
    for room, union in _UNIONS.items():
        for member in _kinds(union):
            value = (
                examples[member].model_dump() if member in examples else member().model_dump(include={"kind"})
            )
            kind = str(value["kind"])
            meaning = (member.__doc__ or "").splitlines()[0]
            yield Part(room, kind, meaning, member.origin, [value] if room == "positions" else value)


def _kinds(union: object) -> tuple[type[Spec], ...]:
    """The members of a ``union``, or the only one that there is so far."""
    inside = get_args(union)[0]
    return cast("tuple[type[Spec], ...]", get_args(inside) or (inside,))


def _name(part: Part) -> str:
    return f"{part.room} {part.name}"


def _complaint(*parts: Part) -> str | None:
    """Complaint of the validator about an attention stack with ``parts``; None where it has none."""
    chosen = {part.room: part for part in parts}
    place = chosen["place"].name if "place" in chosen else "attention"
    values = {room: part.value for room, part in chosen.items()}
    block = {room: values[room] for room in _BLOCK if room in values}
    block[place] = {room: values[room] for room in _ATTENTION if room in values}
    stack = {room: values[room] for room in _STACK if room in values}
    try:
        StackSpec.model_validate({**stack, "block": block}).check(_WIDTH, _LONGEST)
    except ValidationError as error:
        return "; ".join(bare_complaint(fault["msg"]) for fault in error.errors())
    except ValueError as error:
        return str(error)
    return None
