"""Question 7: padding changes nothing, and it does where the library's mask is broken."""

from dataclasses import replace

import pytest
import torch

from whyformer.attention.mask import Mask
from whyformer.why.lab.masks import unmasked
from whyformer.why.lab.toys.reader import Reader, small_network, small_stack
from whyformer.why.question import Findings
from whyformer.why.questions.q07_padding import QUESTION, SAFE, WAYS, PaddingMasks


def ask(experiment: PaddingMasks) -> Findings:
    return replace(QUESTION, experiment=experiment).ask([101])


def test_the_right_ways_are_exact_and_the_wrong_ones_are_not():
    # 20 seeds: 0 before the softmax, 6e-7 renormalised; 0.98 at least without a mask.
    assert ask(PaddingMasks()).verdict == "supported"


def test_a_library_that_does_not_mask_is_found_out():
    findings = ask(PaddingMasks(ways={**WAYS, SAFE: unmasked}))
    failed = [judged.claim.key for judged in findings.judgements if judged.outcome == "fails"]
    assert (findings.verdict, failed) == ("refuted", ["exact", "safe", "half"])


def test_an_inverted_mask_is_found_out(monkeypatch: pytest.MonkeyPatch):
    allowed = Mask.allowed.compute

    def inverted(mask: Mask) -> torch.Tensor | None:
        right = allowed(mask)
        return None if right is None else ~right

    monkeypatch.setattr(Mask, "allowed", property(inverted))
    assert ask(PaddingMasks()).verdict == "refuted"


def test_padding_does_not_reach_a_whole_stack():
    torch.manual_seed(101)
    reader = Reader(16, 4, small_stack(2, feed_forward=small_network())).eval()
    tokens = torch.randint(16, (3, 20))
    valid = torch.arange(20).expand(3, -1) < 12
    torch.testing.assert_close(reader(tokens, valid)[:, :, :12], reader(tokens[:, :12]), rtol=0, atol=1e-5)
