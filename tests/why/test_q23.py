"""Question 23 in small: pairs, labels, and what each objective has a loss for."""

import pytest
import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from whyformer.why.lab.toys import text
from whyformer.why.lab.training import IGNORED
from whyformer.why.questions.q23_bert import third_right, tuned


class Knowing(text.ToyBERT):
    """What a perfect model says of the pair: the other one if it is read, and else all alike."""

    def forward(self, tokens: Tensor) -> Tensor:
        other = tokens[:, [0, 1, 2, text.COPY_AT, text.COPY_AT - 1, 5]]
        sure = 50.0 * F.one_hot(other.clamp_max(text.SYMBOLS - 1), text.SYMBOLS).float()
        # (B,L,V) -> (B,V,L)
        return torch.where((other < text.SYMBOLS)[..., None], sure, torch.zeros(())).transpose(1, 2)


def test_even_a_perfect_model_breaks_pairs_that_it_fills_at_once():
    apart, in_turn, alone = text.impossible_pairs(Knowing(), Generator().manual_seed(1))
    assert apart == pytest.approx(87.5, abs=2.0)
    assert (in_turn, alone) == (0.0, 0.0)


def test_one_that_knows_nothing_breaks_them_either_way():
    torch.manual_seed(0)
    broken = text.impossible_pairs(text.ToyBERT(), Generator().manual_seed(1))
    # Six untrained models: 78 to 87.
    assert min(broken) > 70.0


def test_gpt_has_a_loss_for_every_token_and_bert_for_few():
    few, every = (
        float((family.draw(Generator().manual_seed(1), 4096).target != IGNORED).double().mean())
        for family in (text.ToyBERT, text.ToyGPT)
    )
    # At least one of six: 15 % and, where that chose none, one.
    assert every == 1.0
    assert few == pytest.approx(0.15 + 0.85**6 / 6, abs=0.01)


def test_the_third_token_is_told_without_being_read():
    torch.manual_seed(0)
    texts = text.triples(Generator().manual_seed(1), 256)
    changed = text.with_token(texts, 2, (texts[:, 2] + 1) % text.SYMBOLS)
    for family in (text.ToyBERT, text.ToyGPT):
        model = family()
        right = third_right(model, texts)
        assert 0.0 <= right < 50.0
        hidden = model(texts.masked_fill(torch.arange(6) == 2, text.SYMBOLS))[:, :, 2]
        assert torch.equal(hidden, model(changed.masked_fill(torch.arange(6) == 2, text.SYMBOLS))[:, :, 2])


def test_few_labels_teach_the_more_the_more_a_model_knows():
    torch.manual_seed(1)
    known = text.ToyBERT()
    optimizer = torch.optim.Adam(known.parameters(), lr=5e-3)
    random = Generator().manual_seed(5)
    for _ in range(200):
        texts = text.triples(random, 64)
        hidden = texts.masked_fill(torch.arange(text.TRIPLE_LENGTH) == text.JOINT_AT, text.SYMBOLS)
        optimizer.zero_grad()
        F.cross_entropy(known(hidden)[:, :, text.JOINT_AT], texts[:, text.JOINT_AT]).backward()
        optimizer.step()
    # Four seeds: 95 to 100 against 49 to 51.
    assert tuned(known, 100, 5e-3, 40, seed=1) > tuned(None, 100, 5e-3, 40, seed=1) + 20.0
