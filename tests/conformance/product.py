"""Combinations: one row of every axis, the spec that they make, what is refused, and a sample of them all."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, product
from random import Random
from typing import NamedTuple

from conformance import rows
from conformance.rows import LAYERS, LONGEST, M, Scheme
from whyformer.attention.heads import HeadsSpec
from whyformer.attention.keys import KeysSpec
from whyformer.attention.mask import Causal
from whyformer.models.transformer import TransformerSpec
from whyformer.nn.stack import StackSpec


class Combination(NamedTuple):
    """The name of a row on every axis; ``padding`` is about the data, the others about the model."""

    score: str
    heads: str
    keys: str
    query_key_norm: str
    gate: str
    positions: str
    mask: str
    value_residual: str
    norm: str
    placement: str
    residual: str
    feed_forward: str
    recurrence: str
    memory: str
    padding: str

    def __str__(self) -> str:
        return "-".join(self)


AXES: Mapping[str, Sequence[str]] = {
    "score": list(rows.SCORES),
    "heads": list(rows.HEADS),
    "keys": list(rows.KEYS),
    "query_key_norm": list(rows.QUERY_KEY_NORMS),
    "gate": list(rows.GATES),
    "positions": list(rows.POSITIONS),
    "mask": list(rows.MASKS),
    "value_residual": list(rows.VALUE_RESIDUALS),
    "norm": list(rows.NORMS),
    "placement": list(rows.PLACEMENTS),
    "residual": list(rows.RESIDUALS),
    "feed_forward": list(rows.FEED_FORWARDS),
    "recurrence": list(rows.RECURRENCES),
    "memory": list(rows.MEMORIES),
    "padding": list(rows.PADDINGS),
}
FAULTY: Mapping[str, Sequence[str]] = {
    "heads": list(rows.FAULTY_HEADS),
    "positions": list(rows.FAULTY_POSITIONS),
    "memory": list(rows.FAULTY_MEMORIES),
}
ATTENTION = ("score", "heads", "keys", "positions", "mask", "recurrence", "memory")
"""The axes inside attention."""
AROUND = ("norm", "placement", "feed_forward", "mask", "recurrence", "memory", "padding")
"""The axes around it, which meet those inside in a tensor (B,L,M) only, and the three that matter to both."""


def heads_spec(name: str) -> HeadsSpec:
    return {**rows.HEADS, **rows.FAULTY_HEADS}[name]


def schemes(name: str) -> Sequence[Scheme]:
    return {**rows.POSITIONS, **rows.FAULTY_POSITIONS}[name]


def memory_keys(name: str) -> KeysSpec | None:
    return {**rows.MEMORIES, **rows.FAULTY_MEMORIES}[name]


_PLAIN = {"heads": HeadsSpec(query=2)}
_ENCODER: Mapping[str, object] = {"layers": 1, "block": {"attention": _PLAIN}}
_DECODER: Mapping[str, object] = {
    "layers": 1,
    "mask": Causal(),
    "block": {"attention": _PLAIN, "cross_attention": _PLAIN},
}


def written(c: Combination, *, dropout: float = 0.0) -> dict[str, object]:
    """A model as in a recipe, with specs for leaves, each sound by itself.

    The combination is the decoder where it reads a memory, and else the encoder.
    """
    attention = {
        "heads": heads_spec(c.heads),
        "score": rows.SCORES[c.score].spec,
        "query_key_norm": rows.QUERY_KEY_NORMS[c.query_key_norm].spec,
        "gate": rows.GATES[c.gate].spec,
        "dropout": dropout,
    }
    keys, recurrence = memory_keys(c.memory), rows.RECURRENCES[c.recurrence]
    stack = {
        "layers": LAYERS,
        "mask": rows.MASKS[c.mask].rule,
        "value_residual": rows.VALUE_RESIDUALS[c.value_residual].spec,
        "positions": [scheme.spec for scheme in schemes(c.positions)],
        "block": {
            "attention": {**attention, "keys": rows.KEYS[c.keys].spec} if recurrence is None else None,
            "recurrence": recurrence,
            "cross_attention": None if keys is None else {**attention, "keys": keys},
            "feed_forward": rows.FEED_FORWARDS[c.feed_forward].spec,
            "norm": rows.NORMS[c.norm].spec,
            "placement": rows.PLACEMENTS[c.placement].spec,
            "residual": rows.RESIDUALS[c.residual].spec,
            "dropout": dropout,
        },
    }
    stacks = (
        {"encoder": stack, "decoder": _DECODER} if keys is None else {"encoder": _ENCODER, "decoder": stack}
    )
    return {"d_model": M, "longest": LONGEST, **stacks}


def transformer_spec(c: Combination, *, dropout: float = 0.0) -> TransformerSpec:
    return TransformerSpec.model_validate(written(c, dropout=dropout))


def stack_spec(c: Combination, *, dropout: float = 0.0) -> StackSpec:
    spec = transformer_spec(c, dropout=dropout)
    return spec.encoder if c.memory == "alone" else spec.decoder


def refusals(c: Combination) -> list[str]:
    """The documented reasons to refuse a combination, by what each sentence must name; legal without."""
    kinds = {scheme.spec.kind for scheme in schemes(c.positions)}
    by_shared, recurs = c.memory in rows.FAULTY_MEMORIES, c.recurrence != "attention"
    shares = by_shared or (c.keys != "own" and not recurs)
    dot_only = kinds & {"rotary", "shaw_keys", "transformer_xl"}
    faults = {
        "score.kind additive": c.score == "additive" and dot_only and not recurs,
        "keys.kind: own": shares and c.heads in {"grouped", "multi_query"},
        "keys.kind shared_unit brings": c.query_key_norm == "rms_heads"
        and ((c.keys == "shared_unit" and not recurs) or c.memory == "memory_by_unit"),
        "recurrence is for the decoder": recurs and c.memory == "alone",
        "block.recurrence has read all": recurs and c.mask != "causal",
        "self-attention's values": recurs and c.value_residual != "own_values",
        "whose place block.recurrence takes": recurs and kinds - {"sinusoidal", "learned"},
        "cross_attention.keys.kind": by_shared,
        "norm.kind batch": c.norm == "batch" and rows.MASKS[c.mask].causal,
        "placement.kind deep": c.placement == "deep" and c.norm == "none",
        "decoder.mask": c.memory != "alone" and not rows.MASKS[c.mask].causal,
        "attention.heads: 5": c.heads == "undivided",
        "positions.0": c.positions == "learned_short",
        "rotary": c.heads == "odd" and "rotary" in kinds,
    }
    return [name for name, is_fault in faults.items() if is_fault]


RECURRENT: Mapping[str, Sequence[str]] = {
    "mask": ["causal"],
    "memory": [row for row in rows.MEMORIES if row != "alone"],
    "positions": ["none", "sinusoidal", "learned"],
    "value_residual": ["own_values"],
    # It has no keys, so that each other row would be the same model again.
    "keys": ["own"],
    # It would mix what is packed in one row: such a model is legal, but refuses the data.
    "padding": [row for row in rows.PADDINGS if row != "packed"],
}
"""Rows that a recurrence goes with, of axes where it does not go with all."""


def is_of_its_rows(c: Combination) -> bool:
    """Whether ``c`` has no recurrence, or only rows that go with one."""
    return c.recurrence == "attention" or all(getattr(c, axis) in found for axis, found in RECURRENT.items())


def legal(axes: Sequence[str]) -> Iterator[Combination]:
    """The whole product of ``axes``; the rows of the other axes take turns, so that they too are mixed."""
    others = [axis for axis in AXES if axis not in axes]
    random = Random(0)
    for chosen in product(*(AXES[axis] for axis in axes)):
        fixed = dict(zip(axes, chosen, strict=True))
        if (found := _completed(fixed, others, random)) is not None:
            yield found


def _completed(fixed: Mapping[str, str], others: Sequence[str], random: Random) -> Combination | None:
    """``fixed`` with random rows of ``others``, a recurrence not among them; None where all are refused."""
    recurs = fixed.get("recurrence", "attention") != "attention"
    choices = {**AXES, **(RECURRENT if recurs else {"recurrence": ["attention"]})}
    for _ in range(200):
        drawn = Combination(**{**fixed, **{axis: random.choice(choices[axis]) for axis in others}})
        if not refusals(drawn) and is_of_its_rows(drawn):
            return drawn
    return None


Cell = tuple[str, str]
"""An axis and a row of it."""
CellPair = tuple[Cell, Cell]


def all_pairs() -> Iterator[CellPair]:
    for one, other in combinations(AXES, 2):
        for row, other_row in product(AXES[one], AXES[other]):
            yield (one, row), (other, other_row)


def pairs_of(c: Combination) -> set[CellPair]:
    return set(combinations(c._asdict().items(), 2))


def pairwise() -> tuple[list[Combination], list[CellPair]]:
    """Few legal combinations that together have every pair of rows; and the pairs that none can have."""
    random, chosen = Random(0), list[Combination]()
    impossible, open_pairs = list[CellPair](), dict.fromkeys(all_pairs())
    while open_pairs:
        pair = next(iter(open_pairs))
        others = [axis for axis in AXES if axis not in dict(pair)]
        # Where two hundred draws find nothing, thousands do not either.
        if (first := _completed(dict(pair), others, random)) is None:
            impossible.append(pair)
            del open_pairs[pair]
            continue
        drawn = [first, *(_completed(dict(pair), others, random) for _ in range(39))]
        candidates = [c for c in drawn if c is not None]
        best = max(candidates, key=lambda c: len(pairs_of(c) & open_pairs.keys()))
        chosen.append(best)
        for covered in pairs_of(best):
            open_pairs.pop(covered, None)
    return chosen, impossible


REDUCED, IMPOSSIBLE = pairwise()
