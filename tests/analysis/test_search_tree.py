"""The tree of a search holds every candidate, and the search is the one that is served."""

from pathlib import Path
from random import Random

import pytest
import torch

from engines.toy_models import needs_engines
from whyformer.analysis.search_tree import SearchTree, grow_tree
from whyformer.decoding.beam import BeamSpec
from whyformer.decoding.greedy import GreedySpec
from whyformer.decoding.search import search
from whyformer.engines.native.engine import NativeEngine
from whyformer.runs.load import load_as
from whyformer.special_tokens import EOS
from whyformer.tasks.translation.translator import Translator


@pytest.fixture(scope="module")
def translator(reverse_run: Path) -> Translator:
    return load_as(Translator, reverse_run)


SETTINGS = [
    GreedySpec(),
    BeamSpec(size=1),
    BeamSpec(size=4, n_best=4),
    BeamSpec(size=3, n_best=2, length_penalty=0, no_repeat_ngram=1),
    BeamSpec(size=7, n_best=7, longest_factor=0, longest_extra=2),
    BeamSpec(size=2, coverage_penalty=0.2),
]


def sources(translator: Translator) -> list[list[int]]:
    random, words = Random(5), range(4, translator.tokenizers.source.size)
    return [[*random.choices(words, k=length), EOS] for length in (1, 2, 3, 5, 8, 14)]


@pytest.mark.parametrize("settings", SETTINGS)
def test_hypotheses_are_those_of_the_search(settings: GreedySpec | BeamSpec, translator: Translator):
    for source in sources(translator):
        tree = grow_tree(translator, source, settings)
        tokens = torch.tensor([source])
        limit = translator.model.longest - 1
        wanted = search(translator.model, tokens, torch.ones_like(tokens).bool(), settings, model_limit=limit)
        assert tree.hypotheses == wanted[0]
        check(tree, settings)


def check(tree: SearchTree, settings: GreedySpec | BeamSpec) -> None:
    nodes = {node.id: node for step in tree.steps for node in step}
    assert list(nodes) == list(range(len(nodes)))
    width = settings.build().width
    assert all(node.parent is None for node in tree.steps[0])
    for before, step in zip(tree.steps, tree.steps[1:], strict=False):
        living = {node.id: node for node in before if node.living}
        for node in step:
            assert node.parent is not None
            total = living[node.parent].total + node.log_probability
            assert node.total == pytest.approx(total, abs=1e-5)
    for step in tree.steps:
        assert [node.total for node in step] == sorted((node.total for node in step), reverse=True)
        assert sum(node.living for node in step) <= width
        assert all(node.token == EOS for node in step if node.ended)
        assert not any(node.living and node.token == EOS for node in step)
    for hypothesis, leaf in zip(tree.hypotheses, tree.nodes, strict=True):
        path: list[int] = []
        place: int | None = leaf
        while place is not None:
            path.insert(0, nodes[place].token)
            place = nodes[place].parent
        assert path == [*hypothesis.tokens, *([EOS] if hypothesis.finished else [])]
        assert nodes[leaf].ended if hypothesis.finished else nodes[leaf].living


@needs_engines
def test_the_native_engine_is_watched_where_it_serves(translator: Translator):
    engine = NativeEngine(translator.model, "int8")
    native = Translator(translator.model, translator.tokenizers, BeamSpec(), engine=engine)
    for settings in (GreedySpec(), BeamSpec(size=4, n_best=3)):
        for source in sources(translator):
            tokens = torch.tensor([source])
            valid = torch.ones_like(tokens).bool()
            limit = translator.model.longest - 1
            wanted = engine(tokens, valid, settings, model_limit=limit)[0]
            tree = grow_tree(native, source, settings)
            assert [each.tokens for each in tree.hypotheses] == [each.tokens for each in wanted]
            check(tree, settings)
