"""A bias of the output and marks that are never predicted: in the logits, in the loss, and in no old run.

N tokens · M model dimension · V vocabulary
"""

import pytest
import torch
from torch.nn import functional as F

from whyformer.config.validation import check
from whyformer.errors import RecipeError
from whyformer.models.bert import BERTSpec
from whyformer.models.gpt import GPT, GPTSpec
from whyformer.models.recurrent import RecurrentSpec
from whyformer.models.transformer import TransformerSpec
from whyformer.special_tokens import BOS, PAD, UNK
from whyformer.training.loss import token_loss

V, M, N = 12, 8, 5
STACK = {"layers": 1, "block": {"attention": {"heads": {"query": 2}}, "feed_forward": {"hidden": 8}}}


def gpt(**embedding: object) -> GPT:
    torch.manual_seed(0)
    spec = {"preset": "tiny", "d_model": M, "stack": STACK, "longest": 16, "embedding": embedding}
    model = check(GPTSpec, spec, "a test").build(V)
    if model.output_bias is not None:
        torch.nn.init.normal_(model.output_bias)
    return model


@pytest.mark.parametrize("tie", ["output", "none"])
def test_a_bias_is_in_the_logits_and_in_the_loss_with_its_gradient(tie: str):
    model = gpt(tie=tie, output_bias=True)
    bias, hidden, gold = model.output_bias, torch.randn(N, M), torch.arange(4, 4 + N)
    assert bias is not None
    logits = model.logits(hidden)
    plain = (hidden @ model.output_weight.T + bias).index_fill(1, torch.tensor([PAD]), -torch.inf)
    torch.testing.assert_close(logits, plain)
    part = token_loss(*model.scored(hidden), gold, 0.0)
    expected = F.cross_entropy(plain, gold, reduction="sum")
    torch.testing.assert_close(part.loss, expected)
    (gradient,) = torch.autograd.grad(part.loss, bias)
    (wanted,) = torch.autograd.grad(expected, bias)
    torch.testing.assert_close(gradient, wanted)


@pytest.mark.parametrize("output_bias", [False, True])
def test_what_is_never_predicted_takes_no_probability(output_bias: bool):
    model, hidden = gpt(output_bias=output_bias, unpredicted=(UNK, BOS)), 3 * torch.randn(N, M)
    probability = model.logits(hidden).softmax(dim=-1)
    assert probability[:, [PAD, UNK, BOS]].eq(0).all()
    free = gpt(output_bias=output_bias).logits(hidden)
    expected = free.index_fill(1, torch.tensor([UNK, BOS]), -torch.inf).softmax(dim=-1)
    torch.testing.assert_close(probability, expected)
    gold = torch.full((N,), 5)
    part = token_loss(*model.scored(hidden), gold, 0.0)
    torch.testing.assert_close(part.loss, -expected[:, 5].log().sum())


def test_runs_from_before_have_the_same_tensors():
    assert not {name for name in gpt().state_dict() if "bias" in name and "blocks" not in name} - {
        "stack.final_norm.bias"
    }
    assert "_never" not in gpt(unpredicted=(UNK,)).state_dict()
    assert "output_bias" in gpt(output_bias=True).state_dict()


@pytest.mark.parametrize("spec_type", [TransformerSpec, RecurrentSpec])
def test_translators_may_have_a_bias_too(spec_type: type[TransformerSpec | RecurrentSpec]):
    model = check(spec_type, {"embedding": {"output_bias": True}}, "a test").build(V, V)
    torch.nn.init.normal_(model.get_parameter("output_bias"))
    hidden = torch.randn(N, model.output_weight.shape[1])
    states, table = model.scored(hidden)
    torch.testing.assert_close((states @ table.T)[:, 1:], model.logits(hidden)[:, 1:], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("field", [{"output_bias": True}, {"unpredicted": (1,)}])
def test_bert_has_a_bias_of_its_own(field: dict[str, object]):
    with pytest.raises(RecipeError, match="are not for BERT"):
        check(BERTSpec, {"embedding": field}, "a test")
