"""Question 4 in small: one masked pass is all steps, and not under another mask."""

from dataclasses import replace

import pytest
import torch

from whyformer.attention.mask import Everything
from whyformer.why.lab.masks import GatedReader, matrix_products
from whyformer.why.questions.q04_parallel import QUESTION, Parallel


def outcomes(small: Parallel) -> dict[str, str]:
    return {
        judged.claim.key: judged.outcome
        for judged in replace(QUESTION, experiment=small).ask([101]).judgements
    }


def test_one_pass_is_all_steps():
    found = outcomes(Parallel(lengths=(1, 8, 128, 256), turns=1))
    # Exact but for rounding: 3e-6 at most in 10 seeds. Times of a single turn are not looked at.
    assert all(found[key] == "holds" for key in ("equal", "bare", "depth", "depth_lstm"))


def test_under_another_mask_it_is_not():
    findings = replace(
        QUESTION, experiment=Parallel(rule=Everything(), lengths=(1, 8, 128, 256), turns=1)
    ).ask([101])
    [equal] = [judged for judged in findings.judgements if judged.claim.key == "equal"]
    assert (equal.outcome, equal.refutes) == ("fails", True)


@pytest.mark.parametrize("length", [2, 9])
def test_an_lstm_has_products_for_each_token(length: int):
    reader = GatedReader(8, 8, 16, layers=1)
    tokens = torch.zeros(1, length, dtype=torch.int64)
    # For all inputs, for each state, for the output; three gates and the cell share theirs.
    assert matrix_products(lambda: reader(tokens)) == length + 2
