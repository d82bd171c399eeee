"""Products in bf16 and int8: how close they are, and what does not matter to a row."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from whyformer.engines import precision as packing
from whyformer.engines.precision import Int8Linear, LowPrecision, LowPrecisionLinear
from whyformer.models.transformer import Transformer, TransformerSpec, transformer
from whyformer.nn.feed_forward import SwiGLUSpec

V = 40
ERRORS: dict[LowPrecision, float] = {"bf16": 0.006, "int8": 0.015}
"""Of the norm of a product, at most."""
PRECISIONS = sorted(ERRORS)


@pytest.fixture(autouse=True)
def every_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    """However small, so that tests can be."""
    monkeypatch.setattr(packing, "_WORTH", 0)


@pytest.fixture(autouse=True, params=["what this processor has", "fp32 products"])
def products(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """As here, and as on a processor that has neither bf16 nor int8 products."""
    if request.param == "fp32 products":
        monkeypatch.setattr(packing, "has_bf16_products", lambda: False)
        monkeypatch.setattr(packing, "has_int8_products", lambda: False)


def example(rows: int, inputs: int = 96, outputs: int = 80) -> tuple[Tensor, nn.Linear]:
    torch.manual_seed(0)
    return torch.randn(rows, inputs), nn.Linear(inputs, outputs)


def packed(linear: nn.Module, precision: LowPrecision) -> nn.Module:
    """``linear``, packed."""
    holder = nn.Sequential(linear)
    packing.quantize_linear(holder, precision)
    return holder[0]


@pytest.mark.parametrize("rows", [1, 5, 40, 128])
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("bias", [True, False])
@torch.inference_mode()
def test_a_product_is_near_that_in_fp32(precision: LowPrecision, rows: int, bias: bool):
    x, linear = example(rows)
    linear = linear if bias else nn.Linear(96, 80, bias=False)
    expected, actual = linear(x), packed(linear, precision)(x)
    assert actual.dtype == torch.float32
    assert (actual - expected).norm() <= ERRORS[precision] * expected.norm()


@torch.inference_mode()
def test_int8_is_what_its_formula_says():
    x, linear = example(7)
    step = linear.weight.abs().amax(dim=1, keepdim=True) / 127
    x[1], x[2] = x[1].relu(), -x[2].relu()
    least, most = x.amin(dim=1, keepdim=True).clamp_max(0), x.amax(dim=1, keepdim=True).clamp_min(0)
    step_x = (most - least) / 255
    zero = (-least / step_x).round()
    whole = ((x / step_x + zero).round().clamp(0, 255) - zero).double()
    sums = F.linear(whole, (linear.weight / step).round().double())
    expected = sums * step_x * step.T + linear.bias
    torch.testing.assert_close(packed(linear, "int8")(x).double(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.skipif(not packing.has_lone_products(), reason="torch has no product of a row here")
@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e5])
@torch.inference_mode()
def test_a_row_alone_is_rounded_as_among_others(scale: float):
    x, linear = example(300, inputs=640, outputs=200)
    x = x * scale
    x[1], x[2], x[3] = x[1].relu(), -x[2].relu(), 0.0
    layer = packed(linear, "int8")
    assert torch.equal(torch.cat([layer(row[None]) for row in x]), layer(x))


@torch.inference_mode()
def test_logits_of_no_numbers_are_none():
    model = build(PLAIN)
    packing.quantize_linear(model, "int8")
    hidden = torch.zeros(1, 64)
    assert model.logits(hidden)[0, 1:].isfinite().all()
    for damage in (torch.nan, torch.inf):
        hidden[0, 3] = damage
        assert not model.logits(hidden)[0, 1:].isfinite().any()


@torch.inference_mode()
def test_the_largest_numbers_are_multiplied_exactly():
    ones = nn.Linear(130, 5, bias=False)
    nn.init.ones_(ones.weight)
    torch.testing.assert_close(packed(ones, "int8")(torch.ones(3, 130)), torch.full((3, 5), 130.0))


@pytest.mark.parametrize("precision", PRECISIONS)
@torch.inference_mode()
def test_mates_change_no_row(precision: LowPrecision):
    x, linear = example(130, inputs=512, outputs=300)
    layer = packed(linear, precision)
    x[1] *= 1000  # a mate of another size altogether
    together = layer(x)
    for rows in (1, 2, 7, 33, 129):
        # Sums of whole numbers are exact; the order of others may change with the rows.
        bound = 0.0 if precision == "int8" else 2**-7
        torch.testing.assert_close(layer(x[:rows]), together[:rows], rtol=bound, atol=bound)


@torch.inference_mode()
def test_int8_of_zeros_is_the_bias_and_of_what_is_no_number_no_number():
    _, linear = example(1)
    layer = packed(linear, "int8")
    assert torch.equal(layer(torch.zeros(1, 96))[0], linear.bias)
    x = torch.zeros(2, 96)
    x[0, 3] = torch.nan
    assert layer(x)[0].isnan().all()
    assert layer(x)[1].isfinite().all()


def build(spec: TransformerSpec) -> Transformer:
    torch.manual_seed(0)
    return spec.build(V, V).eval()


PLAIN = transformer(layers=2, d_model=64, heads=4, feed_forward=96, dropout=0.0)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("network", ["relu", "swiglu"])
@torch.inference_mode()
def test_a_packed_model_computes_every_product_so(precision: LowPrecision, network: str):
    spec = PLAIN
    if network == "swiglu":
        block = spec.decoder.block.model_copy(update={"feed_forward": SwiGLUSpec(hidden=96)})
        spec = spec.model_copy(update={"decoder": spec.decoder.model_copy(update={"block": block})})
    plain, low = build(spec), build(spec)
    packing.quantize_linear(low, precision)
    assert not any(isinstance(module, nn.Linear) for module in low.modules())
    count = sum(isinstance(module, LowPrecisionLinear) for module in low.modules())
    assert count == sum(isinstance(module, nn.Linear) for module in plain.modules()) + (precision == "int8")
    source = torch.randint(4, V, (3, 9))
    target = torch.randint(4, V, (3, 6))
    inputs = (source, source > 0, target, target > 0)
    expected, actual = plain.logits(plain(*inputs)), low.logits(low(*inputs))
    assert torch.equal(actual[..., 0], expected[..., 0])
    assert (actual[..., 1:] - expected[..., 1:]).norm() <= 0.05 * expected[..., 1:].norm()
    assert not torch.equal(actual, expected)


@torch.inference_mode()
def test_step_by_step_a_packed_model_computes_what_it_computes_at_once():
    model = build(PLAIN)
    packing.quantize_linear(model, "int8")
    source, target = torch.randint(4, V, (3, 9)), torch.randint(4, V, (3, 6))
    full = model.logits(model(source, source > 0, target, target > 0))
    state = model.start(source, source > 0)
    steps = torch.stack([model.step(target[:, t], state) for t in range(6)], dim=1)
    torch.testing.assert_close(steps, full, rtol=0.0, atol=0.02)
    assert isinstance(model.low_precision_output, Int8Linear)


def test_small_layers_stay_as_they_are(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(packing, "_WORTH", 64 * 96)
    model = build(PLAIN)
    packing.quantize_linear(model, "int8")
    layers = dict(model.decoder.blocks[0].named_modules())
    assert isinstance(layers["feed_forward.enter"], Int8Linear)
    assert type(layers["attention.query"]) is nn.Linear
    assert model.low_precision_output is None
