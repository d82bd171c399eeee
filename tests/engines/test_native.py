"""The native engine does what the search does: exactly in fp32, nearly in int8, alike on every machine."""

import ctypes
import os
import sys
import threading
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock
from torch import Tensor
from torch.nn import functional as F

from engines.toy_models import BLOCK, MODELS, UNTIED, VOCABULARY, made, sentences
from whyformer.attention.heads import HeadsSpec
from whyformer.attention.multihead import AttentionSpec
from whyformer.decoding.beam import BeamSpec
from whyformer.decoding.greedy import GreedySpec
from whyformer.decoding.hypothesis import Hypothesis
from whyformer.decoding.ranking.order import MinimumBayesRisk
from whyformer.decoding.sampling import SamplingSpec
from whyformer.decoding.search import SearchSpec, search
from whyformer.decoding.stopping import Wanted
from whyformer.decoding.stopping_rules import Patience
from whyformer.engines.native.build import build
from whyformer.engines.native.engine import NativeEngine
from whyformer.engines.native.library import library, missing
from whyformer.engines.native.pack import NativePrecision, Packed
from whyformer.engines.native.plan import PlannedProduct, plan_of
from whyformer.errors import DecodingError, WhyformerNote
from whyformer.models.recurrent import RecurrentSpec
from whyformer.models.transformer import Transformer, TransformerSpec
from whyformer.nn.residual.norm import RMSNormSpec
from whyformer.nn.stack import BlockSpec, StackSpec
from whyformer.special_tokens import EOS, PAD

GREEDY = GreedySpec(longest_extra=8)
MARCH = f"-march={os.environ.get('WHYFORMER_TEST_MARCH', 'native')}"
VARIANTS = {
    "native": (MARCH,),
    "portable": (MARCH, "-DWHYFORMER_PORTABLE"),
    "plain": (),
}


@pytest.fixture(scope="module")
def libraries(shared_folder: Path) -> dict[str, Path]:
    """A library for each variant, compiled once, side by side, by the worker that comes first."""
    paths = {name: shared_folder / f"{name}.so" for name in VARIANTS}
    with FileLock(shared_folder / "native.lock"), ThreadPoolExecutor() as pool:
        missing = [name for name, path in paths.items() if not path.exists()]
        for reason in pool.map(lambda name: build(paths[name], VARIANTS[name]), missing):
            if reason:
                pytest.skip(f"nothing can be compiled here: {reason}")
    return paths


@pytest.fixture(scope="module")
def native(libraries: dict[str, Path]) -> Path:
    return libraries["native"]


def batch(count: int) -> tuple[Tensor, Tensor]:
    """Sentences of many lengths, padded in front and behind."""
    longest, rows = 13, [sentence[0] for sentence in sentences(count)]
    padded = [
        F.pad(row, ((n % 3 == 0) * (longest - len(row)), (n % 3 > 0) * (longest - len(row))))
        for n, row in enumerate(rows)
    ]
    source = torch.stack(padded)
    return source, source != PAD


def run(
    engine: Callable[..., list[list[Hypothesis]]], source: Tensor, settings: SearchSpec = GREEDY
) -> Hypothesis:
    return engine(source, torch.ones_like(source, dtype=torch.bool), settings, model_limit=60)[0][0]


def reference(model: Transformer, source: Tensor, settings: SearchSpec = GREEDY) -> Hypothesis:
    valid = torch.ones_like(source, dtype=torch.bool)
    return search(model, source, valid, settings, model_limit=60)[0][0]


def alike(found: list[Hypothesis], expected: list[Hypothesis]) -> list[tuple[Hypothesis, Hypothesis]]:
    """The pairs of one text: all but one in forty, which may hang on a tie or on the edge of a draw."""
    pairs = [pair for pair in zip(found, expected, strict=True) if pair[0].tokens == pair[1].tokens]
    assert len(found) - len(pairs) <= len(found) // 40
    return pairs


@pytest.mark.parametrize("name", MODELS)
def test_in_fp32_it_is_the_greedy_search(native: Path, name: str):
    model = MODELS[name]()
    engine = NativeEngine(model, "fp32", path=native)
    found = [run(engine, source) for source in sentences(50)]
    for ours, theirs in alike(found, [reference(model, source) for source in sentences(50)]):
        assert ours.finished == theirs.finished
        assert ours.token_log_probabilities == pytest.approx(theirs.token_log_probabilities, abs=1e-4)
        assert ours.score == ours.log_probability == pytest.approx(theirs.log_probability, abs=1e-3)


def test_it_stops_at_the_end_mark_and_at_the_limit(native: Path):
    found = [run(NativeEngine(made(), "int8", path=native), source) for source in sentences(20)]
    assert {hypothesis.finished for hypothesis in found} == {True, False}
    for source, hypothesis in zip(sentences(20), found, strict=True):
        written = len(hypothesis.tokens) + hypothesis.finished
        assert written == len(hypothesis.token_log_probabilities) <= source.shape[1] + 8


@pytest.mark.parametrize(
    "settings",
    [
        GreedySpec(longest_factor=0.0, longest_extra=3),
        GreedySpec(longest_extra=5, forbidden=(0, 2, *range(4, 40))),
        GreedySpec(longest_extra=5, shortest=4, prefix=(9, 8), no_repeat_ngram=1),
        BeamSpec(longest_extra=5, n_best=4),
        BeamSpec(longest_factor=0.0, longest_extra=2, size=5, n_best=3, length_penalty=1.0),
        BeamSpec(longest_extra=5, size=3, n_best=2, forbidden=(0, 2, *range(4, 40))),
        BeamSpec(longest_extra=5, size=2, shortest=4, prefix=(9, 8), no_repeat_ngram=1),
        GreedySpec(longest_extra=5, shortest=9),
        GreedySpec(longest_factor=0.0, longest_extra=2, shortest=7, forbidden=(0, 2, *range(20, 40))),
        BeamSpec(longest_extra=5, size=4, n_best=3, shortest=6),
        BeamSpec(longest_factor=0.0, longest_extra=4, size=3, shortest=4, length_penalty=0.0),
        BeamSpec(longest_extra=3, size=40, n_best=40),
        BeamSpec(longest_extra=5, size=1, length_penalty=0.0),
        BeamSpec(longest_extra=5, coverage_penalty=0.2),
        BeamSpec(longest_extra=5, size=5, n_best=2, ranking=MinimumBayesRisk()),
        BeamSpec(longest_extra=9, size=4, n_best=4, length_penalty=2.0, stopping=Patience()),
        BeamSpec(longest_extra=9, size=4, length_penalty=2.0, stopping=Patience(factor=0.3)),
        BeamSpec(longest_extra=9, size=2, shortest=5, forbidden=(0, 2, *range(5, 40)), stopping=Patience()),
        BeamSpec(
            longest_extra=9, size=3, n_best=2, ranking=MinimumBayesRisk(), stopping=Patience(factor=2.0)
        ),
        SamplingSpec(longest_extra=5, samples=3, top_k=9),
    ],
)
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.filterwarnings("ignore::whyformer.errors.WhyformerNote")
def test_it_searches_a_batch_like_torch(native: Path, name: str, settings: SearchSpec):
    model = MODELS[name]()
    source, valid = batch(40)
    found = NativeEngine(model, "fp32", path=native)(source, valid, settings, model_limit=60)
    expected = search(model, source, valid, settings, model_limit=60)
    assert [len(hypotheses) for hypotheses in found] == [len(hypotheses) for hypotheses in expected]
    for ours, theirs in alike([*chain(*found)], [*chain(*expected)]):
        assert ours.finished == theirs.finished
        assert ours.token_log_probabilities == pytest.approx(theirs.token_log_probabilities, abs=1e-4)


def test_what_it_leaves_to_torch_is_said_once(native: Path):
    engine = NativeEngine(made(), "int8", path=native)
    source, valid = batch(5)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for settings in (GREEDY, BeamSpec(longest_extra=5), BeamSpec(longest_extra=5, length_penalty=1.0)):
            engine(source, valid, settings, model_limit=60)
        assert not caught
        for penalty in (0.1, 0.3):
            engine(source, valid, BeamSpec(longest_extra=5, coverage_penalty=penalty), model_limit=60)
    (note,) = caught
    assert note.category is WhyformerNote
    assert "torch computes with a coverage_penalty" in str(note.message)


@pytest.mark.parametrize("settings", [GREEDY, BeamSpec(size=3, longest_extra=5)])
def test_who_is_wanted_no_more_leaves_and_nobody_notices(native: Path, settings: SearchSpec):
    engine, (source, valid) = NativeEngine(made(), "int8", path=native), batch(40)
    flags, place = torch.ones(8, dtype=torch.bool), torch.arange(40) % 8
    flags[[2, 5]] = False
    expected = engine(source, valid, settings, model_limit=60)
    assert engine(source, valid, settings, model_limit=60, wanted=Wanted(flags | True, place)) == expected
    found = engine(source, valid, settings, model_limit=60, wanted=Wanted(flags, place))
    for row, (ours, theirs) in enumerate(zip(found, expected, strict=True)):
        if row % 8 not in (2, 5):
            assert ours == theirs
        assert all(len(hypothesis.token_log_probabilities) <= 1 for hypothesis in ours) or row % 8 not in (
            2,
            5,
        )


def test_who_leaves_while_the_library_writes_has_a_beginning(native: Path):
    engine, (source, valid) = NativeEngine(made(), "fp32", path=native), batch(40)
    settings = GreedySpec(longest_extra=40, forbidden=(0, 2))
    (expected,) = zip(*engine(source, valid, settings, model_limit=60), strict=True)
    shorter = 0
    for wait in range(40):
        flags = torch.ones(40, dtype=torch.bool)
        timer = threading.Timer(wait / 10_000, lambda flags=flags: flags[::2].fill_(False))
        timer.start()
        (found,) = zip(*engine(source, valid, settings, model_limit=60, wanted=Wanted.by(flags)), strict=True)
        timer.join()
        assert found[1::2] == expected[1::2]
        for ours, theirs in zip(found[::2], expected[::2], strict=True):
            told = ours.token_log_probabilities
            assert told == theirs.token_log_probabilities[: len(told)]
            shorter += len(told) < len(theirs.token_log_probabilities)
    assert shorter


@pytest.mark.parametrize("precision", ["int8", "fp32"])
@pytest.mark.parametrize("settings", [GREEDY, BeamSpec(size=3, longest_extra=5)])
def test_a_sentence_depends_on_no_other_and_on_no_padding(
    native: Path, precision: NativePrecision, settings: SearchSpec
):
    engine = NativeEngine(made(), precision, path=native)
    source, valid = batch(40)
    together = engine(source, valid, settings)
    alone = [
        engine(row[mask][None], mask[mask][None], settings)[0]
        for row, mask in zip(source, valid, strict=True)
    ]
    assert together == alone


@pytest.mark.parametrize("settings", [GREEDY, GreedySpec(longest_extra=100)])
def test_what_is_too_long_for_its_tables_goes_to_the_search(native: Path, settings: GreedySpec):
    model = made()
    source = torch.full((1, 70), 5)
    valid = torch.ones_like(source, dtype=torch.bool)
    assert NativeEngine(model, "int8", path=native)(source, valid, settings) == search(
        model, source, valid, settings
    )


@pytest.mark.parametrize("name", MODELS)
def test_int8_is_near_fp32(native: Path, name: str):
    model = MODELS[name]()
    exact, rounded = (NativeEngine(model, precision, path=native) for precision in ("fp32", "int8"))
    pairs = [(run(exact, source), run(rounded, source)) for source in sentences(50)]
    firsts = [(a.token_log_probabilities[0], b.token_log_probabilities[0]) for a, b in pairs]
    assert np.mean([abs(a - b) for a, b in firsts]) < 0.1
    assert np.mean([a.tokens[:1] == b.tokens[:1] for a, b in pairs]) > 0.8


def product(path: Path, weight: Tensor, bias: Tensor, x: Tensor) -> Tensor:
    packed = Packed(plan_of(made()), "int8")
    linear = packed.linear(PlannedProduct(weight, bias))
    y = torch.empty(len(x), linear.outputs)
    library(path).whyformer_multiply(ctypes.byref(linear), x.data_ptr(), len(x), y.data_ptr())
    return y[:, : len(weight)]


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(
    ("rows", "inputs", "outputs"),
    [(1, 1, 1), (1, 512, 96), (5, 30, 33), (9, 257, 70), *((rows, 24, 7 * 32) for rows in range(1, 18))],
)
def test_a_product_in_int8_is_that_of_whole_numbers(
    libraries: dict[str, Path], variant: str, rows: int, inputs: int, outputs: int
):
    generator = np.random.default_rng(0)
    weight = generator.integers(-127, 128, (outputs, inputs))
    x = generator.uniform(-127, 127, (rows, inputs)).astype(np.float32)
    weight[:, 0], x[:, 0] = 127, -127  # so that 1 is worth 1
    bias = generator.integers(-9, 10, outputs)
    exact = np.rint(x).astype(np.int64) @ weight.T + bias
    tensors = (torch.tensor(array, dtype=torch.float32) for array in (weight, bias, x))
    assert (product(libraries[variant], *tensors).numpy() == exact).all()


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("vocabulary", [1, 15, 16, 64, 75, 300, 2_000])
@pytest.mark.parametrize("levels", [3, 10**9], ids=["many ties", "few ties"])
def test_a_ranking_is_that_of_the_search(
    libraries: dict[str, Path], variant: str, vocabulary: int, levels: int
):
    generator = np.random.default_rng(vocabulary)
    for count in (1, 2, 10, 16, 17, 33, 64, 65, 130):
        draws = generator.normal(size=vocabulary) * levels
        logits = torch.tensor(np.rint(draws) / levels * 4, dtype=torch.float32)
        logits[torch.from_numpy(generator.random(vocabulary) < 0.1)] = -torch.inf
        penalty = torch.from_numpy(np.where(generator.random(vocabulary) < 0.2, -np.inf, 0.0)).float()
        exact = logits.double().log_softmax(0)
        expected, at = (exact + penalty)[None].sort(dim=1, descending=True, stable=True)
        possible = int((expected > -torch.inf).sum())
        places, values = torch.empty(count, dtype=torch.int64), torch.empty(count)
        pointers = (logits.data_ptr(), penalty.data_ptr(), vocabulary, count)
        found = library(libraries[variant]).whyformer_rank(*pointers, places.data_ptr(), values.data_ptr())
        if not (logits > -torch.inf).any():
            assert found == -1
            continue
        assert found == min(count, possible)
        assert places[:found].tolist() == at[0, :found].tolist()
        torch.testing.assert_close(values[:found].double(), expected[0, :found], rtol=1e-6, atol=2e-6)
        for wrong in (torch.nan, torch.inf):
            logits[count % vocabulary] = wrong
            assert (
                library(libraries[variant]).whyformer_rank(*pointers, places.data_ptr(), values.data_ptr())
                == -1
            )


@pytest.mark.parametrize("dim", [5, 16, 20, 32, 48, 64])
def test_heads_of_every_size_and_sentences_of_every_length(libraries: dict[str, Path], dim: int):
    attention = AttentionSpec(heads=HeadsSpec(query=2, dim=dim))
    model = made(BLOCK.model_copy(update={"attention": attention}))
    generator = torch.Generator().manual_seed(dim)
    lengths = (1, 2, 15, 16, 17, 31, 32, 33, 40)
    sources = [torch.randint(4, VOCABULARY, (1, length), generator=generator) for length in lengths]
    exact = [reference(model, source) for source in sources]
    found = [run(NativeEngine(model, "fp32", path=libraries["native"]), source) for source in sources]
    for ours, theirs in zip(found, exact, strict=True):
        assert ours.tokens == theirs.tokens
        assert ours.token_log_probabilities == pytest.approx(theirs.token_log_probabilities, abs=1e-4)
    rounded = [
        [run(NativeEngine(model, "int8", path=path), source) for source in sources]
        for path in libraries.values()
    ]
    assert rounded[1:] == rounded[:1] * 2


@pytest.mark.parametrize("name", MODELS)
def test_every_build_gives_the_same_bits(libraries: dict[str, Path], name: str):
    # For this processor, without its instructions for int8, and for the oldest one.
    engines = [NativeEngine(MODELS[name](), "int8", path=path) for path in libraries.values()]
    found = [[run(engine, source) for source in sentences(40)] for engine in engines]
    assert found[1:] == found[:1] * 2


def test_in_fp32_builds_differ_in_the_last_bits_only(libraries: dict[str, Path]):
    engines = {name: NativeEngine(made(), "fp32", path=path) for name, path in libraries.items()}
    found = {name: [run(engine, source) for source in sentences(40)] for name, engine in engines.items()}
    for plain, native in alike(found["plain"], found["native"]):
        assert plain.score == pytest.approx(native.score, abs=1e-3)


@pytest.mark.parametrize("settings", [GREEDY, BeamSpec(size=3, longest_extra=5)])
def test_the_larger_groups_of_a_large_model_change_nothing(
    native: Path, monkeypatch: pytest.MonkeyPatch, settings: SearchSpec
):
    engine = NativeEngine(made(), "int8", path=native)
    found = engine(*batch(150), settings)
    monkeypatch.setattr("whyformer.engines.native.engine._LARGE", 0)
    for threads in (1, 2, 3):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        assert engine(*batch(150), settings) == found


def test_more_threads_change_nothing_and_none_stays(native: Path, monkeypatch: pytest.MonkeyPatch):
    engine = NativeEngine(made(), "int8", path=native)
    found: list[list[Hypothesis]] = []
    before = running_threads()
    for threads in (1, 2, 3, 7):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        found.append([run(engine, source) for source in sentences(2)])
        found[-1] += [best[0] for best in engine(*batch(40), GREEDY)]
        found[-1] += [best[0] for best in engine(*batch(5), BeamSpec(longest_extra=5))]
    assert running_threads() == before
    assert found[1:] == found[:1] * 3


def running_threads() -> int:
    return len(list(Path("/proc/self/task").iterdir())) if sys.platform == "linux" else 0


@pytest.mark.parametrize("precision", ["int8", "fp32"])
@pytest.mark.parametrize(
    "name",
    [
        "decoder.blocks.1.attention.query.weight",
        "source_embedding.weight",
        "decoder.blocks.0.feed_forward.enter.bias",
    ],
)
def test_weights_that_are_no_numbers_are_reported(native: Path, precision: NativePrecision, name: str):
    model = made()
    with torch.no_grad():
        model.get_parameter(name).view(-1)[-40:] = torch.nan
    source = torch.tensor([[VOCABULARY - 1, 3]])
    with pytest.raises(DecodingError, match="sentence 0: the model's logits are not finite numbers"):
        run(NativeEngine(model, precision, path=native), source)
    several = torch.cat([torch.tensor([[5, 3]]), source])
    for settings in (GREEDY, BeamSpec(size=3)):
        with pytest.raises(DecodingError, match=r"sentence \d: the model's logits are not finite numbers"):
            NativeEngine(model, precision, path=native)(several, several != PAD, settings)


LARGER = 300
"""Tokens of a vocabulary that is looked through in several blocks, and in a rest."""


@pytest.mark.parametrize(
    "settings",
    [
        GREEDY,
        GreedySpec(longest_extra=8, shortest=12, forbidden=(0, 2, *range(64, 128))),
        BeamSpec(longest_extra=5, size=5, n_best=5),
        BeamSpec(longest_extra=5, size=70, n_best=9, shortest=5, forbidden=(0, 2, *range(150, 260))),
    ],
)
def test_it_searches_a_larger_vocabulary_like_torch(
    native: Path, monkeypatch: pytest.MonkeyPatch, settings: SearchSpec
):
    model, (source, valid) = made(vocabulary=LARGER), batch(40)
    expected = search(model, source, valid, settings, model_limit=60)
    # All in one call: nothing is left to a search step by step.
    monkeypatch.setattr("whyformer.engines.native.engine.search", None)
    found = NativeEngine(model, "fp32", path=native)(source, valid, settings, model_limit=60)
    for ours, theirs in alike([*chain(*found)], [*chain(*expected)]):
        assert ours.finished == theirs.finished
        assert ours.token_log_probabilities == pytest.approx(theirs.token_log_probabilities, abs=1e-4)


@pytest.mark.parametrize("settings", [GREEDY, BeamSpec(size=5, n_best=5, longest_extra=5)])
def test_of_equal_tokens_the_first_comes(native: Path, settings: SearchSpec):
    model, source = made(vocabulary=LARGER), torch.tensor([[7, 9, 3]])
    # Nothing of what was read or written says anything: all tokens but two are alike, wherever they stand.
    with torch.no_grad():
        table = model.get_parameter("target_embedding.weight")
        table[:] = table[10]
        table[[131, 290]] = 0.0
    expected = search(model, source, source != PAD, settings, model_limit=9)
    found = NativeEngine(model, "fp32", path=native)(source, source != PAD, settings, model_limit=9)
    for ours, theirs in zip(found[0], expected[0], strict=True):
        assert ours.tokens == theirs.tokens


@pytest.mark.parametrize("token", [5, 63, 64, 200, LARGER - 1])
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_one_logit_that_is_no_number_is_reported_wherever_it_stands(native: Path, token: int, value: float):
    model = made(embedding=UNTIED, vocabulary=LARGER)
    with torch.no_grad():
        model.get_parameter("output_bias")[token] = value
    source = torch.tensor([[5, 3]])
    for settings in (GREEDY, BeamSpec(size=3)):
        with pytest.raises(DecodingError, match="sentence 0: the model's logits are not finite numbers"):
            NativeEngine(model, "fp32", path=native)(source, source != PAD, settings)


def test_where_only_the_end_may_follow_nothing_is_written(native: Path):
    source, valid = batch(5)
    settings = BeamSpec(size=3, n_best=3, forbidden=tuple(each for each in range(VOCABULARY) if each != EOS))
    model = made()
    found = NativeEngine(model, "fp32", path=native)(source, valid, settings)
    expected = search(model, source, valid, settings)
    for ours, theirs in zip(found, expected, strict=True):
        assert [each.tokens for each in ours] == [each.tokens for each in theirs] == [()]
        assert ours[0].score == pytest.approx(theirs[0].score, abs=1e-4)


def test_a_model_that_it_cannot_express_is_refused(native: Path):
    model = TransformerSpec(
        d_model=16, encoder=StackSpec(layers=1, block=BlockSpec(norm=RMSNormSpec()))
    ).build(20, 20)
    with pytest.raises(
        DecodingError, match=r"cannot express this model's model\.encoder\.block\.norm\.kind; "
    ):
        NativeEngine(model, "int8", path=native)
    with pytest.raises(DecodingError, match="runs Transformers only"):
        NativeEngine(RecurrentSpec(d_model=8).build(20, 20), "int8", path=native)
    with pytest.raises(DecodingError, match="runs on the CPU"):
        NativeEngine(made().to("meta"), "int8", path=native)


def test_without_a_library_it_says_so(tmp_path: Path):
    with pytest.raises(DecodingError, match="was not compiled when whyformer was installed; run `python -m"):
        NativeEngine(made(), "int8", path=tmp_path / "decode.so")
    foreign = tmp_path / "foreign.so"
    foreign.write_text("no library")
    assert "cannot be loaded" in (missing(foreign) or "")


def test_a_library_of_other_sources_is_not_used(native: Path, monkeypatch: pytest.MonkeyPatch):
    assert missing(native) is None
    monkeypatch.setattr("whyformer.engines.native.library.fingerprint", lambda: 7)
    assert "was compiled from another version's source; run `python -m" in (missing(native) or "")


def test_without_a_compiler_nothing_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CXX", "false --never")
    assert build(tmp_path / "decode.so") == "false --never failed: it does not say why"
    told = "In file included from decode.cpp:22:\\nworker.h:3:1: error: what is wrong\\n  3 | code"
    monkeypatch.setenv("CXX", f"""sh -c 'printf "{told}" >&2; exit 1'""")
    assert (build(tmp_path / "decode.so") or "").endswith("failed: worker.h:3:1: error: what is wrong")
    monkeypatch.setenv("CXX", str(tmp_path / "nowhere"))
    assert "could not be run" in (build(tmp_path / "decode.so") or "")
    monkeypatch.delenv("CXX")
    monkeypatch.setattr("whyformer.kernels.compiling.shutil.which", lambda _: None)
    assert build(tmp_path / "decode.so") == "no C++ compiler was found"
    assert list(tmp_path.iterdir()) == []
