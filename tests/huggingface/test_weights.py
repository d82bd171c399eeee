"""Random BERT, GPT-2 and Marian models of Hugging Face transformers compute the same here, and go back whole.

B batch · L length · V vocabulary
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import BaseModel
from torch import Tensor, nn

from huggingface.examples import shaken
from parity import needs_transformers, transformers
from whyformer.config.validation import check
from whyformer.errors import CheckpointError
from whyformer.huggingface.config import read_config
from whyformer.huggingface.formats.bert import HuggingFaceBert
from whyformer.huggingface.formats.format import CheckpointFormat
from whyformer.huggingface.formats.gpt2 import HuggingFaceGPT2
from whyformer.huggingface.formats.marian import HuggingFaceMarian
from whyformer.huggingface.tokenizers.token_ids import TokenIds
from whyformer.models.bert import BERT, BERTSpec
from whyformer.models.gpt import GPT, GPTSpec
from whyformer.models.transformer import Transformer, TransformerSpec
from whyformer.position.layout import Layout
from whyformer.special_tokens import BOS, EOS, UNK

pytestmark = needs_transformers

V, LENGTH = 40, 9
VALID = torch.arange(LENGTH) < torch.tensor([[LENGTH], [5], [1]])
TOKENS = torch.randint(5, V - 1, (3, LENGTH), generator=torch.Generator().manual_seed(0))
HERE = Path("their model")

GPT2 = TokenIds((None, None, V - 1, V - 1), V + 3)
BERT_IDS = TokenIds((0, 20, 21, 22, 23), V)
MARIAN = TokenIds((None, 1, V - 1, 0), V + 1)


def gpt2(**changes: Any) -> Any:
    config = {"vocab_size": V, "n_positions": 16, "n_embd": 16, "n_layer": 2, "n_head": 4}
    marks = {"bos_token_id": V - 1, "eos_token_id": V - 1}
    return shaken(transformers.GPT2LMHeadModel(transformers.GPT2Config(**config, **marks, **changes)))


def bert(kind: str = "BertForPreTraining", **changes: Any) -> Any:
    config = {"vocab_size": V, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4}
    sizes = {"intermediate_size": 20, "max_position_embeddings": 16}
    build = {
        "BertForPreTraining": transformers.BertForPreTraining,
        "BertForMaskedLM": transformers.BertForMaskedLM,
        "BertModel": transformers.BertModel,
    }[kind]
    return shaken(build(transformers.BertConfig(**{**config, **sizes, **changes})))


def marian(**changes: Any) -> Any:
    config = {"vocab_size": V, "decoder_vocab_size": V, "d_model": 16, "max_position_embeddings": 20}
    layers = {"encoder_layers": 2, "decoder_layers": 1, "encoder_ffn_dim": 20, "decoder_ffn_dim": 24}
    heads = {"encoder_attention_heads": 4, "decoder_attention_heads": 2, "scale_embedding": True}
    marks = {"pad_token_id": V - 1, "eos_token_id": 0, "decoder_start_token_id": V - 1}
    given = {**config, **layers, **heads, **marks, "activation_function": "swish", **changes}
    model = shaken(transformers.MarianMTModel(transformers.MarianConfig(**given)))
    model.final_logits_bias.normal_()
    return model


def imported(exchange: CheckpointFormat[Any, Any], theirs: Any, token_ids: TokenIds) -> nn.Module:
    """Ours; and what is exported of it is what was imported, bit for bit."""
    state = theirs.state_dict()
    config = read_config(exchange.config_type, theirs.config.to_dict(), HERE)
    spec, tensors = exchange.imported(config, state, token_ids, HERE)
    model = exchange.build(spec, token_ids.size).eval()
    model.load_state_dict(tensors)
    back, exported, same = exchange.exported(spec, tensors, token_ids)
    assert same == token_ids
    named = exchange.named(spec, exported)
    assert all(torch.equal(tensor, state[name]) for name, tensor in named.items())
    # What is left out is an exported one by another name, or computed, or not used.
    written = {state[name].data_ptr() for name in named}
    left = {name for name in state.keys() - named.keys() if state[name].data_ptr() not in written}
    assert {name.rpartition("coder.")[2] for name in left} <= {
        "embed_positions.weight",
        "cls.predictions.bias",
    }
    assert exchange.imported(back, named, token_ids, HERE)[0] == spec
    return model


def ours(tokens: Tensor, token_ids: TokenIds) -> Tensor:
    back = {id: row for row, id in enumerate(token_ids.theirs)}
    return torch.tensor([[back[id] for id in row] for row in tokens.tolist()])


def assert_close(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, rtol=0.0, atol=1e-5)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"activation_function": "relu", "n_inner": 24, "layer_norm_epsilon": 1e-3},
        {"tie_word_embeddings": False, "activation_function": "gelu"},
    ],
)
@torch.no_grad()
def test_gpt2_has_the_same_logits(changes: dict[str, Any]):
    theirs = gpt2(**changes)
    model = imported(HuggingFaceGPT2(), theirs, GPT2)
    assert isinstance(model, GPT)
    expected = theirs(TOKENS, attention_mask=VALID.long()).logits[VALID]
    actual = model.logits(model(ours(TOKENS, GPT2), Layout.of(VALID)))[VALID]
    assert_close(actual[:, EOS], expected[:, V - 1])
    assert_close(actual[:, EOS + 1 :], expected[:, : V - 1])
    # The marks that theirs lacks take no probability from the others.
    assert actual.softmax(dim=-1)[:, [UNK, BOS]].eq(0).all()
    hidden, table = model.scored(model(ours(TOKENS, GPT2), Layout.of(VALID))[VALID])
    assert_close((hidden @ table.T)[:, EOS:], actual[:, EOS:])


@torch.no_grad()
def test_a_start_that_was_trained_apart_from_the_end_gets_a_token_of_its_own():
    model = gpt2()
    exchange = HuggingFaceGPT2()
    config = read_config(exchange.config_type, model.config.to_dict(), HERE)
    spec, tensors = exchange.imported(config, model.state_dict(), GPT2, HERE)
    tensors["embedding.weight"][BOS] += 1
    config, exported, token_ids = exchange.exported(spec, tensors, GPT2)
    assert (config.vocab_size, config.bos_token_id, config.eos_token_id) == (V + 1, V, V - 1)
    assert token_ids.theirs[:4] == [None, None, V, V - 1]
    assert torch.equal(exported["wte.weight"][V], tensors["embedding.weight"][BOS])


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("BertForPreTraining", {}),
        ("BertForPreTraining", {"tie_word_embeddings": False, "type_vocab_size": 3}),
        ("BertForMaskedLM", {"layer_norm_eps": 1e-3}),
        ("BertModel", {"hidden_act": "relu"}),
    ],
)
@torch.no_grad()
def test_bert_has_the_same_states_and_logits(kind: str, changes: dict[str, Any]):
    theirs = bert(kind, **changes)
    model = imported(HuggingFaceBert(), theirs, BERT_IDS)
    assert isinstance(model, BERT)
    kinds = (torch.arange(LENGTH) > 2).long().expand(3, -1)
    told = theirs(TOKENS, attention_mask=VALID.long(), token_type_ids=kinds, output_hidden_states=True)
    hidden = model(ours(TOKENS, BERT_IDS), Layout.of(VALID), kinds)
    assert_close(hidden[VALID], told.hidden_states[-1][VALID])
    if kind == "BertModel":
        assert_close(model.pool(hidden), told.pooler_output)
        return
    states, table = model.scored(hidden[VALID])
    logits = told.logits if kind == "BertForMaskedLM" else told.prediction_logits
    assert_close(states @ table.T, logits[VALID][:, BERT_IDS.theirs])
    if model.next_sentence is not None:
        assert_close(model.next_sentence(model.pool(hidden)), told.seq_relationship_logits)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"share_encoder_decoder_embeddings": False, "activation_function": "relu"},
        {"share_encoder_decoder_embeddings": False, "tie_word_embeddings": False, "scale_embedding": False},
        {"d_model": 12, "decoder_attention_heads": 3, "activation_function": "gelu_new"},
    ],
)
@torch.no_grad()
def test_marian_has_the_same_logits(changes: dict[str, Any]):
    theirs = marian(**changes)
    # They start from their padding, whose vector is zeros in every trained Marian.
    for table in (theirs.get_input_embeddings(), theirs.model.decoder.embed_tokens):
        table.weight[V - 1] = 0
    target = torch.cat([torch.full((3, 1), V - 1), TOKENS[:, :6]], dim=1)
    expected = theirs(TOKENS, attention_mask=VALID.long(), decoder_input_ids=target).logits
    model = imported(HuggingFaceMarian(), theirs, MARIAN)
    assert isinstance(model, Transformer)
    real = torch.ones_like(target, dtype=torch.bool)
    hidden = model(ours(TOKENS, MARIAN), VALID, ours(target, MARIAN), real)
    assert_close(model.logits(hidden)[..., 1:], expected[..., MARIAN.theirs[1:]])
    states, table = model.scored(hidden.flatten(0, 1))
    assert_close((states @ table.T)[:, 1:], expected.flatten(0, 1)[:, MARIAN.theirs[1:]])


@pytest.mark.parametrize("tie", ["all", "output", "none"])
@torch.no_grad()
def test_a_learned_start_becomes_zeros_and_no_probability_changes(tie: str):
    changes = {
        "all": {},
        "output": {"share_encoder_decoder_embeddings": False},
        "none": {"share_encoder_decoder_embeddings": False, "tie_word_embeddings": False},
    }[tie]
    exchange, theirs = HuggingFaceMarian(), marian(**changes)
    config = read_config(exchange.config_type, theirs.config.to_dict(), HERE)
    spec, tensors = exchange.imported(config, theirs.state_dict(), MARIAN, HERE)
    assert spec.embedding.tie == tie
    model = spec.build(MARIAN.size, MARIAN.size).eval()
    model.load_state_dict(tensors)
    assert model.target_embedding.weight[BOS].abs().max() > 0.1
    _, exported, _ = exchange.exported(spec, tensors, MARIAN)
    theirs.load_state_dict(exported, strict=False)
    theirs.tie_weights()
    assert theirs.model.decoder.embed_tokens.weight[V - 1].eq(0).all()
    target = torch.cat([torch.full((3, 1), V - 1), TOKENS[:, :6]], dim=1)
    told = theirs(TOKENS, attention_mask=VALID.long(), decoder_input_ids=target).logits.log_softmax(dim=-1)
    real = torch.ones_like(target, dtype=torch.bool)
    logits = model.logits(model(ours(TOKENS, MARIAN), VALID, ours(target, MARIAN), real))
    assert_close(logits.log_softmax(dim=-1)[..., 1:], told[..., MARIAN.theirs[1:]])


EXCHANGES: dict[str, tuple[CheckpointFormat[Any, Any], Callable[..., Any], TokenIds, type[BaseModel]]] = {
    "gpt2": (HuggingFaceGPT2(), gpt2, GPT2, GPTSpec),
    "bert": (HuggingFaceBert(), bert, BERT_IDS, BERTSpec),
    "marian": (HuggingFaceMarian(), marian, MARIAN, TransformerSpec),
}


@pytest.mark.parametrize(
    ("model", "field", "value"),
    [
        ("gpt2", "scale_attn_by_inverse_layer_idx", True),
        ("gpt2", "scale_attn_weights", False),
        ("gpt2", "add_cross_attention", True),
        ("gpt2", "activation_function", "tanh"),
        ("bert", "position_embedding_type", "relative_key"),
        ("bert", "is_decoder", True),
        ("bert", "hidden_act", "mish"),
        ("marian", "activation_function", "quick_gelu"),
        ("marian", "encoder_attention_heads", 3),
    ],
)
def test_what_a_config_says_and_we_cannot_is_refused_by_name(model: str, field: str, value: bool | int | str):
    exchange, build, token_ids, _ = EXCHANGES[model]
    theirs = build()

    def read() -> None:
        config = read_config(exchange.config_type, {**theirs.config.to_dict(), field: value}, HERE)
        exchange.imported(config, theirs.state_dict(), token_ids, HERE)

    with pytest.raises(CheckpointError, match=field):
        read()


def test_learned_positions_in_a_marian_are_refused():
    theirs = marian()
    state = theirs.state_dict()
    assert "model.encoder.embed_positions.weight" in state
    exchange = HuggingFaceMarian()
    config = read_config(exchange.config_type, theirs.config.to_dict(), HERE)
    exchange.imported(config, state, MARIAN, HERE)
    state["model.encoder.embed_positions.weight"] = state["model.encoder.embed_positions.weight"] + 1
    with pytest.raises(CheckpointError, match="holds no sines and cosines"):
        exchange.imported(config, state, MARIAN, HERE)


def test_positions_that_no_text_reaches_stay_behind():
    spec = check(GPTSpec, {"preset": "tiny", "d_model": 8, "longest": 10}, "a test")
    exchange, tensors = HuggingFaceGPT2(), spec.build(V).state_dict()
    config, exported, token_ids = exchange.exported(spec, tensors, exchange.own_token_ids(V))
    assert config.n_positions == 10
    assert torch.equal(exported["wpe.weight"], tensors["stack.positions.0.table"][:10])
    back, _ = exchange.imported(config, exported, token_ids, HERE)
    assert back.longest == 10


@torch.no_grad()
def test_names_of_old_checkpoints_are_known():
    theirs = bert()
    state = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): tensor
        for name, tensor in theirs.state_dict().items()
    }
    state["bert.embeddings.position_ids"] = torch.arange(16)
    state["cls.predictions.decoder.bias"] = state.pop("cls.predictions.bias")
    exchange = HuggingFaceBert()
    config = read_config(exchange.config_type, theirs.config.to_dict(), HERE)
    spec, tensors = exchange.imported(config, state, BERT_IDS, HERE)
    expected = exchange.imported(config, theirs.state_dict(), BERT_IDS, HERE)[1]
    assert spec.heads == ("masked", "next_sentence")
    assert all(torch.equal(tensor, expected[name]) for name, tensor in tensors.items())


def test_gpt2_without_a_head_and_with_masks_is_known():
    theirs, exchange = gpt2(), HuggingFaceGPT2()
    config = read_config(exchange.config_type, theirs.config.to_dict(), HERE)
    bare = {name.removeprefix("transformer."): tensor for name, tensor in theirs.state_dict().items()}
    del bare["lm_head.weight"]
    bare["h.0.attn.bias"] = torch.ones(1, 1, 16, 16)
    spec, tensors = exchange.imported(config, bare, GPT2, HERE)
    expected = exchange.imported(config, theirs.state_dict(), GPT2, HERE)
    assert spec == expected[0]
    assert all(torch.equal(tensor, expected[1][name]) for name, tensor in tensors.items())


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda state: state.pop("ln_f.bias"), "ln_f.bias is missing"),
        (lambda state: state.update(extra=torch.ones(1)), "extra is not part of such a model"),
        (
            lambda state: state.update({"wpe.weight": torch.ones(15, 16)}),
            r"config.json says n_positions 16, but wpe.weight is \(15, 16\)",
        ),
        (
            lambda state: [state.pop(name) for name in list(state) if name.startswith("h.1.")],
            r"config.json says n_layer 2, but of h.0 and so on the weights have 1;",
        ),
        (
            lambda state: [
                state.pop(n) for n in list(state) if n.startswith("h.1.") and n != "h.1.ln_2.bias"
            ],
            r"h.1.ln_1.weight is missing.* and 6 more",
        ),
        (
            lambda state: state.update({"h.1.ln_2.bias": torch.ones(15)}),
            r"h.1.ln_2.bias is \(15,\), but by config.json and tokenizer \(16,\)",
        ),
    ],
)
def test_weights_that_do_not_fit_are_named(change: Callable[[dict[str, Tensor]], object], fault: str):
    theirs, exchange = gpt2(), HuggingFaceGPT2()
    config = read_config(exchange.config_type, theirs.config.to_dict(), HERE)
    state = {name.removeprefix("transformer."): tensor for name, tensor in theirs.state_dict().items()}
    change(state)
    with pytest.raises(CheckpointError, match=fault):
        exchange.imported(config, state, GPT2, HERE)


@pytest.mark.parametrize(
    ("model", "path", "value", "fault"),
    [
        ("marian", "encoder.positions", [{"kind": "rotary"}], "encoder.positions.0 is rotary"),
        ("marian", "decoder.positions", [], "decoder.positions is empty"),
        ("marian", "encoder.block.placement.kind", "pre", "encoder.block.placement is pre"),
        ("marian", "decoder.block.norm.kind", "none", "decoder.block.norm is none"),
        ("marian", "encoder.mask", {"kind": "window", "left": 2, "right": 2}, "encoder.mask is window"),
        (
            "marian",
            "decoder.block.feed_forward.kind",
            "gelu",
            "feed_forward is gelu, .* is relu",
        ),
        ("marian", "encoder.block.feed_forward.kind", "swiglu", "feed_forward.kind swiglu"),
        ("gpt2", "stack.block.placement.kind", "post", "stack.block.placement is post"),
        ("gpt2", "stack.block.feed_forward.kind", "relu_squared", "feed_forward.kind relu_squared"),
        ("gpt2", "stack.block.attention.gate.kind", "sigmoid", "stack.block.attention.gate is sigmoid"),
        ("gpt2", "stack.value_residual.kind", "first_layer", "stack.value_residual is first_layer"),
        ("gpt2", "stack.block.residual.kind", "weighted", "stack.block.residual is weighted"),
        ("marian", "encoder.block.residual.kind", "weighted", "encoder.block.residual is weighted"),
        ("gpt2", "stack.block.placement.kind", "peri", "stack.block.placement is peri"),
        ("marian", "decoder.block.placement.kind", "peri", "decoder.block.placement is peri"),
        ("gpt2", "embedding.scale", True, "embedding.scale is True"),
        ("gpt2", "embedding.output_bias", True, "embedding.output_bias"),
        ("gpt2", "stack.positions", [{"kind": "alibi"}], "stack.positions.0 is alibi"),
        ("bert", "stack.block.attention.heads.key_value", 4, "attention.heads.key_value is 4"),
        ("bert", "stack.block.attention.query_key_norm.kind", "rms", "query_key_norm is rms"),
        ("gpt2", "stack.block.attention.query_key_norm.kind", "rms", "query_key_norm is rms"),
        ("marian", "decoder.block.cross_attention.query_key_norm.kind", "rms", "query_key_norm is rms"),
    ],
)
def test_what_a_format_cannot_say_is_refused_by_name(model: str, path: str, value: object, fault: str):
    exchange, _, _, spec_type = EXCHANGES[model]
    tree = value
    for key in reversed(path.split(".")):
        tree = {key: tree}
    assert isinstance(tree, dict)
    with pytest.raises(CheckpointError, match=fault):
        exchange.exported(check(spec_type, tree, "a test"), {}, exchange.own_token_ids(V))
