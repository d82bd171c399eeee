"""R-Drop: the sliced loss is its definition, the definition is the paper's, and tasks read a batch twice."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from whyformer.config.recipe_files import load_recipe
from whyformer.data.batches.batch import PairBatch
from whyformer.errors import RecipeError
from whyformer.models.encoder_decoder import AnyEncoderDecoder
from whyformer.models.gpt import GPT
from whyformer.position.layout import Layout
from whyformer.runs.registry import load_any
from whyformer.special_tokens import PAD
from whyformer.tasks.causal_lm.task import CausalLMRecipe
from whyformer.tasks.causal_lm.training import NextToken, RowBatch
from whyformer.tasks.translation.task import TranslationRecipe
from whyformer.tasks.translation.training import TeacherForcing
from whyformer.training.loss import TokenLoss, r_drop_loss, reference_r_drop_loss, token_loss
from whyformer.training.objective import Losses, Objective

N, M, V = 23, 8, 17
Loss = Callable[[Tensor, Tensor, Tensor, float, float], TokenLoss]


def example(dtype: torch.dtype = torch.float64, scale: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
    """Hidden states of two readings, table, gold tokens; the row of padding is large, so that it shows."""
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(N, M, generator=generator, dtype=torch.float64)
    noise = torch.randn(N, M, generator=generator, dtype=torch.float64)
    both = torch.cat([hidden, hidden + 0.5 * noise]) * scale
    weight = torch.randn(V, M, generator=generator, dtype=torch.float64)
    weight[PAD] *= 10
    gold = torch.randint(1, V, (N,), generator=generator)
    return both.to(dtype).requires_grad_(), weight.to(dtype).requires_grad_(), gold


def gradients(loss: Tensor, *inputs: Tensor) -> tuple[Tensor, ...]:
    return torch.autograd.grad(loss, inputs)


@pytest.mark.parametrize("alpha", [0.0, 1.0, 5.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_definition_is_half_of_the_papers_equation(alpha: float, smoothing: float):
    hidden, weight, gold = example()
    real = [token for token in range(V) if token != PAD]
    target = torch.full((N, V - 1), smoothing / (V - 2), dtype=torch.float64)
    target[torch.arange(N), gold - 1] = 1 - smoothing
    one, other = (part @ weight[real].T for part in hidden.chunk(2))
    entropies = sum(F.cross_entropy(logits, target, reduction="sum") for logits in (one, other))
    p, q = one.log_softmax(dim=-1), other.log_softmax(dim=-1)
    apart = [F.kl_div(of, to, reduction="sum", log_target=True) for of, to in ((p, q), (q, p))]
    paper = entropies + alpha * 0.5 * (apart[0] + apart[1])
    actual = reference_r_drop_loss(hidden, weight, gold, smoothing, alpha)
    torch.testing.assert_close(actual.loss.double(), paper / 2, rtol=1e-6, atol=0)
    likelihoods = [-logits.log_softmax(dim=-1)[torch.arange(N), gold - 1].sum() for logits in (one, other)]
    mean = (likelihoods[0] + likelihoods[1]).detach() / 2
    torch.testing.assert_close(actual.negative_log_likelihood.double(), mean, rtol=1e-6, atol=0)
    assert actual.tokens == N
    for ours, theirs in zip(
        gradients(actual.loss, hidden, weight), gradients(paper / 2, hidden, weight), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("alpha", [0.0, 5.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("rows", [1, 2, 7, 46, 512])
@pytest.mark.parametrize("scale", [1.0, 10.0])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_slices_give_the_same_sums_and_gradients(
    alpha: float, smoothing: float, rows: int, scale: float, dtype: torch.dtype
):
    hidden, weight, gold = example(dtype, scale)
    expected = reference_r_drop_loss(hidden, weight, gold, smoothing, alpha)
    actual = r_drop_loss(hidden, weight, gold, smoothing, alpha, rows=rows)
    torch.testing.assert_close(actual.loss, expected.loss, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(
        actual.negative_log_likelihood, expected.negative_log_likelihood, rtol=1e-5, atol=1e-5
    )
    assert actual.tokens == N
    ours = gradients(actual.loss / 7, hidden, weight)
    for one, other in zip(ours, gradients(expected.loss / 7, hidden, weight), strict=True):
        assert one.dtype == dtype
        torch.testing.assert_close(one, other, rtol=2e-5, atol=2e-4 if scale > 1 else 3e-6)
    with torch.no_grad():
        without = r_drop_loss(hidden, weight, gold, smoothing, alpha, rows=rows)
    torch.testing.assert_close(without.loss, expected.loss.detach(), rtol=1e-6, atol=1e-5)
    assert without.tokens == N


@pytest.mark.parametrize("body", [reference_r_drop_loss, r_drop_loss])
def test_two_equal_readings_are_one(body: Loss):
    hidden, weight, gold = example()
    one = hidden[:N].detach().requires_grad_()
    plain = token_loss(one, weight, gold, 0.1)
    both = body(torch.cat([one, one]), weight, gold, 0.1, 5.0)
    torch.testing.assert_close(both.loss, plain.loss)
    torch.testing.assert_close(both.negative_log_likelihood, plain.negative_log_likelihood)
    for ours, theirs in zip(
        gradients(both.loss, one, weight), gradients(plain.loss, one, weight), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("body", [reference_r_drop_loss, r_drop_loss])
def test_padding_gets_no_mass_and_no_gradient(body: Loss):
    hidden, weight, gold = example()
    before = body(hidden, weight, gold, 0.1, 5.0)
    weight_gradient = gradients(before.loss, weight)[0]
    assert not weight_gradient[PAD].any()
    with torch.no_grad():
        weight[PAD] = -weight[PAD] * 3
    torch.testing.assert_close(body(hidden, weight, gold, 0.1, 5.0).loss, before.loss, rtol=1e-6, atol=0)


def test_bf16_is_fp32_rounded():
    hidden, weight, gold = example(torch.float32)
    expected = reference_r_drop_loss(hidden, weight, gold, 0.1, 5.0)
    half = hidden.detach().bfloat16().requires_grad_()
    actual = r_drop_loss(half, weight, gold, 0.1, 5.0, rows=7)
    assert actual.loss.dtype == torch.float32
    torch.testing.assert_close(actual.loss, expected.loss, rtol=1e-2, atol=0)
    to_half, to_weight = gradients(actual.loss, half, weight)
    assert (to_half.dtype, to_weight.dtype) == (torch.bfloat16, torch.float32)
    for one, other in zip(
        (to_half.float(), to_weight), gradients(expected.loss, hidden, weight), strict=True
    ):
        assert float((one - other).norm() / other.norm()) < 0.03


@pytest.mark.parametrize("grad", [True, False])
def test_no_tokens_cost_nothing(grad: bool):
    hidden, weight, gold = example(torch.float32)
    with torch.set_grad_enabled(grad):
        empty = r_drop_loss(hidden[:0], weight, gold[:0], 0.1, 5.0)
    assert (float(empty.loss.detach()), float(empty.negative_log_likelihood), empty.tokens) == (0.0, 0.0, 0)


def translator(dropout: float) -> tuple[AnyEncoderDecoder, PairBatch]:
    overrides = [f"model.{stack}.block.dropout={dropout}" for stack in ("encoder", "decoder")] + [
        "model.d_model=32",
        f"model.embedding.dropout={dropout}",
        "model.encoder.layers=1",
    ]
    torch.manual_seed(3)
    model = load_recipe(TranslationRecipe, "reverse", overrides).model.build(V, V)
    return model, PairBatch.of([([5, 6, 7], [7, 6, 5]), ([8], [8, 9]), ([4, 4, 4, 9, 10], [11])])


def writer(dropout: float) -> tuple[GPT, RowBatch]:
    overrides = [f"model.stack.block.dropout={dropout}", f"model.embedding.dropout={dropout}"]
    torch.manual_seed(3)
    recipe = load_recipe(CausalLMRecipe, "gpt-tiny", [*overrides, "model.d_model=32", "model.stack.layers=1"])
    tokens = torch.tensor([[2, 5, 6, 2, 7], [2, 8, PAD, PAD, PAD]])
    gold = torch.tensor([[5, 6, 3, 7, 3], [8, 3, PAD, PAD, PAD]])
    position = torch.tensor([[0, 1, 2, 0, 1], [0, 1, 0, 0, 0]])
    segment = torch.tensor([[0, 0, 0, 1, 1], [0, 0, 1, 1, 1]])
    return recipe.model.build(V), RowBatch(tokens, gold, Layout(position, gold != PAD, segment))


CASES = pytest.mark.parametrize(
    ("make", "kind"), [(translator, TeacherForcing), (writer, NextToken)], ids=["translation", "causal_lm"]
)


def slopes(model: torch.nn.Module, losses: Losses) -> list[Tensor]:
    model.zero_grad()
    losses.total.backward()
    return [each.grad.clone() for each in model.parameters() if each.grad is not None]


@CASES
def test_without_dropout_a_step_is_what_it_was(
    make: Callable[[float], tuple[torch.nn.Module, object]], kind: Callable[..., Objective[torch.nn.Module]]
):
    model, batch = make(0.0)
    model.train()
    plain, twice = kind(0.1)(model, batch), kind(0.1, r_drop=5.0)(model, batch)
    assert twice.predictions == plain.predictions
    torch.testing.assert_close(twice.figures["nll"], plain.figures["nll"], rtol=1e-5, atol=1e-5)
    for ours, theirs in zip(slopes(model, twice), slopes(model, plain), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


@CASES
def test_with_dropout_the_readings_differ_and_that_costs(
    make: Callable[[float], tuple[torch.nn.Module, object]], kind: Callable[..., Objective[torch.nn.Module]]
):
    model, batch = make(0.2)
    found = dict[float, Losses]()
    for alpha in (1e-9, 5.0):
        torch.manual_seed(0)
        found[alpha] = kind(0.1, r_drop=alpha)(model.train(), batch)
    assert float(found[5.0].total.detach()) > float(found[1e-9].total.detach()) * 1.001
    torch.testing.assert_close(found[5.0].figures["nll"], found[1e-9].figures["nll"])
    # A validation reads each batch once, as it is.
    model.eval()
    plain, twice = kind(0.1)(model, batch), kind(0.1, r_drop=5.0)(model, batch)
    assert float(twice.total.detach()) == float(plain.total.detach())


def test_a_batch_that_is_repeated_is_the_same_one_again():
    _, batch = translator(0.0)
    twice = batch.repeated(2)
    for ours, theirs in ((twice.source, batch.source), (twice.target, batch.target)):
        assert torch.equal(ours.tokens, torch.cat([theirs.tokens, theirs.tokens]))
        assert torch.equal(ours.layout.real, torch.cat([theirs.layout.real, theirs.layout.real]))
        assert ours.layout.repeated(1).lengths == ours.lengths == theirs.lengths * 2
        assert theirs.layout.repeated(2).lengths == ours.lengths


@pytest.mark.parametrize("recipe", ["bert-tiny", "elmo-tiny", "tones", "moving-digits"])
def test_a_task_that_cannot_read_twice_says_so(recipe: str):
    with pytest.raises(RecipeError, match=r"training.loss.r_drop is 5 and wants each batch read twice"):
        load_any(recipe, ["training.loss.r_drop=5"])


def test_the_decoders_of_a_recogniser_have_no_such_key():
    with pytest.raises(RecipeError, match=r"loss.decoders.r_drop"):
        load_any("tones", ["loss.decoders.r_drop=5"])
