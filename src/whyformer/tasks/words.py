"""Models in a few words, for those who inspect a run."""

from whyformer.models.backbone import BackboneSpec
from whyformer.models.bert import BERTSpec
from whyformer.models.elmo import ELMoSpec
from whyformer.models.gpt import GPTSpec
from whyformer.models.recurrent import RecurrentSpec
from whyformer.models.streaming.encoder import StreamingEncoderSpec
from whyformer.models.transformer import TransformerSpec
from whyformer.nn.stack import StackSpec


def model_words(model: TransformerSpec | RecurrentSpec | BackboneSpec) -> dict[str, str]:
    """The sizes and kinds of a ``model``, a line for each of its parts."""
    named = f"{model.kind}, d_model {model.d_model}"
    if isinstance(model, ELMoSpec):
        return {"model": named, "encoder": f"{model.layers} of {model.cell.kind}, both ways apart"}
    words = {"model": f"{named}, embeddings tied: {model.embedding.tie}"}
    match model:
        case TransformerSpec():
            return {**words, "encoder": stack_words(model.encoder), "decoder": stack_words(model.decoder)}
        case BERTSpec():
            return {**words, "encoder": stack_words(model.stack)}
        case GPTSpec():
            return {**words, "decoder": stack_words(model.stack)}
        case RecurrentSpec():
            layers = f"{model.layers} of {model.cell.kind}"
            attention = "no" if model.attention is None else model.attention.score.kind
            return {**words, "encoder": f"{layers}, both ways", "decoder": f"{layers}, {attention} attention"}


def streaming_words(encoder: StreamingEncoderSpec) -> dict[str, str]:
    """The sizes and kinds of a streaming ``encoder``."""
    words = {
        "model": f"{encoder.front.kind} front of stride {encoder.front.stride}, d_model {encoder.d_model}"
    }
    block = encoder.stack.block
    convolution = "" if block.convolution is None else f", {block.convolution.reach} convolution"
    return {**words, "encoder": stack_words(encoder.stack) + convolution}


def stack_words(stack: StackSpec) -> str:
    """A stack of blocks on one line."""
    block = stack.block
    positions = " and ".join(scheme.kind for scheme in stack.positions) or "no"
    norm = f"{block.placement.kind}-norm ({block.norm.kind})"
    layers = "1 layer" if stack.layers == 1 else f"{stack.layers} layers"
    if block.recurrence is not None:
        own = block.recurrence.kind
        return f"{layers} of {own}, {norm}, {block.feed_forward.kind}, {positions} positions"
    heads = block.self_attention.heads.query
    return f"{layers} of {heads} heads, {norm}, {block.feed_forward.kind}, {positions} positions"
