"""A close look shows what the search itself saw, and attention that is attention."""

from pathlib import Path

import numpy as np
import pytest

from whyformer.analysis.inspection import inspect_translation
from whyformer.analysis.summary import summarize
from whyformer.data.batches.batch import Batch
from whyformer.decoding.greedy import GreedySpec
from whyformer.decoding.search import search
from whyformer.engines.native.engine import NativeEngine
from whyformer.engines.native.library import missing
from whyformer.engines.native.pack import NativePrecision
from whyformer.errors import DecodingError
from whyformer.runs.load import load_as
from whyformer.special_tokens import EOS
from whyformer.tap import Tap
from whyformer.tasks.translation.translator import Translator
from whyformer.training.storage.checkpoint import load_tensors


@pytest.fixture(scope="module")
def translator(reverse_run: Path) -> Translator:
    return load_as(Translator, reverse_run)


def test_log_probabilities_are_those_of_the_search(translator: Translator):
    source = translator.tokenizers.source.encode("0 1 2 3")
    rows = Batch.of([[*source, EOS]])
    found = search(translator.model, rows.tokens, rows.valid, GreedySpec())[0][0]
    seen = inspect_translation(translator, "0 1 2 3", translator.tokenizers.target.decode(found.tokens))
    assert [step.log_probability for step in seen.steps] == pytest.approx(
        found.token_log_probabilities, abs=1e-4
    )
    assert seen.log_probability == pytest.approx(found.log_probability, abs=1e-4)
    # Greedy search took the likeliest token each time.
    assert all(step.token == step.likeliest for step in seen.steps)


def test_a_given_translation_shows_where_the_model_disagrees(translator: Translator):
    seen = inspect_translation(translator, "0 1 2 3", "3 2 4 0")
    assert [step.token for step in seen.steps] == ["▁3", "▁2", "▁4", "▁0", "</s>"]
    wrong = seen.steps[2]
    assert wrong.likeliest == "▁1"
    assert wrong.likeliest_log_probability > wrong.log_probability
    assert wrong.others[0] == ("▁1", wrong.likeliest_log_probability)
    for step in seen.steps:
        assert len(step.others) == 3
        assert step.token not in [token for token, _ in step.others]
        chances = [value for _, value in step.others]
        assert chances == sorted(chances, reverse=True)
        assert np.exp([step.log_probability, *chances]).sum() <= 1.001
    assert seen.log_probability < inspect_translation(translator, "0 1 2 3").log_probability


def test_every_layer_is_shown_over_the_tokens_it_reads(translator: Translator):
    seen = inspect_translation(translator, "0 1 2", "2 1")
    source, target = ["▁0", "▁1", "▁2", "</s>"], ["<s>", "▁2", "▁1"]
    shown = {map_.place: (map_.layer, map_.queries, map_.keys, map_.array().shape) for map_ in seen.attention}
    assert shown == {
        "encoder self": (0, source, source, (2, 4, 4)),
        "decoder self": (0, target, target, (2, 3, 3)),
        "cross": (0, target, source, (2, 3, 4)),
    }
    written = {map_.place: map_.written for map_ in seen.attention}
    assert written == {
        "encoder self": None,
        "decoder self": ["▁2", "▁1", "</s>"],
        "cross": ["▁2", "▁1", "</s>"],
    }
    for map_ in seen.attention:
        assert np.allclose(map_.array().sum(axis=2), 1, atol=1e-5)
    causal = next(map_ for map_ in seen.attention if map_.place == "decoder self").array()
    assert not np.triu(causal, k=1).any()


@pytest.mark.skipif(missing() is not None, reason="the native engine is not compiled")
@pytest.mark.parametrize(("precision", "bound"), [("fp32", 1e-5), ("int8", 0.1)])
def test_the_native_engine_attends_as_torch_does(
    translator: Translator, precision: NativePrecision, bound: float
):
    exact = inspect_translation(translator, "0 1 2 3", "3 2 1")
    native = Translator(
        translator.model,
        translator.tokenizers,
        translator.settings,
        engine=NativeEngine(translator.model, precision),
    )
    found = inspect_translation(native, "0 1 2 3", "3 2 1")
    assert [step.token for step in found.steps] == [step.token for step in exact.steps]
    assert found.log_probability == pytest.approx(exact.log_probability, abs=4 * bound)
    assert len(found.attention) == len(exact.attention)
    for ours, theirs in zip(found.attention, exact.attention, strict=True):
        assert (ours.place, ours.layer, ours.queries) == (theirs.place, theirs.layer, theirs.queries)
        assert np.abs(ours.array() - theirs.array()).max() < bound


@pytest.mark.skipif(missing() is not None, reason="the native engine is not compiled")
def test_the_native_engine_looks_at_no_more_than_its_tables_hold(translator: Translator):
    engine = NativeEngine(translator.model, "int8")
    for source, fed in [([4] * 2_000, [2]), ([4], [2] * 2_000), ([99, 3], [2])]:
        with pytest.raises(DecodingError, match=r"knows [\d,]+ positions and 10 source tokens"):
            engine.look(source, fed)


def test_nobody_listens_afterwards(translator: Translator):
    before = translator("0 1 2")
    inspect_translation(translator, "0 1 2")
    taps = [module for module in translator.model.modules() if isinstance(module, Tap)]
    assert taps
    assert not any(tap.listening for tap in taps)
    assert translator("0 1 2") == before


@pytest.mark.parametrize(
    ("source", "translation", "complaint"),
    [
        (" ", None, "the sentence is blank"),
        ("0 " * 16, None, "has 16 tokens"),
        ("0 " * 16, "0", "the sentence has 17 tokens with its marks, but the model takes 16"),
        ("0", "0 " * 15, "the translation has 17 tokens with its marks, but the model takes 16"),
    ],
)
def test_what_the_model_cannot_take_is_refused(translator: Translator, source, translation, complaint):
    with pytest.raises(DecodingError, match=complaint):
        inspect_translation(translator, source.strip() or source, translation and translation.strip())


def test_the_anatomy_counts_every_number_once(reverse_run: Path, translator: Translator):
    anatomy = summarize(reverse_run)
    parameters = dict(translator.model.named_parameters())
    assert {weight.name: weight.shape for weight in anatomy.weights} == {
        name: tuple(parameter.shape) for name, parameter in parameters.items()
    }
    assert anatomy.numbers == sum(parameter.numel() for parameter in parameters.values())
    assert anatomy.parts.keys() == {"source_embedding", "encoder", "decoder"}
    assert sum(anatomy.parts.values()) == anatomy.numbers
    assert anatomy.recipe["encoder"] == "1 layer of 2 heads, post-norm (layer), relu, sinusoidal positions"
    step, best = load_tensors(reverse_run / "model.safetensors")[1]["step"], anatomy.recipe["trained"]
    assert best.startswith(f"{step} steps, loss ")
