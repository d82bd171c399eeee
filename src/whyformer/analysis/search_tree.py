"""A search from inside: every candidate that was considered, and which of them became hypotheses.

S source length · W live hypotheses · C candidates
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from whyformer.decoding.beam import BeamSpec
from whyformer.decoding.greedy import GreedySpec
from whyformer.decoding.hypothesis import Candidates, Hypothesis
from whyformer.decoding.protocol import StepDecoder
from whyformer.decoding.search import search
from whyformer.engines.native.engine import NativeEngine
from whyformer.special_tokens import EOS
from whyformer.tasks.translation.translator import Translator


@dataclass(frozen=True)
class TreeNode:
    """A candidate of a search: a token that could extend a beginning."""

    id: int
    """Index among all nodes of the tree, in the order in which they were considered."""
    parent: int | None
    """Id of the node that it extends; None at the first step."""
    token: int
    log_probability: float
    """Log-probability of the token after its beginning, in nats."""
    total: float
    """Log-probability of the beginning with it, in nats."""
    living: bool
    """Whether the search went on from it."""
    ended: bool
    """Whether it ended a hypothesis that was looked at."""


@dataclass(frozen=True)
class SearchTree:
    """A search for the translation of one sentence."""

    steps: list[list[TreeNode]]
    """Nodes of each step, the likeliest first."""
    hypotheses: list[Hypothesis]
    """Hypotheses that were found, best first."""
    nodes: list[int]
    """Id of the node that each of them ended with."""


def grow_tree(translator: Translator, source: Sequence[int], settings: GreedySpec | BeamSpec) -> SearchTree:
    """Search for the translation of the tokens ``source`` (S), EOS included, and keep all candidates.

    Torch computes, or the native engine where the translator has that.

    Raises:
        DecodingError: the settings do not suit the model.
    """
    tokens = torch.tensor([list(source)], device=translator.model.output_weight.device)
    growth = _Growth(settings.build().width)
    # What the native engine computes for itself cannot be watched, and it does not see where a model looks.
    watches = isinstance(settings, BeamSpec) and settings.coverage_penalty > 0
    engine = translator.engine
    decoder: StepDecoder[Any] = (
        engine if isinstance(engine, NativeEngine) and not watches else translator.model
    )
    found = search(
        decoder,
        tokens,
        torch.ones_like(tokens, dtype=torch.bool),
        settings,
        model_limit=translator.model.longest - 1,
        consider=growth.add,
    )
    (hypotheses,) = found
    return SearchTree(growth.steps, hypotheses, [growth.node_of(each) for each in hypotheses])


class _Growth:
    """The tree so far of a search with ``width`` (W) live hypotheses."""

    def __init__(self, width: int) -> None:
        self.steps: list[list[TreeNode]] = []
        self._width = width
        self._rows: list[int | None] = [None]
        self._places = dict[tuple[int | None, int], int]()

    def add(self, candidates: Candidates) -> None:
        """Take the candidates (1,C) of a step."""
        parents, tokens = candidates.parent[0].tolist(), candidates.token[0].tolist()
        totals, summands = candidates.total[0].tolist(), candidates.log_probability[0].tolist()
        ended = candidates.ended(self._width)[0].tolist()
        nodes, rows = list[TreeNode](), list[int | None]()
        for row, token, summand, total, ends in zip(parents, tokens, summands, totals, ended, strict=True):
            if total == -float("inf"):
                continue
            place = len(self._places)
            living = token != EOS and len(rows) < self._width
            nodes.append(TreeNode(place, self._rows[row], token, summand, total, living, ends))
            self._places[self._rows[row], token] = place
            rows += [place] if living else []
        if nodes:
            self.steps.append(nodes)
        # Rows that nothing lives in go on beside the others.
        self._rows = [*rows, *[None] * (self._width - len(rows))]

    def node_of(self, hypothesis: Hypothesis) -> int:
        """The id of the node that ``hypothesis`` ends with."""
        place: int | None = None
        for token in (*hypothesis.tokens, *([EOS] if hypothesis.finished else [])):
            place = self._places[place, token]
        assert place is not None, "a hypothesis has a token"
        return place
