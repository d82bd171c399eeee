"""The spec refuses what cannot work; presets have the paper's size; tying, taps and the meta device."""

from itertools import product
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from whyformer.attention.heads import HeadsSpec
from whyformer.attention.mask import Causal, Everything
from whyformer.attention.multihead import AttentionSpec
from whyformer.attention.score import Dot
from whyformer.models.transformer import (
    Transformer,
    TransformerSpec,
    base,
    big,
    presets,
    small,
    tiny,
    transformer,
)
from whyformer.nn.embedding import EmbeddingSpec
from whyformer.nn.stack import BlockSpec, StackSpec
from whyformer.tap import attach, record

WITHOUT_MEMORY = BlockSpec()
WITH_MEMORY = BlockSpec(cross_attention=AttentionSpec())
THREE_HEADS = AttentionSpec(heads=HeadsSpec(query=3))


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        (
            {"decoder": StackSpec(mask=Causal(), block=WITHOUT_MEMORY)},
            "decoder.block.cross_attention is missing",
        ),
        ({"decoder": StackSpec(mask=Everything(), block=WITH_MEMORY)}, "decoder.mask.*causal"),
        ({"encoder": StackSpec(block=WITH_MEMORY)}, "encoder.block.cross_attention is set"),
        ({"encoder": StackSpec(block=BlockSpec(attention=THREE_HEADS))}, "3 heads do not divide d_model 512"),
        (
            {"decoder": StackSpec(mask=Causal(), block=BlockSpec(cross_attention=THREE_HEADS))},
            "3 heads do not divide d_model 512",
        ),
        ({"d_model": 100}, "8 heads do not divide d_model 100"),
        ({"d_model": 0}, "greater than or equal to 1"),
        ({"longest": 1}, "greater than or equal to 2"),
        ({"layers": 3}, "Extra inputs are not permitted"),
        ({"embedding": {"tie": "some"}}, "'all', 'output' or 'none'"),
    ],
)
def test_a_spec_that_cannot_work_is_refused(changed: dict[str, Any], complaint: str):
    with pytest.raises(ValidationError, match=complaint):
        TransformerSpec.model_validate(changed)


def test_the_default_is_the_base_model():
    assert TransformerSpec() == base()


SPECS = {"base": base(), "big": big(), "small": small(), "tiny": tiny()}


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_a_spec_survives_being_written_out(spec: TransformerSpec):
    assert TransformerSpec.model_validate(spec.model_dump(mode="json")) == spec
    assert TransformerSpec.model_validate_json(spec.model_dump_json()) == spec


def test_presets_are_the_specs_by_name():
    assert {name: TransformerSpec.model_validate(written) for name, written in presets().items()} == SPECS


def expected_parameters(layers: int, d: int, hidden: int, vocabulary: int) -> int:
    """By hand: attention 4 (d² + d); network 2 d h + h + d; norm 2 d; an encoder has 1, 1, 2 of them."""
    attention, network, norm = 4 * (d * d + d), 2 * d * hidden + hidden + d, 2 * d
    return layers * (3 * attention + 2 * network + 5 * norm) + vocabulary * d


@pytest.mark.parametrize(
    ("spec", "layers", "d", "hidden", "millions"),
    # With 37,000 tokens that is 63 and 214 in all; Vaswani et al. 2017, table 3, gives 65 and 213.
    [(base(), 6, 512, 2048, 44.1), (big(), 6, 1024, 4096, 176.4), (tiny(), 2, 128, 256, 0.66)],
    ids=["base", "big", "tiny"],
)
def test_presets_have_the_size_of_the_paper(
    spec: TransformerSpec, layers: int, d: int, hidden: int, millions: float
):
    with torch.device("meta"):
        model = spec.build(37_000, 37_000)
    count = sum(parameter.numel() for parameter in model.parameters())
    assert count == expected_parameters(layers, d, hidden, 37_000)
    assert (count - 37_000 * d) / 1e6 == pytest.approx(millions, rel=0.01)


def test_a_model_built_on_the_meta_device_takes_its_weights_later():
    spec = transformer(layers=1, d_model=8, heads=2, feed_forward=8, dropout=0.0)
    torch.manual_seed(0)
    model = spec.build(9, 9).eval()
    with torch.device("meta"):
        empty = spec.build(9, 9).eval()
    assert all(tensor.is_meta for tensor in empty.state_dict().values())
    empty.to_empty(device="cpu").load_state_dict(model.state_dict())
    tokens, valid = torch.tensor([[4, 5, 6]]), torch.ones(1, 3, dtype=torch.bool)
    assert torch.equal(empty(tokens, valid, tokens, valid), model(tokens, valid, tokens, valid))


@pytest.mark.parametrize(("tie", "tables"), [("all", 1), ("output", 2), ("none", 3)])
def test_tables_are_tied_as_asked(tie: str, tables: int):
    spec = TransformerSpec(d_model=8, embedding=EmbeddingSpec.model_validate({"tie": tie}))
    model = spec.build(11, 11 if tie == "all" else 7)
    assert sum(len(parameter) in (7, 11) for parameter in model.parameters()) == tables
    assert (model.target_embedding is model.source_embedding) == (tie == "all")
    assert (model.output_weight is model.target_embedding.weight) == (tie != "none")
    assert len(model.output_weight) == (11 if tie == "all" else 7)


def test_one_table_cannot_serve_two_vocabularies():
    with pytest.raises(ValueError, match=r"11 and 7 tokens.*tie: output"):
        tiny().build(11, 7)


def example() -> tuple[Transformer, tuple[torch.Tensor, ...]]:
    torch.manual_seed(0)
    model = transformer(layers=2, d_model=8, heads=2, feed_forward=8, dropout=0.0).build(9, 9)
    source, target = torch.tensor([[4, 5, 6, 3]]), torch.tensor([[2, 7, 8]])
    return model, (source, source > 0, target, target > 0)


def test_a_recorder_sees_scores_weights_context_and_residual_of_every_layer():
    model, inputs = example()
    with record(model) as tape:
        model(*inputs)
    attentions = [
        *(("encoder", layer, "attention", 4, 4) for layer in range(2)),
        *(("decoder", layer, "attention", 3, 3) for layer in range(2)),
        *(("decoder", layer, "cross_attention", 3, 4) for layer in range(2)),
    ]
    seen: dict[str, tuple[int, ...]] = {}
    for stack, layer, attention, queries, keys in attentions:
        taps = f"{stack}.blocks.{layer}.{attention}.taps"
        seen |= {f"{taps}.{name}": (1, 2, queries, keys) for name in ("scores", "weights")}
        seen[f"{taps}.context"] = (1, 2, queries, 4)
    branches = ("attention_branch", "cross_branch", "feed_forward_branch")
    for layer, branch in product(range(2), branches):
        seen[f"decoder.blocks.{layer}.{branch}.residual"] = (1, 3, 8)
        if branch != "cross_branch":
            seen[f"encoder.blocks.{layer}.{branch}.residual"] = (1, 4, 8)
    assert {name: tuple(heard[0].shape) for name, heard in tape.items()} == seen
    for name, heard in tape.items():
        assert len(heard) == 1
        if name.endswith("weights"):
            torch.testing.assert_close(heard[0].sum(-1), torch.ones(heard[0].shape[:-1]))


@pytest.mark.parametrize("tap", ["scores", "weights", "context"])
def test_what_a_listener_puts_in_place_is_what_the_model_uses(tap: str):
    model, inputs = example()
    before = model(*inputs)
    with attach(model, f"decoder.blocks.1.cross_attention.taps.{tap}", lambda _, x: x.flip(-1)):
        patched = model(*inputs)
    assert not torch.allclose(patched, before)
    assert torch.equal(model(*inputs), before)


def test_on_long_input_no_weights_are_formed_unless_somebody_listens(monkeypatch: pytest.MonkeyPatch):
    model, _ = example()
    tokens = torch.full((1, 512), 5)
    inputs = (tokens, tokens > 0, tokens, tokens > 0)
    formed: list[torch.Size] = []
    score = Dot.forward

    def watched(self: Dot, query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
        logits = score(self, query, key)
        formed.append(logits.shape)
        return logits

    monkeypatch.setattr(Dot, "forward", watched)
    with torch.no_grad():
        with record(model, "*.context") as contexts:
            quiet = model(*inputs)
        assert len(contexts) == 6
        assert formed == []
        with record(model, "*.cross_attention.*.weights") as tape:
            heard = model(*inputs)
    assert len(tape) == 2
    assert formed == [(1, 2, 512, 512)] * 2
    torch.testing.assert_close(heard, quiet, rtol=1e-5, atol=1e-5)
