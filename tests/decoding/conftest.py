"""A toy model to try the search on, slow and plain: its logits are a function of source and prefix."""

from collections.abc import Callable
from functools import cache
from random import Random

import pytest
import torch
from torch import Tensor

from whyformer.decoding.hypothesis import Hypothesis
from whyformer.decoding.search import SearchSpec, search
from whyformer.decoding.stopping import Wanted
from whyformer.position.layout import Padding, real_tokens


class ToyState:
    def __init__(self, sources: list[tuple[int, ...]], columns: list[list[int]], width: int) -> None:
        self.sources = sources
        self.columns = columns  # which source columns hold the sentence
        self.width = width
        self.prefixes: list[tuple[int, ...]] = [()] * len(sources)
        self.attention: Tensor | None = None

    def select(self, rows: Tensor) -> None:
        kept = rows.tolist()
        self.sources = [self.sources[row] for row in kept]
        self.columns = [self.columns[row] for row in kept]
        self.prefixes = [self.prefixes[row] for row in kept]


class Toy:
    """Random logits for every (source, prefix); ``levels`` rounds them, so that ties abound."""

    def __init__(self, seed: int, vocabulary: int = 6, scale: float = 2.0, levels: int | None = None) -> None:
        self.seed = seed
        self.vocabulary = vocabulary
        self.scale = scale
        self.levels = levels
        self.watched: list[bool] = []
        self.rows_per_step: list[int] = []
        self.logits = cache(self._logits)
        self.weights = cache(self._weights)

    def _logits(self, source: tuple[int, ...], prefix: tuple[int, ...]) -> list[float]:
        random = Random(f"logits {self.seed} {source} {prefix}")
        logits = [random.gauss(0, self.scale) for _ in range(self.vocabulary)]
        if self.levels is None:
            return logits
        return [round(logit / self.scale * self.levels) / self.levels for logit in logits]

    def _weights(self, source: tuple[int, ...], prefix: tuple[int, ...]) -> list[float]:
        random = Random(f"attention {self.seed} {source} {prefix}")
        return torch.tensor([random.gauss(0, 2) for _ in source]).softmax(0).tolist()

    def log_probabilities(self, source: tuple[int, ...], prefix: tuple[int, ...]) -> list[float]:
        return torch.tensor(self.logits(source, prefix)).log_softmax(0).tolist()

    def start(self, source: Tensor, valid: Padding, watch_attention: bool = False) -> ToyState:
        valid = real_tokens(valid)
        self.watched.append(watch_attention)
        columns = [row.nonzero().flatten().tolist() for row in valid]
        sources = [tuple(row[kept].tolist()) for row, kept in zip(source, valid, strict=True)]
        return ToyState(sources, columns, source.shape[1])

    def step(self, tokens: Tensor, state: ToyState) -> Tensor:
        assert len(tokens) == len(state.prefixes)
        self.rows_per_step.append(len(tokens))
        state.prefixes = [(*old, new) for old, new in zip(state.prefixes, tokens.tolist(), strict=True)]
        rows = list(zip(state.sources, state.prefixes, strict=True))
        if self.watched[-1]:
            state.attention = torch.zeros(len(rows), state.width)
            for row, (columns, row_name) in enumerate(zip(state.columns, rows, strict=True)):
                state.attention[row, columns] = torch.tensor(self.weights(*row_name))
        return torch.tensor([self.logits(*row) for row in rows])


@pytest.fixture(scope="session")
def toy() -> type[Toy]:
    return Toy


@pytest.fixture(scope="session")
def decode() -> Callable[..., list[list[Hypothesis]]]:
    """Search for sentences side by side, padded on the right (or left), with ``extra`` columns too many."""

    def run(
        model: Toy,
        sentences: list[tuple[int, ...]],
        spec: SearchSpec,
        *,
        extra: int = 0,
        left: bool = False,
        numbers: list[int] | None = None,
        model_limit: int | None = None,
        first: Tensor | None = None,
        wanted: Wanted | None = None,
        watch: Callable[[Tensor], None] | None = None,
    ) -> list[list[Hypothesis]]:
        width = max(map(len, sentences)) + extra
        source = torch.zeros(len(sentences), width, dtype=torch.int64)
        valid = torch.zeros(len(sentences), width, dtype=torch.bool)
        for row, sentence in enumerate(sentences):
            columns = slice(width - len(sentence), width) if left else slice(0, len(sentence))
            source[row, columns] = torch.tensor(sentence)
            valid[row, columns] = True
        return search(
            model,
            source,
            valid,
            spec,
            numbers=numbers,
            model_limit=model_limit,
            first=first,
            wanted=wanted,
            watch=watch,
        )

    return run
