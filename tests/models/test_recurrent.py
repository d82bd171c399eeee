"""Recurrent translators: steps are the full pass, padding and the future change nothing, search works."""

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from whyformer.attention.heads import HeadsSpec
from whyformer.attention.keys import SharedKeysSpec
from whyformer.attention.multihead import AttentionSpec
from whyformer.attention.score import AdditiveSpec, ScaledDotSpec, ScoreSpec
from whyformer.decoding.beam import BeamSpec
from whyformer.decoding.search import search
from whyformer.models.recurrent import RecurrentSpec, RecurrentTranslator
from whyformer.nn.recurrent.cells import CellSpec, GRUSpec, LSTMSpec

V, LSTM = 15, LSTMSpec()
SOURCE = torch.randint(4, V, (3, 6), generator=torch.Generator().manual_seed(0))
VALID = torch.arange(6) < torch.tensor([[6], [2], [4]])
TARGET = torch.randint(4, V, (3, 5), generator=torch.Generator().manual_seed(1))


def attention(score: ScoreSpec) -> AttentionSpec:
    return AttentionSpec(heads=HeadsSpec(query=1), score=score)


def build(attends: AttentionSpec | None, cell: CellSpec = LSTM, layers: int = 2) -> RecurrentTranslator:
    torch.manual_seed(0)
    spec = RecurrentSpec(d_model=12, attention=attends, cell=cell, layers=layers)
    return spec.build(V, V).double().eval()


KINDS = pytest.mark.parametrize(
    "model",
    [
        build(attention(AdditiveSpec())),
        build(attention(ScaledDotSpec()), GRUSpec()),
        build(None),
        build(AttentionSpec(heads=HeadsSpec(query=3)), layers=1),
    ],
    ids=["lstm additive", "gru dot", "lstm none", "one layer, three heads"],
)


def full(model: RecurrentTranslator, source: Tensor = SOURCE, target: Tensor = TARGET) -> Tensor:
    return model(source, VALID, target, torch.ones_like(target).bool())


@KINDS
def test_steps_are_the_full_pass_also_after_rows_moved(model: RecurrentTranslator):
    expected = model.logits(full(model))
    state, rows = model.start(SOURCE, VALID), torch.arange(3)
    for t in range(5):
        torch.testing.assert_close(model.step(TARGET[rows, t], state), expected[rows, t])
        moved = torch.tensor([2, 0, 0, 1])
        state.select(moved)
        rows = rows[moved]


@KINDS
def test_padding_and_batch_mates_change_nothing(model: RecurrentTranslator):
    alone = model(SOURCE[1:2, :2], VALID[1:2, :2], TARGET[1:2], torch.ones(1, 5).bool())
    torch.testing.assert_close(full(model)[1:2], alone)
    other = SOURCE.masked_fill(~VALID, 7)
    torch.testing.assert_close(full(model, other), full(model), rtol=0, atol=0)


@KINDS
def test_no_output_depends_on_a_later_input(model: RecurrentTranslator):
    changed = TARGET.clone()
    changed[:, 3] = 4 + (changed[:, 3] - 3) % (V - 4)
    torch.testing.assert_close(full(model, target=changed)[:, :3], full(model)[:, :3], rtol=0, atol=0)
    assert not torch.allclose(full(model, target=changed)[:, 3:], full(model)[:, 3:])


@KINDS
def test_every_weight_gets_a_gradient(model: RecurrentTranslator):
    # Squares under a direction: the sum of a normalised thing can be constant.
    full(model).square().mul(torch.arange(12)).sum().backward()
    assert [name for name, weight in model.named_parameters() if weight.grad is None] == []
    model.zero_grad()


def test_a_beam_finds_the_same_whatever_the_batch():
    model = build(attention(AdditiveSpec()))
    together = search(model, SOURCE, VALID, BeamSpec(size=3), model_limit=8)
    for row, found in enumerate(together):
        length = int(VALID[row].sum())
        (alone,) = search(
            model,
            SOURCE[row : row + 1, :length],
            VALID[row : row + 1, :length],
            BeamSpec(size=3),
            model_limit=8,
        )
        assert [each.tokens for each in alone] == [each.tokens for each in found]


def test_a_coverage_penalty_sees_where_the_decoder_looked():
    state = (model := build(attention(ScaledDotSpec()))).start(SOURCE, VALID, watch_attention=True)
    model.step(TARGET[:, 0], state)
    assert state.attention is not None
    torch.testing.assert_close(state.attention.sum(dim=1), torch.ones(3).double())
    assert not state.attention[~VALID].any()


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"attention": AttentionSpec(keys=SharedKeysSpec())}, "different sequences; use own"),
        ({"attention": AttentionSpec(heads=HeadsSpec(query=7))}, "7 heads do not divide d_model 256"),
        ({"d_model": 7}, "multiple of 2"),
    ],
)
def test_a_spec_that_cannot_work_is_refused(changed: dict[str, object], complaint: str):
    with pytest.raises(ValidationError, match=complaint):
        RecurrentSpec.model_validate(changed)
