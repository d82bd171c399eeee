"""Question 15: the mask is the difference, and a mask that lets one later token through is found out."""

from dataclasses import replace

import pytest
from torch import Tensor

from whyformer.attention.mask import Causal
from whyformer.position.layout import Layout
from whyformer.position.offsets import facing
from whyformer.why.question import Findings
from whyformer.why.questions.q15_self_attentions import QUESTION, SelfAttentions


def ask() -> Findings:
    return replace(QUESTION, experiment=SelfAttentions(lengths=(128, 512), turns=2)).ask([101])


def test_the_mask_is_the_only_difference():
    # 20 seeds: exactly 0 for the decoder, 0.58 at least for the encoder, whose states change by 0.05 to 0.2.
    found = {judged.claim.key: judged.outcome for judged in ask().judgements}
    found.pop("cheaper")  # a time
    assert {*found.values()} == {"holds"}


def test_a_mask_that_leaks_is_found_out(monkeypatch: pytest.MonkeyPatch):
    def leaking(self: Causal, queries: Layout, keys: Layout) -> Tensor:
        query, key = facing(queries, keys)
        return key <= query + 1

    monkeypatch.setattr(Causal, "allows", leaking)
    findings = ask()
    failed = [judged.claim.key for judged in findings.judgements if judged.refutes]
    assert (findings.verdict, failed) == ("refuted", ["causal", "kept"])
