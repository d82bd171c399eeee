"""Question 22 in small: where the two sides meet, and what becomes of the three without it."""

import pytest
import torch
from torch import Generator, Tensor

from whyformer.attention.mask import Everything
from whyformer.why.lab.toys import text

FAMILIES = {"bert": text.ToyBERT, "gpt": text.ToyGPT, "elmo": text.ToyELMo}


def model_of(name: str) -> text.ToyFamily:
    """An untrained model."""
    torch.manual_seed(1)
    return FAMILIES[name]()


@pytest.mark.parametrize(("name", "jointly"), [("bert", True), ("gpt", False), ("elmo", False)])
def test_only_bert_lets_the_two_sides_meet(name: str, jointly: bool):
    share = text.joint_share(model_of(name), Generator().manual_seed(1))
    # Where the sides are apart, what is left is rounding; 20 seeds of BERT have 0.2 to 0.8.
    assert share > 1e-3 if jointly else share < 1e-6


def test_states_know_nothing_of_the_token_and_gpt_nothing_of_what_follows():
    for name in FAMILIES:
        shares = text.dependence(model_of(name), text.JOINT_AT, Generator().manual_seed(1))
        assert shares[text.JOINT_AT] == 0.0
        assert (max(shares[text.JOINT_AT :]) == 0.0) == (name == "gpt")


def test_without_its_mask_gpt_reads_both_sides():
    model = model_of("gpt")
    assert isinstance(model, text.ToyGPT)
    model.reader.stack.rule = Everything()
    assert max(text.dependence(model, text.JOINT_AT, Generator().manual_seed(1))[2:]) > 0.0


def test_a_read_out_by_a_sum_cannot_be_an_exclusive_or():
    class Known(text.ToyELMo):
        """States that spell both neighbours, as no training could do better."""

        def states(self, texts: Tensor, at: int) -> Tensor:
            sides = (texts[:, at - 1], texts[:, at + 1])
            return torch.cat(
                [torch.nn.functional.one_hot(side, self.dim // 2) for side in sides], dim=1
            ).float()

    texts = text.triples(Generator().manual_seed(2), 512)
    right: dict[int, float] = {}
    for hidden in (0, 128):
        torch.manual_seed(0)
        read = text.ReadOut(Known(), text.JOINT_AT, hidden)
        optimizer = torch.optim.Adam(read.parameters(), lr=1e-2)
        for _ in range(100):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(read(texts), texts[:, text.JOINT_AT]).backward()
            optimizer.step()
        right[hidden] = float((read(texts).argmax(dim=1) == texts[:, text.JOINT_AT]).double().mean())
    assert right[0] < 0.5
    assert right[128] > 0.95


def test_texts_that_fit_do():
    texts = text.triples(Generator().manual_seed(3), 64)
    assert text.fitting(texts) == 100.0
    assert text.fitting(text.with_token(texts, 1, (texts[:, 1] + 1) % text.SYMBOLS)) == 50.0
