"""Every moment of a profile is counted once, under the part of the model and the operation it belongs to."""

import time
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import pytest
import torch

from whyformer.analysis.profile import Profile, Share, profile_training, profile_translation
from whyformer.analysis.trace import PYTHON, Cell, Event, Trace, mark_parts, part
from whyformer.decoding.greedy import GreedySpec
from whyformer.models.elmo import ELMoSpec
from whyformer.models.recurrent import RecurrentSpec
from whyformer.nn.vectors.characters import CharactersSpec, SpelledWords
from whyformer.runs.load import load_as
from whyformer.tasks.translation.translator import Translator

_IN_TRANSFORMER = {
    *("embedding", "encoder attention", "encoder feed-forward", "decoder attention", "cross-attention"),
    *("decoder feed-forward", "norms and residuals", "output layer and loss"),
}
_AROUND = {"data preparation", "gradient norm and clipping", "optimizer", "sums of gradients"}


def _said(line: str) -> None:
    assert line


def _by_name(shares: Sequence[Share]) -> dict[str, Share]:
    return {share.name: share for share in shares}


@pytest.fixture(scope="module")
def training(reverse_run: Path) -> Profile:
    return profile_training(reverse_run, 3, _said)


def _event(name: str, start: int, end: int, number: int = -1, thread: int = 1) -> Event:
    return Event(name, start, end, thread, number)


def test_events_are_added_up_by_the_innermost_and_gradients_follow_their_operations():
    backward = "autograd::engine::evaluate_function: "
    events = [
        _event("before", 0, 5),
        _event("part: whole", 10, 100),
        _event("part: attention", 20, 40),
        _event("aten::linear", 22, 38, number=7),  # peeks at the number that the addmm inside takes
        _event("aten::addmm", 24, 36, number=7),
        _event("aten::mm", 25, 60, thread=2),
        _event("aten::copy_", 26, 28),
        _event("part: data preparation", 40, 50),
        _event("aten::index", 42, 44, number=8),
        _event(f"{backward}IndexBackward0", 60, 64, number=8),
        _event(f"{backward}AddmmBackward0", 64, 80, number=7),
        _event("AddmmBackward0", 65, 79, number=7),
        _event("aten::mm", 66, 76),
        _event(f"{backward}torch::autograd::AccumulateGrad", 80, 82),
    ]
    trace = Trace("whole")
    trace.add(events)
    found = {cell: round(1e9 * seconds) for cell, seconds in trace.seconds.items()}
    assert found == {
        Cell("whole", False, PYTHON): 38,
        Cell("attention", False, PYTHON): 4,
        Cell("attention", False, "views and dispatch"): 4,
        Cell("attention", False, "matrix products"): 10,
        Cell("attention", False, "copies and casts"): 2,
        Cell("data preparation", False, PYTHON): 8,
        Cell("data preparation", False, "lookups"): 2,
        Cell("output layer and loss", True, "autograd"): 4,
        Cell("attention", True, "autograd"): 6,
        Cell("attention", True, "matrix products"): 10,
        Cell("sums of gradients", True, "autograd"): 2,
    }
    assert sum(found.values()) == 90
    assert trace.calls == {"attention": 1, "data preparation": 1}


def test_the_whole_is_the_time_on_the_clock():
    trace, x, inside = Trace("whole"), torch.ones(64, 64, requires_grad=True), 0.0
    outside = time.perf_counter()
    for _ in range(3):
        with trace.watching():
            began = time.perf_counter()
            with part("waiting"):
                time.sleep(0.02)
            (x @ x).sum().backward()
            inside += time.perf_counter() - began
    outside = time.perf_counter() - outside
    # Others at work on the machine may come in anywhere, so there is no tighter bound. In 40 runs beside
    # others the inner clock had at most 0.998 of the sum, the outer one at least 1.047.
    whole = sum(trace.seconds.values())
    assert inside <= 1.001 * whole
    assert whole <= outside
    assert 0.06 <= trace.seconds[Cell("waiting", False, PYTHON)] <= inside


def test_parts_and_operations_sum_to_the_whole_and_come_in_order(training: Profile):
    for shares in (training.parts, training.operations):
        assert sum(share.seconds for share in shares) == pytest.approx(training.seconds)
        assert sorted((share.seconds for share in shares), reverse=True) == [each.seconds for each in shares]
    rows = training.record()["parts"]
    assert sum(row["share"] for row in rows) == pytest.approx(1.0)
    assert all(row["ms"] == pytest.approx(row["forward_ms"] + row["backward_ms"]) for row in rows)


def test_a_training_step_has_the_parts_of_a_transformer_both_ways(training: Profile):
    parts = _by_name(training.parts)
    assert parts.keys() >= _IN_TRANSFORMER | _AROUND
    assert all(min(parts[name].forward, parts[name].backward) > 0 for name in _IN_TRANSFORMER)
    assert not any(parts[name].backward for name in ("data preparation", "optimizer"))
    # One layer each; keys and values are made by a call of their own.
    assert parts["cross-attention"].calls == parts["encoder attention"].calls == 2
    assert parts["optimizer"].calls == 1
    assert _by_name(training.operations)["matrix products"].backward > 0
    speed = training.speed
    assert min(speed.seconds, speed.tokens_per_second, speed.peak_memory or 0) > 0
    assert speed.mfu is not None
    assert 0 < speed.mfu < 1
    assert training.conditions.startswith("fp32, ")


def test_nothing_of_the_run_changes(reverse_run: Path, training: Profile):
    def contents() -> dict[Path, str]:
        files = sorted(path for path in reverse_run.rglob("*") if path.is_file())
        return {path: sha256(path.read_bytes()).hexdigest() for path in files}

    before = contents()
    assert profile_training(reverse_run, 1, _said).cells.keys() == training.cells.keys()
    assert contents() == before


def test_a_translation_is_searched_part_by_part(reverse_run: Path):
    texts = ["0 1 2", "", "4 3 2 1 0", "1"]
    found = profile_translation(load_as(Translator, reverse_run), texts, GreedySpec(), batch=2)
    parts = _by_name(found.parts)
    expected = _IN_TRANSFORMER - {"output layer and loss"} | {"output layer", "search", "tokenizer", "cache"}
    assert parts.keys() >= expected
    assert not any(share.backward for share in found.parts)
    assert (found.unit, found.count, found.speed.mfu) == ("sentence", 4, None)
    assert sum(share.seconds for share in found.parts) == pytest.approx(found.seconds)
    assert found.conditions.startswith("greedy search, 2 at a time, ")


@pytest.mark.parametrize("run", ["counting_run", "filling_run"])
def test_models_of_one_stack_have_one_attention(request: pytest.FixtureRequest, run: str):
    parts = _by_name(profile_training(request.getfixturevalue(run), 1, _said).parts)
    assert parts.keys() >= {"embedding", "attention", "feed-forward", "norms and residuals", *_AROUND}
    assert not any("encoder" in name or "cross" in name for name in parts)


def test_recurrent_models_have_their_parts():
    pair = RecurrentSpec(d_model=16).build(12, 12)
    mark_parts(pair)
    words = torch.ones(2, 5, dtype=torch.long)
    real = torch.ones(2, 5, dtype=torch.bool)
    trace = Trace("whole")
    with trace.watching():
        pair(words, real, words, real).sum().backward()
    both = {"encoder recurrent layers", "decoder recurrent layers", "cross-attention", "embedding", "dropout"}
    assert {cell.part for cell in trace.seconds if cell.backward} >= both

    spec = ELMoSpec(d_model=8, characters=CharactersSpec(filters=((1, 4),)))
    elmo, spelling = spec.build(5), torch.from_numpy(spec.characters.spell(["a", "bc"])).long()
    mark_parts(elmo)
    trace = Trace("whole")
    with trace.watching():
        forwards, backwards = elmo(
            elmo.embed(SpelledWords(spelling, torch.tensor([[0, 1]]), real[:1, :2])), real[:1, :2]
        )
        (forwards + backwards).sum().backward()
    assert {cell.part for cell in trace.seconds if cell.backward} >= {"embedding", "recurrent layers"}
