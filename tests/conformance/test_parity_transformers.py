"""With the same weights, a stack is the T5, the Llama, the BERT and the GPT-2 of Hugging Face transformers.

B batch · L length · M model dimension
"""

import re
from collections.abc import Callable, Mapping

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from parity import needs_transformers, transformers
from whyformer.attention.heads import HeadsSpec
from whyformer.attention.mask import Causal, Mask
from whyformer.attention.multihead import AttentionSpec
from whyformer.attention.score import DotSpec
from whyformer.nn.feed_forward import GeluSpec, ReluSpec, SwiGLUSpec
from whyformer.nn.residual.norm import LayerNormSpec, RMSNormSpec
from whyformer.nn.residual.placement import PostNormSpec, PreNormSpec
from whyformer.nn.stack import BlockSpec, Stack, StackSpec
from whyformer.position.absolute import LearnedSpec
from whyformer.position.alibi import Alibi
from whyformer.position.attention_shape import AttentionShape
from whyformer.position.layout import Layout
from whyformer.position.rotary import RotarySpec
from whyformer.position.t5 import T5, T5Spec

pytestmark = needs_transformers

M, HEADS, HIDDEN, LAYERS, LENGTH = 16, 4, 10, 2, 40
# Their norms and rotations compute in fp32 whatever they are given.
TOLERANCE = 1e-4
VALID = torch.arange(LENGTH) < torch.tensor([[LENGTH], [LENGTH // 2]])
AXIS = Layout.of(VALID)
Names = Mapping[str, str]


def random_model(model: nn.Module) -> nn.Module:
    """Their model, every parameter moved away from where it begins."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.3)
    return model.eval()


def example(seed: int) -> Tensor:
    return torch.randn(2, LENGTH, M, generator=torch.Generator().manual_seed(seed)).requires_grad_()


def twin(spec: StackSpec, weights: Mapping[str, Tensor], names: Names) -> Stack:
    """Our stack with their ``weights``, renamed by patterns; biases that they have not are zero."""
    stack, renamed = spec.build(M).eval(), dict[str, Tensor]()
    for name, weight in weights.items():
        for pattern, ours in names.items():
            if re.fullmatch(pattern, name):
                renamed[re.sub(pattern, ours, name)] = weight
    missing, unexpected = stack.load_state_dict(renamed, strict=False)
    assert unexpected == []
    assert all(re.search(r"feed_forward\.\w+\.bias$", name) for name in missing), missing
    return stack


def same(ours: Callable[[Tensor], Tensor], theirs: Callable[[Tensor], Tensor]) -> None:
    """The same output for real tokens, and the same gradient of what goes in."""
    x, y = example(0), example(0)
    actual, expected = ours(x)[VALID], theirs(y)[VALID]
    torch.testing.assert_close(actual, expected, rtol=TOLERANCE, atol=TOLERANCE)
    direction = torch.linspace(-1, 1, M)
    (gradient,) = torch.autograd.grad((actual @ direction).sum(), x)
    (wanted,) = torch.autograd.grad((expected @ direction).sum(), y)
    scale = float(wanted.abs().max())
    torch.testing.assert_close(gradient / scale, wanted / scale, rtol=TOLERANCE, atol=TOLERANCE)


T5_NAMES: Names = {
    r"block\.0\..*\.relative_attention_bias\.weight": "positions.0.table",
    r"block\.(\d)\.layer\.0\.layer_norm\.weight": r"blocks.\1.attention_branch.norm.weight",
    r"block\.(\d)\.layer\.\d\.DenseReluDense\.wi\.weight": r"blocks.\1.feed_forward.enter.weight",
    r"block\.(\d)\.layer\.\d\.DenseReluDense\.wo\.weight": r"blocks.\1.feed_forward.leave.weight",
    r"final_layer_norm\.weight": "final_norm.weight",
    **{
        rf"block\.(\d)\.layer\.\d\.{theirs}\.{letter}\.weight": rf"blocks.\1.{ours}.{name}.weight"
        for theirs, ours in (("SelfAttention", "attention"), ("EncDecAttention", "cross_attention"))
        for letter, name in zip("qkvo", ("query", "key", "value", "output"), strict=True)
    },
}


def t5() -> nn.Module:
    config = transformers.T5Config(
        vocab_size=9,
        d_model=M,
        d_kv=6,
        d_ff=HIDDEN,
        num_layers=LAYERS,
        num_heads=HEADS,
        relative_attention_num_buckets=16,
        relative_attention_max_distance=20,
        dropout_rate=0.0,
        attn_implementation="eager",
    )
    return random_model(transformers.T5Model(config))


def t5_stack(theirs: nn.Module, *, decoder: bool) -> Stack:
    attention = AttentionSpec(heads=HeadsSpec(query=HEADS, dim=6, bias=False), score=DotSpec())
    block = BlockSpec(
        attention=attention,
        cross_attention=attention if decoder else None,
        feed_forward=ReluSpec(hidden=HIDDEN),
        norm=RMSNormSpec(epsilon=1e-6),
        placement=PreNormSpec(),
        dropout=0.0,
    )
    positions = (T5Spec(buckets=16, farthest=20),)
    spec = StackSpec(layers=LAYERS, positions=positions, block=block)
    last = "2" if decoder else "1"
    names = {
        **T5_NAMES,
        rf"block\.(\d)\.layer\.{last}\.layer_norm\.weight": r"blocks.\1.feed_forward_branch.norm.weight",
    }
    if decoder:
        spec = spec.model_copy(update={"mask": Causal()})
        names[r"block\.(\d)\.layer\.1\.layer_norm\.weight"] = r"blocks.\1.cross_branch.norm.weight"
    return twin(spec, theirs.state_dict(), names)


def test_our_encoder_is_that_of_t5():
    theirs = t5().get_submodule("encoder")
    ours = t5_stack(theirs, decoder=False)
    same(
        lambda x: ours(x, AXIS),
        lambda x: theirs(inputs_embeds=x, attention_mask=VALID.long()).last_hidden_state,
    )


def test_our_decoder_is_that_of_t5():
    theirs = t5().get_submodule("decoder")
    ours, memory = t5_stack(theirs, decoder=True), example(1).detach()
    same(
        lambda x: ours(x, AXIS, cross=ours.read(memory, AXIS)),
        lambda x: (
            theirs(
                inputs_embeds=x,
                attention_mask=VALID.long(),
                encoder_hidden_states=memory,
                encoder_attention_mask=VALID.long(),
                use_cache=False,
            ).last_hidden_state
        ),
    )


@pytest.mark.parametrize(("buckets", "farthest"), [(32, 128), (16, 20), (8, 100)])
@pytest.mark.parametrize("causal", [True, False])
def test_buckets_are_those_of_t5(buckets: int, farthest: int, causal: bool):
    offset = torch.arange(-1000, 1000)
    bucket = transformers.models.t5.modeling_t5.T5Attention._relative_position_bucket
    expected = bucket(offset, bidirectional=not causal, num_buckets=buckets, max_distance=farthest)
    ours = T5Spec(buckets=buckets, farthest=farthest).build(AttentionShape(M, HEADS, 4, causal))
    assert isinstance(ours, T5)
    assert torch.equal(ours.bucket(offset), expected)


def test_our_stack_is_that_of_llama():
    config = transformers.LlamaConfig(
        vocab_size=9,
        hidden_size=M,
        intermediate_size=HIDDEN,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=2,
        rms_norm_eps=1e-6,
        attn_implementation="eager",
    )
    theirs = random_model(transformers.LlamaModel(config))
    block = BlockSpec(
        attention=AttentionSpec(heads=HeadsSpec(query=HEADS, key_value=2, bias=False)),
        feed_forward=SwiGLUSpec(hidden=HIDDEN),
        norm=RMSNormSpec(epsilon=1e-6),
        placement=PreNormSpec(),
        dropout=0.0,
    )
    spec = StackSpec(layers=LAYERS, mask=Causal(), positions=(RotarySpec(),), block=block)
    parts = {
        "self_attn.q_proj": "attention.query",
        "self_attn.k_proj": "attention.key",
        "self_attn.v_proj": "attention.value",
        "self_attn.o_proj": "attention.output",
        "mlp.gate_proj": "feed_forward.gate",
        "mlp.up_proj": "feed_forward.enter",
        "mlp.down_proj": "feed_forward.leave",
        "input_layernorm": "attention_branch.norm",
        "post_attention_layernorm": "feed_forward_branch.norm",
    }
    names = {rf"layers\.(\d)\.{part}\.weight": rf"blocks.\1.{ours}.weight" for part, ours in parts.items()}
    ours = twin(spec, theirs.state_dict(), {**names, r"norm\.weight": "final_norm.weight"})
    same(
        lambda x: ours(x, AXIS),
        lambda x: theirs(inputs_embeds=x, attention_mask=VALID.long()).last_hidden_state,
    )


def test_our_stack_is_that_of_bert():
    config = transformers.BertConfig(
        vocab_size=9,
        hidden_size=M,
        intermediate_size=HIDDEN,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        max_position_embeddings=LENGTH,
        layer_norm_eps=1e-5,
        attn_implementation="eager",
    )
    theirs = random_model(transformers.BertModel(config, add_pooling_layer=False))
    block = BlockSpec(
        attention=AttentionSpec(heads=HeadsSpec(query=HEADS)),
        feed_forward=GeluSpec(hidden=HIDDEN),
        norm=LayerNormSpec(epsilon=1e-5),
        placement=PostNormSpec(),
        dropout=0.0,
    )
    spec = StackSpec(layers=LAYERS, positions=(LearnedSpec(longest=LENGTH),), block=block)
    parts = {
        r"attention\.self\.(query|key|value)": r"attention.\2",
        r"attention\.(output)\.dense": r"attention.\2",
        r"attention\.(output)\.LayerNorm": "attention_branch.norm",
        r"(intermediate)\.dense": "feed_forward.enter",
        r"(output)\.dense": "feed_forward.leave",
        r"(output)\.LayerNorm": "feed_forward_branch.norm",
    }
    names = {rf"encoder\.layer\.(\d)\.{part}\.(\w+)": rf"blocks.\1.{ours}.\3" for part, ours in parts.items()}
    table = {r"embeddings\.position_embeddings\.weight": "positions.0.table"}
    ours, weights = twin(spec, theirs.state_dict(), {**names, **table}), theirs.state_dict()

    def embedded(x: Tensor) -> Tensor:
        """Theirs normalises the sum of token, position and kind of sentence before the first layer."""
        total = ours.embed(x, AXIS) + weights["embeddings.token_type_embeddings.weight"][0]
        gain, shift = weights["embeddings.LayerNorm.weight"], weights["embeddings.LayerNorm.bias"]
        return F.layer_norm(total, (M,), gain, shift, 1e-5)

    same(
        lambda x: ours(embedded(x), AXIS),
        lambda x: theirs(inputs_embeds=x, attention_mask=VALID.long()).last_hidden_state,
    )


def test_our_stack_is_that_of_gpt2():
    config = transformers.GPT2Config(
        vocab_size=9,
        n_embd=M,
        n_inner=HIDDEN,
        n_layer=LAYERS,
        n_head=HEADS,
        n_positions=LENGTH,
        activation_function="gelu",
        bos_token_id=2,
        eos_token_id=3,
        attn_implementation="eager",
    )
    theirs = random_model(transformers.GPT2Model(config))
    block = BlockSpec(
        attention=AttentionSpec(heads=HeadsSpec(query=HEADS)),
        feed_forward=GeluSpec(hidden=HIDDEN),
        norm=LayerNormSpec(epsilon=1e-5),
        placement=PreNormSpec(),
        dropout=0.0,
    )
    spec = StackSpec(layers=LAYERS, mask=Causal(), positions=(LearnedSpec(longest=LENGTH),), block=block)
    weights = dict[str, Tensor]()
    for name, weight in theirs.state_dict().items():
        # Their products have the matrix on the other side; query, key and value are one matrix.
        weight = weight.T if re.search(r"c_\w+\.weight", name) else weight
        chunks = weight.chunk(3) if "c_attn" in name else (weight,)
        weights.update({f"{name}.{number}": chunk for number, chunk in enumerate(chunks)})
    parts = {
        r"h\.(\d)\.ln_1\.(\w+)\.0": r"blocks.\1.attention_branch.norm.\2",
        r"h\.(\d)\.ln_2\.(\w+)\.0": r"blocks.\1.feed_forward_branch.norm.\2",
        r"h\.(\d)\.attn\.c_attn\.(\w+)\.0": r"blocks.\1.attention.query.\2",
        r"h\.(\d)\.attn\.c_attn\.(\w+)\.1": r"blocks.\1.attention.key.\2",
        r"h\.(\d)\.attn\.c_attn\.(\w+)\.2": r"blocks.\1.attention.value.\2",
        r"h\.(\d)\.attn\.c_proj\.(\w+)\.0": r"blocks.\1.attention.output.\2",
        r"h\.(\d)\.mlp\.c_fc\.(\w+)\.0": r"blocks.\1.feed_forward.enter.\2",
        r"h\.(\d)\.mlp\.c_proj\.(\w+)\.0": r"blocks.\1.feed_forward.leave.\2",
        r"ln_f\.(\w+)\.0": r"final_norm.\1",
        r"wpe\.weight\.0": "positions.0.table",
    }
    ours = twin(spec, weights, parts)
    same(
        lambda x: ours(ours.embed(x, AXIS), AXIS),
        lambda x: theirs(inputs_embeds=x, attention_mask=VALID.long()).last_hidden_state,
    )


@pytest.mark.parametrize("heads", [1, 3, 8, 12])
def test_alibi_is_that_of_bloom(heads: int):
    alibi = transformers.models.bloom.modeling_bloom.build_alibi_tensor
    # Theirs grows with the key's position only, so it is the same after a softmax and not before.
    bias = alibi(torch.ones(1, LENGTH).long(), heads, torch.float32).view(1, heads, 1, LENGTH)
    layout = Layout(torch.arange(LENGTH)[None])
    logits, penalty = (
        torch.randn(1, heads, LENGTH, LENGTH),
        Mask(Causal(), layout, layout).penalty(torch.float32),
    )
    assert penalty is not None
    ours = Alibi(heads).logits(logits, logits, layout, layout)
    torch.testing.assert_close((logits + ours + penalty).softmax(-1), (logits + bias + penalty).softmax(-1))
