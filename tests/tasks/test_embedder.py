"""Vectors of texts: the same in any company, from any layer, of every kind of model."""

import math
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from whyformer.config.validation import check
from whyformer.data.tokenizers.kinds import BPE, Word
from whyformer.data.tokenizers.tokenizer import Tokenizer
from whyformer.errors import CheckpointError, DecodingError
from whyformer.models.backbone import BackboneSpec, depth, width
from whyformer.models.bert import BERTSpec
from whyformer.models.elmo import ELMoSpec
from whyformer.models.gpt import GPTSpec
from whyformer.nn.vectors.pooling import Pooling, pool
from whyformer.nn.vectors.scalar_mix import ScalarMix
from whyformer.position.layout import Layout
from whyformer.runs.load import load_embedder
from whyformer.special_tokens import BOS, EOS
from whyformer.tap import record
from whyformer.tasks.bad_lines import BadLines
from whyformer.tasks.embedding.embedder import Embedder
from whyformer.tasks.embedding.encoder import TokenEncoder, encoder

TEXTS = ["the cat sat", "on", "the mat that the cat sat on was the cat's mat", "a dog", "the cat sat"]
BLOCK = {"attention": {"heads": {"query": 2}}, "feed_forward": {"hidden": 16}}
STACK = {"layers": 3, "positions": [{"kind": "learned", "longest": 64}], "block": BLOCK}
SPECS: dict[str, BackboneSpec] = {
    "bert": check(BERTSpec, {"d_model": 8, "longest": 64, "stack": STACK}, "a test"),
    "gpt": check(GPTSpec, {"d_model": 8, "longest": 64, "stack": STACK}, "a test"),
    "elmo": check(
        ELMoSpec, {"d_model": 8, "layers": 2, "characters": {"filters": [[1, 8], [2, 8]]}}, "a test"
    ),
}
EVERY_MODEL = pytest.mark.parametrize("kind", SPECS)


def tokenizer(kind: str) -> Tokenizer:
    return (Word(vocabulary=50) if kind == "elmo" else BPE(vocabulary=300)).train(TEXTS)


def embedder(kind: str, pooling: Pooling = "mean", layer: int | None = None) -> Embedder:
    torch.manual_seed(0)
    cut, spec = tokenizer(kind), SPECS[kind]
    model = spec.build(cut.size)
    # Weights of a size that makes layers and texts differ; the zeros of padding stay.
    for parameter in model.parameters():
        if parameter.dim() > 1:
            parameter.data.div_(parameter.data.std())
    return Embedder(model, spec, cut, pooling=pooling, layer=layer)


@EVERY_MODEL
@pytest.mark.parametrize("pooling", ["mean", "last"])
def test_vectors_depend_on_the_text_alone(kind: str, pooling: Pooling):
    embed = embedder(kind, pooling)
    alone = torch.stack([embed(text) for text in TEXTS])
    assert alone.shape == (5, width(SPECS[kind]))
    for batch in (1, 2, 5):
        told: list[int] = []
        together = embed.embed(TEXTS, batch=batch, advance=told.append)
        assert torch.allclose(together, alone, atol=1e-5)
        assert sum(told) == 5
    assert torch.allclose(together[0], together[4], atol=1e-6)
    assert not torch.allclose(together[0], together[3], atol=1e-2)
    assert embed.embed([]).shape == (0, width(SPECS[kind]))


@EVERY_MODEL
def test_every_layer_can_be_read(kind: str):
    layers = [embedder(kind, layer=layer)("the cat") for layer in range(depth(SPECS[kind]))]
    assert torch.equal(layers[-1], embedder(kind)("the cat"))
    assert all(not torch.allclose(a, b) for a, b in pairwise(layers))
    for layer in (-1, len(layers)):
        with pytest.raises(DecodingError, match=rf"there is no layer {layer}; the model has 0 .* to "):
            embedder(kind, layer=layer)


@pytest.mark.parametrize("kind", ["bert", "gpt"])
@pytest.mark.parametrize("changes", [{}, {"feed_forward": {"kind": "none"}}, {"placement": {"kind": "pre"}}])
def test_the_layers_of_a_stack_are_what_its_blocks_say(kind: str, changes: dict[str, object]):
    torch.manual_seed(0)
    block = {**BLOCK, **changes}
    spec = check(
        type(SPECS[kind]), {"d_model": 8, "longest": 64, "stack": {**STACK, "block": block}}, "a test"
    )
    assert isinstance(spec, BERTSpec | GPTSpec)
    model = spec.build(20).train()
    said: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        said.append(output)

    for each in model.stack.blocks:
        each.register_forward_hook(keep)
    layout = Layout(torch.arange(7).expand(2, -1))
    x = torch.randn(2, 7, 8, requires_grad=True)
    torch.manual_seed(1)
    found = model.stack.layers(x, layout)
    torch.manual_seed(1)
    last = model.stack(x, layout)
    assert found[0] is x
    assert all(torch.equal(a, b) for a, b in zip(found[1:-1], said, strict=False))
    assert torch.equal(found[-1], last)
    assert torch.autograd.grad(found[1].sum(), x, retain_graph=True)[0].abs().sum() > 0
    with record(model) as tape:
        model.stack(x, layout)
    assert tape  # taps that were listened to listen to others as before


def test_pooling_leaves_padding_out():
    hidden = torch.tensor([[[1.0], [2.0], [math.nan]], [[3.0], [5.0], [7.0]]])
    valid = torch.tensor([[True, True, False], [True, True, True]])
    assert pool(hidden, valid, "mean").tolist() == [[1.5], [5.0]]
    assert pool(hidden, valid, "first").tolist() == [[1.0], [3.0]]
    assert pool(hidden, valid, "last").tolist() == [[2.0], [7.0]]


@given(seed=st.integers(0, 99), layers=st.integers(1, 5))
@settings(max_examples=20)
def test_mixing_and_pooling_may_change_places(seed: int, layers: int):
    torch.manual_seed(seed)
    mix = ScalarMix(layers)
    torch.nn.init.normal_(mix.scores)
    torch.nn.init.normal_(mix.scale)
    states, valid = torch.randn(layers, 2, 4, 3), torch.tensor([[True] * 4, [True, True, False, False]])
    by_hand = mix.scale * sum(w * state for w, state in zip(mix.scores.softmax(0), states, strict=True))
    expected = pool(by_hand, valid, "mean")
    pooled = torch.stack([pool(state, valid, "mean") for state in states], dim=1)
    assert torch.allclose(mix(pooled), expected, atol=1e-5)


def test_two_texts_have_a_mark_between_them_and_a_kind_each():
    cut = tokenizer("bert")
    pair, (a, b) = ("the cat", "sat on"), cut.encode_all(["the cat", "sat on"])
    for kind, closing in (("bert", [EOS]), ("gpt", [])):
        assert encoder(SPECS[kind], cut).lengths([pair]) == [len([BOS, *a, EOS, *b, *closing])]
        assert encoder(SPECS[kind], cut).lengths([("the cat",), ("",)]) == [
            1 + len(a) + len(closing),
            1 + len(closing),
        ]
    torch.manual_seed(0)
    spec = SPECS["bert"]
    assert isinstance(spec, BERTSpec)
    model = spec.build(cut.size).eval()
    layers, valid = encoder(spec, cut).encode(model, [pair, ("the", "a")])
    tokens = torch.tensor([[BOS, *a, EOS, *b, EOS]])
    kinds = torch.tensor([[0] * (len(a) + 2) + [1] * (len(b) + 1)])
    expected = model(tokens, Layout(torch.arange(tokens.shape[1])[None]), kinds)
    assert torch.allclose(layers[-1][:1], expected, atol=1e-5)
    assert valid.sum(dim=1).tolist() == [tokens.shape[1], 3 + len(cut.encode("the")) + len(cut.encode("a"))]


@pytest.mark.parametrize(
    ("kind", "text", "sentence"),
    [
        ("bert", "a\0b", "line 8 holds a NUL character"),
        ("elmo", "\ud800", "line 8: character 1 is half of a surrogate pair"),
        ("gpt", "cat " * 80, "tokens with its marks, but the model reads 64 at most; shorten it."),
    ],
)
def test_what_cannot_be_read_is_named_by_its_line(kind: str, text: str, sentence: str):
    with pytest.raises(DecodingError, match=rf"line 8.*{sentence[7:]}"):
        embedder(kind).embed(["the cat", text], first=7)
    assert embedder("elmo").embed(["cat " * 80]).shape == (1, 16)


@EVERY_MODEL
def test_a_blank_text_has_no_vector_and_a_long_one_may_be_cut(kind: str):
    embed = embedder(kind)
    bad = BadLines("truncate")
    found = embed.embed(["the cat", "", "cat " * 80, " \u3000", "\0"], bad=bad)
    assert found.isnan().all(dim=1).tolist() == [False, True, False, True, True]
    assert torch.allclose(found[0], embed("the cat"), atol=1e-5)
    assert [*bad.left_out] == [5]
    if kind != "elmo":
        assert [*bad.cut] == [3]
        words, rest = divmod(64 - 1 - (kind == "bert"), len(tokenizer(kind).encode("cat")))
        assert rest or torch.allclose(found[2], embed(" ".join(["cat"] * words)), atol=1e-5)


def test_of_a_pair_the_longer_side_is_cut_first():
    cut = encoder(SPECS["bert"], tokenizer("bert"))
    assert isinstance(cut, TokenEncoder)
    (framed,) = cut._framed([("cat " * 80, "the cat")], 64)
    (whole,) = cut._framed([("cat " * 80, "the cat")])
    assert len(framed) == 64
    assert framed[-6:] == whole[-6:]
    (framed,) = cut._framed([("cat " * 80, "dog " * 80)], 64)
    assert abs(2 * framed.index(EOS) - 62) <= 4


def test_the_first_token_of_a_model_that_reads_on_knows_nothing():
    with pytest.raises(DecodingError, match="pooling first is of no use here"):
        embedder("gpt", "first")
    assert not torch.allclose(embedder("bert", "first")("the cat"), embedder("bert", "first")("a dog"))


def test_a_run_embeds(counting_run: Path, reverse_run: Path):
    embed = load_embedder(counting_run)
    near, far = embed.embed(["one two three", "one two three four"]), embed("ten")
    similar = torch.nn.functional.cosine_similarity
    assert similar(near[0], near[1], dim=0) > similar(near[0], far, dim=0)
    with pytest.raises(
        CheckpointError,
        match=r"this run translates and makes no vectors of texts; use .* or name a BERT, GPT",
    ):
        load_embedder(reverse_run)
