"""On an accelerator, causal decoders take the fused kernel without a matrix, and nobody waits for the device.

Tensors of torch's device "meta" have shapes and no numbers: whoever looks at one is refused.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from whyformer.attention.kernel import choose, fused
from whyformer.attention.mask import Causal, Everything, Mask, Window
from whyformer.attention.score import Dot
from whyformer.data.batches.batch import Batch, PairBatch
from whyformer.data.batches.packing import pack
from whyformer.dropout import Dropout
from whyformer.models.encoder_decoder import AnyEncoderDecoder
from whyformer.models.gpt import tiny as tiny_gpt
from whyformer.models.transformer import Transformer, TransformerSpec, tiny
from whyformer.position.layout import Facts, Layout
from whyformer.tasks.causal_lm.training import NextToken, RowBatch
from whyformer.tasks.translation.training import TeacherForcing

META = torch.device("meta")
VOCABULARY = 20
PAIRS = [([5, 6, 7], [8, 9]), ([5], [8, 9, 10, 11]), ([5, 6], [8])]
Kernel = list[tuple[tuple[int, ...] | None, bool]]
"""For each call of torch's kernel the shape of the matrix that it adds, and whether it hides later keys."""


@pytest.fixture(autouse=True)
def no_autocast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch knows no autocast for tensors without numbers, not even whether it is off."""
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda device_type: False)


@pytest.fixture
def kernel_calls(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    calls: Kernel = []
    original: Callable[..., Tensor] = nn.functional.scaled_dot_product_attention

    def watched(*inputs: Tensor, **options: Any) -> Tensor:
        penalty: Tensor | None = options["attn_mask"]
        calls.append((None if penalty is None else tuple(penalty.shape), options["is_causal"]))
        return original(*inputs, **options)

    monkeypatch.setattr(nn.functional, "scaled_dot_product_attention", watched)
    return calls


def translator(*schemes: str) -> Transformer:
    spec = tiny().model_dump(mode="json")
    for stack in ("encoder", "decoder"):
        spec[stack]["positions"] = [{"kind": scheme} for scheme in schemes]
    return Transformer(TransformerSpec.model_validate(spec), VOCABULARY, VOCABULARY).to(META)


def losses(model: AnyEncoderDecoder) -> Tensor:
    return TeacherForcing(0.1)(model, PairBatch.of(PAIRS).to(META)).total


def test_a_causal_batch_padded_on_the_right_takes_the_kernel_without_a_matrix(kernel_calls: Kernel):
    layout = Batch.of([[5, 6, 7], [5], [5, 6]]).to(META).layout
    mask = Mask(Causal(), layout, layout)
    query, key, value = torch.empty(3, 3, 2, 3, 8, device=META).unbind()
    dropout = Dropout(0.1)
    assert choose(query, key, score=Dot(1.0), bias=None, mask=mask, dropout=dropout) == "fused"
    assert fused(query, key, value, bias=None, mask=mask, dropout=dropout).shape == query.shape
    assert kernel_calls == [(None, True)]


def test_a_window_or_unknown_padding_takes_a_matrix(kernel_calls: Kernel):
    known = Batch.of([[5, 6, 7], [5]]).to(META).layout
    unknown = Layout(known.position, known.valid, facts=Facts(bounds=(0, 2)))
    query, key, value = torch.empty(3, 2, 2, 3, 8, device=META).unbind()
    for rule, layout in ((Window(left=1, right=0), known), (Causal(), unknown)):
        mask = Mask(rule, layout, layout)
        fused(query, key, value, bias=None, mask=mask, dropout=Dropout(0.0))
    assert kernel_calls == [((2, 1, 3, 3), False), ((2, 1, 3, 3), False)]


def test_a_translator_trains_without_a_look_at_the_device(kernel_calls: Kernel):
    model = translator("sinusoidal")
    losses(model).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    # An encoder and cross-attention hide the padding of each sentence (B,1,1,S); a decoder has no matrix.
    layers, padding = tiny().encoder.layers, ((3, 1, 1, 4), False)
    assert kernel_calls == [padding] * layers + [(None, True), padding] * layers


@pytest.mark.parametrize("schemes", [(), ("rotary",)], ids=["none", "rotary"])
def test_without_a_term_for_logits_there_is_no_matrix(schemes: tuple[str, ...], kernel_calls: Kernel):
    losses(translator(*schemes)).backward()
    assert kernel_calls[tiny().encoder.layers] == (None, True)


@pytest.mark.parametrize("scheme", ["alibi", "t5", "shaw_keys", "transformer_xl"])
def test_relative_schemes_give_the_kernel_their_term(scheme: str, kernel_calls: Kernel):
    losses(translator(scheme)).backward()
    shape, is_causal = kernel_calls[tiny().encoder.layers]
    assert shape is not None
    assert shape[-2:] == (5, 5)
    assert not is_causal


def test_a_scheme_that_reads_weights_takes_the_definition(kernel_calls: Kernel):
    losses(translator("shaw_values")).backward()
    # Cross-attention has no scheme.
    assert len(kernel_calls) == tiny().decoder.layers


@pytest.mark.parametrize("packed", [False, True])
def test_a_language_model_trains_without_a_look_at_the_device(packed: bool, kernel_calls: Kernel):
    documents = [[1, 5, 6, 7, 2], [1, 5, 2], [1, 6, 6, 2]] if packed else [[1, 5, 6, 7, 2], [1, 5, 6, 2]]
    rows = pack(documents, 8 if packed else 4, seed=0)
    every = np.arange(len(rows.tokens))
    tokens, gold = (torch.from_numpy(part[every]).long().to(META) for part in (rows.tokens, rows.gold))
    model = tiny_gpt().build(VOCABULARY).to(META)
    batch = RowBatch(tokens, gold, rows.layout(every, gold != 0))
    NextToken(0.1)(model, batch).total.backward()
    assert {is_causal for _, is_causal in kernel_calls} == {not packed}


def test_real_tokens_are_found_where_lengths_are_known_and_where_not():
    batch = Batch.of([[5, 6, 7], [5], [5, 6]])
    expected = batch.valid.flatten().nonzero().flatten()
    bare = Layout(batch.layout.position, batch.valid)
    assert batch.layout.real_indices.tolist() == bare.real_indices.tolist() == expected.tolist()
    full = Layout.counting(2, 3)
    assert full.real_indices.tolist() == list(range(6))
    with pytest.raises((RuntimeError, TypeError)):
        _ = Layout(bare.position.to(META), batch.valid.to(META)).real_indices


@pytest.mark.slow
def test_a_compiled_model_is_one_graph_for_batches_of_all_shapes():
    graphs: list[torch.fx.GraphModule] = []

    def counting(graph: torch.fx.GraphModule, _: object) -> Callable[..., Any]:
        graphs.append(graph)
        return graph.forward

    model = translator("sinusoidal")
    names = [*model.state_dict()]
    torch.compiler.reset()
    model.compile(dynamic=True, fullgraph=True, backend=counting)
    try:
        for sources, targets in ((3, 4), (5, 2), (2, 7), (6, 6)):
            pairs = [([5] * sources, [8] * targets), ([5], [8] * (targets - 1))] * (1 + sources % 3)
            TeacherForcing(0.1)(model, PairBatch.of(pairs).to(META)).total.backward()
    finally:
        torch.compiler.reset()
    assert [*model.state_dict()] == names
    # The first makes a table of positions, on which the second depends.
    assert len(graphs) <= 2


def test_an_encoder_sees_all_that_is_real():
    layout = Batch.of([[5, 6], [5]]).to(META).layout
    mask = Mask(Everything(), layout, layout)
    assert mask.reachable is None
    assert mask.allowed is not None
    assert mask.allowed.shape == (2, 1, 1, 2)
