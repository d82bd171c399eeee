"""Step by step with a cache is the full pass, whatever is selected on the way."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from whyformer.models.transformer import Transformer, TransformerSpec, transformer
from whyformer.nn.residual.placement import PreNormSpec
from whyformer.tap import record

V = 15
PLAIN = transformer(layers=2, d_model=16, heads=2, feed_forward=24, dropout=0.1)


def pre_norm() -> TransformerSpec:
    written = PLAIN.model_dump()
    for side in ("encoder", "decoder"):
        written[side]["block"]["placement"] = PreNormSpec().model_dump()
        written[side]["block"]["attention"]["heads"] = {"query": 4, "key_value": 2, "dim": 3}
    return TransformerSpec.model_validate(written)


def with_additions() -> TransformerSpec:
    """Parts that newer Transformers add."""
    written = pre_norm().model_dump()
    for side in ("encoder", "decoder"):
        written[side]["positions"] = [{"kind": "rotary"}]
        written[side]["block"]["attention"]["heads"]["dim"] = 4
        written[side]["value_residual"] = {"kind": "first_layer"}
        written[side]["block"]["residual"] = {"kind": "weighted", "embedded": True}
        for place in ("attention", "cross_attention"):
            if written[side]["block"][place] is not None:
                written[side]["block"][place]["query_key_norm"] = {"kind": "rms"}
                written[side]["block"][place]["gate"] = {"kind": "sigmoid"}
    return TransformerSpec.model_validate(written)


def build(spec: TransformerSpec) -> Transformer:
    torch.manual_seed(0)
    return spec.build(V, V).eval()


def recurrent() -> TransformerSpec:
    written = PLAIN.model_dump()
    written["decoder"]["layers"] = 1
    written["decoder"]["block"] |= {"attention": None, "recurrence": {"kind": "ssru"}}
    return TransformerSpec.model_validate(written)


MODELS = {
    "post": build(PLAIN),
    "pre, grouped heads": build(pre_norm()),
    "additions": build(with_additions()),
    "a recurrence, shallow": build(recurrent()),
}
SOURCE = torch.randint(4, V, (3, 6), generator=torch.Generator().manual_seed(0))


def source_valid(side: str) -> Tensor:
    length = torch.tensor([[6], [2], [4]])
    return torch.arange(6) >= 6 - length if side == "left" else torch.arange(6) < length


def full(model: Transformer, sentences: Tensor, side: str, prefixes: Tensor) -> Tensor:
    """Logits (R,V) after ``prefixes`` (R,T), computed afresh."""
    hidden = model(
        SOURCE[sentences], source_valid(side)[sentences], prefixes, torch.ones_like(prefixes).bool()
    )
    return model.logits(hidden[:, -1])


@settings(max_examples=20)
@given(
    name=st.sampled_from(sorted(MODELS)),
    side=st.sampled_from(["left", "right"]),
    selections=st.lists(
        st.one_of(st.none(), st.lists(st.integers(0, 10**6), min_size=1, max_size=7)), min_size=1, max_size=8
    ),
    seed=st.integers(0, 99),
)
def test_steps_are_the_full_pass_for_beams_of_any_kind(
    name: str, side: str, selections: list[list[int] | None], seed: int
):
    model, generator = MODELS[name], torch.Generator().manual_seed(seed)
    sentences, prefixes = torch.arange(3), torch.empty(3, 0, dtype=torch.int64)
    with torch.inference_mode():
        state = model.start(SOURCE, source_valid(side))
        for chosen in selections:
            if chosen is not None:
                rows = torch.tensor([number % len(sentences) for number in chosen])
                state.select(rows)
                sentences, prefixes = sentences[rows], prefixes[rows]
            tokens = torch.randint(2, V, (len(sentences),), generator=generator)
            prefixes = torch.cat([prefixes, tokens[:, None]], dim=1)
            logits = model.step(tokens, state)
            assert logits.shape == (len(sentences), V)
            torch.testing.assert_close(logits, full(model, sentences, side, prefixes), rtol=1e-5, atol=1e-5)


def test_beams_that_repeat_and_reorder_within_their_sentence():
    """What a beam of two does: every sentence twice, then hypotheses that change places."""
    model, side = MODELS["post"], "right"
    with torch.inference_mode():
        state = model.start(SOURCE, source_valid(side))
        sentences = torch.tensor([0, 0, 1, 1, 2, 2])
        state.select(sentences)
        prefixes = torch.empty(6, 0, dtype=torch.int64)
        for step in range(40):
            tokens = (torch.arange(6) * 7 + step * 3) % (V - 2) + 2
            prefixes = torch.cat([prefixes, tokens[:, None]], dim=1)
            logits = model.step(tokens, state)
            torch.testing.assert_close(logits, full(model, sentences, side, prefixes), rtol=1e-5, atol=1e-5)
            rows = torch.tensor([1, 0, 2, 2, 5, 4]) if step % 2 else torch.tensor([0, 0, 3, 2, 4, 5])
            memory = state.cross.layers[0].key
            state.select(rows)
            assert state.cross.layers[0].key is memory
            prefixes = prefixes[rows]
        state.select(torch.tensor([4, 2]))
        tokens = torch.tensor([5, 6])
        prefixes = torch.cat([prefixes[[4, 2]], tokens[:, None]], dim=1)
        expected = full(model, torch.tensor([2, 1]), side, prefixes)
        torch.testing.assert_close(model.step(tokens, state), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("side", ["left", "right"])
def test_watched_attention_is_that_of_the_last_layer(side: str):
    model, valid = MODELS["post"], source_valid(side)
    target = torch.randint(4, V, (3, 5), generator=torch.Generator().manual_seed(1))
    last = "decoder.blocks.1.cross_attention.taps.weights"
    with torch.inference_mode():
        with record(model, last) as tape:
            model(SOURCE, valid, target, torch.ones_like(target).bool())
        state = model.start(SOURCE, valid, watch_attention=True)
        for t in range(5):
            model.step(target[:, t], state)
            assert state.attention is not None
            assert state.attention.shape == SOURCE.shape
            torch.testing.assert_close(state.attention.sum(dim=1), torch.ones(3))
            assert not state.attention[~valid].any()
            assert (state.attention[valid] > 0).all()
            torch.testing.assert_close(
                state.attention, tape[last][0][:, :, t].mean(dim=1), rtol=1e-5, atol=1e-6
            )


def test_nobody_watches_unless_asked():
    model = MODELS["post"]
    with torch.inference_mode():
        state = model.start(SOURCE, source_valid("right"))
        model.step(SOURCE[:, 0], state)
    assert state.attention is None


def test_padding_is_never_written():
    model = MODELS["post"]
    with torch.inference_mode():
        logits = model.step(SOURCE[:, 0], model.start(SOURCE, source_valid("right")))
    assert (logits[:, 0] == -torch.inf).all()
    assert logits[:, 1:].isfinite().all()
