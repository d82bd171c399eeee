"""Trace of a piece of work: its time by part of the model, forwards or backwards, by kind of operation.

Parts are ranges around calls; the profiler of torch sees them and every operation. Each moment belongs to the
innermost of all that happens then, so the figures add up to the whole. An operation of the backward pass
belongs to the part whose forward operation it undoes: both carry the same number in the autograd graph.
"""

import os
from collections import Counter, defaultdict
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile, record_function

from whyformer.attention.multihead import MultiHeadAttention
from whyformer.dropout import Dropout
from whyformer.models.bert import BERT
from whyformer.models.classifier import PooledClassifier
from whyformer.models.elmo import ELMo
from whyformer.models.encoder_decoder import EncoderDecoder, EncoderDecoderState
from whyformer.models.gpt import GPT
from whyformer.nn.cache import KVCache
from whyformer.nn.embedding import TokenEmbedding
from whyformer.nn.feed_forward import FeedForward, SwiGLU
from whyformer.nn.recurrent.cells import Recurrent
from whyformer.nn.stack import Block, Stack

DATA = "data preparation"
LOSS = "output layer and loss"
_CACHE = "cache"
_EMBEDDING = "embedding"
_NORMS = "norms and residuals"
_REST = "rest of the model"
_SUMS = "sums of gradients"

PYTHON = "Python"
"""The kind of all that is no operation: the time between two."""
_AUTOGRAD = "autograd"
_ELEMENTWISE = "elementwise"
_PRODUCTS = "matrix products"
_KINDS = {
    _PRODUCTS: "mm addmm bmm baddbmm mv addmv dot _weight_int8pack_mm _weight_int4pack_mm_for_cpu",
    "fused attention": "_scaled_dot_product_flash_attention_for_cpu "
    "_scaled_dot_product_flash_attention_for_cpu_backward",
    "recurrences, convolutions": "mkldnn_rnn_layer mkldnn_rnn_layer_backward mkldnn_convolution "
    "convolution_backward slow_conv2d_forward",
    "softmax": "_softmax _softmax_backward_data _log_softmax _log_softmax_backward_data logsumexp",
    "norms": "native_layer_norm native_layer_norm_backward _fused_rms_norm _fused_rms_norm_backward "
    "native_batch_norm native_batch_norm_backward",
    "random numbers": "random bernoulli normal uniform exponential multinomial native_dropout",
    "sums, maxima, sorting": "sum mean amax amin max argmax any all topk sort cumsum linalg_vector_norm "
    "_foreach_norm equal",
    "copies and casts": "copy clone cat stack _to_copy constant_pad_nd repeat _foreach_copy",
    "lookups": "embedding embedding_dense_backward index index_select index_put _index_put_impl gather "
    "scatter scatter_add index_add index_fill nonzero masked_select",
    "allocation and filling": "empty empty_like empty_strided new_empty new_empty_strided zeros zeros_like "
    "new_zeros zero ones ones_like new_ones full full_like fill resize arange",
    "optimizer": "_fused_adam _fused_adamw",
    "views and dispatch": "view _unsafe_view reshape _reshape_alias transpose t permute expand expand_as "
    "view_as as_strided slice select unsqueeze squeeze unflatten flatten detach alias unbind split narrow "
    "linear matmul to contiguous einsum dropout layer_norm rms_norm softmax log_softmax",
}
_KIND_OF = {operation: kind for kind, operations in _KINDS.items() for operation in operations.split()}

_MARK = "part: "
_BACKWARD = "autograd::engine::evaluate_function"


class Cell(NamedTuple):
    """Label of a moment: the part, the direction and the kind of operation it is spent on."""

    part: str
    backward: bool
    """Whether it computes gradients."""
    kind: str
    """Kind of operation."""


class Event(NamedTuple):
    """Event that the profiler has seen."""

    name: str
    start: int
    """Time in nanoseconds, as ``end``."""
    end: int
    thread: int
    number: int
    """Number of the next node of the autograd graph, or of the one undone; -1 where that means nothing."""

    @property
    def seconds(self) -> float:
        """Time that it took, in seconds."""
        return (self.end - self.start) / 1e9

    def within(self, other: "Event") -> bool:
        """Whether it happened during ``other``."""
        return other.start <= self.start and self.end <= other.end


def part(name: str) -> record_function:
    """Count whatever a ``with`` block, or a decorated function, does to the part called ``name``."""
    return record_function(_MARK + name)


class Trace:
    """Adds up what was traced."""

    def __init__(self, whole: str) -> None:
        self.whole = whole
        """Part to which belongs whatever belongs to no other."""
        self.seconds: defaultdict[Cell, float] = defaultdict(float)
        self.calls: Counter[str] = Counter()
        """Number of times that each part was entered, forwards."""

    @contextmanager
    def watching(self) -> Generator[None]:
        """Trace what happens in this thread in a ``with`` block; it takes longer for that."""
        # Else the profiler tells on standard error whenever it starts and stops.
        os.environ.setdefault("KINETO_LOG_LEVEL", "6")
        with profile(activities=[ProfilerActivity.CPU]) as watched, part(self.whole):
            yield
        self.add(_events(watched))

    def add(self, events: Sequence[Event]) -> None:
        """Add the time of each of ``events``, sorted by start, and take it off what it happened in."""
        parts: dict[int, str] = {}
        root = next(event for event in events if event.name == _MARK + self.whole)
        around = [(root, Cell(self.whole, False, PYTHON))]
        self.seconds[around[0][1]] += root.seconds
        for event in events:
            if event is root or event.thread != root.thread or not event.within(root):
                continue
            while not event.within(around[-1][0]):
                around.pop()
            outer = around[-1][1]
            cell = _cell(event, outer, parts)
            self.seconds[outer] -= event.seconds
            self.seconds[cell] += event.seconds
            if event.name.startswith(_MARK):
                self.calls[cell.part] += 1
            around.append((event, cell))


def _events(watched: profile) -> list[Event]:
    """Events that were seen, sorted by start; one that contains others comes before them."""
    assert watched.profiler is not None
    assert watched.profiler.kineto_results is not None
    # Not `watched.events()`, which makes a large object of each in ten times the time that the work took.
    seen = [
        Event(each.name(), each.start_ns(), each.end_ns(), each.start_thread_id(), each.sequence_nr())
        for each in watched.profiler.kineto_results.events()
        if not (each.is_async() or each.name().startswith("profiler::"))
    ]
    return sorted(seen, key=lambda event: (event.start, -event.end))


def _cell(event: Event, outer: Cell, parts: dict[int, str]) -> Cell:
    """Cell of ``event`` inside of ``outer``; ``parts`` are those of the autograd graph's nodes so far."""
    if event.name.startswith(_MARK):
        return Cell(event.name.removeprefix(_MARK), False, PYTHON)
    if event.name.startswith(_BACKWARD):
        return Cell(parts.get(event.number, _SUMS), True, _AUTOGRAD)
    if event.number >= 0 and not outer.backward:
        # The last to start before a node is made is the one that makes it. What data preparation does
        # to a tensor with a gradient is to choose the states that predict.
        parts[event.number] = LOSS if outer.part == DATA else outer.part
    return Cell(outer.part, outer.backward, _kind(event.name, outer.backward))


def _kind(name: str, backward: bool) -> str:
    library, _, operation = name.rpartition("::")
    if library == "aten":
        return _KIND_OF.get(operation.rstrip("_"), _ELEMENTWISE)
    if library in ("mkldnn", "onednn", "quantized"):
        return _PRODUCTS
    if library in ("", "torch::autograd"):
        return _AUTOGRAD if backward else PYTHON
    return name


def mark_parts(model: nn.Module) -> None:
    """Make every part of ``model`` a range, for good; a copy made later would call the parts of this one."""
    model.forward = part(_REST)(model.forward)
    for name, module in model.named_modules():
        side = name.partition(".")[0]
        side = f"{side} " if side in ("encoder", "decoder") else ""
        match module:
            case TokenEmbedding():
                module.forward = part(_EMBEDDING)(module.forward)
            case Dropout() if model.training:
                module.forward = part("dropout")(module.forward)
            case FeedForward() | SwiGLU():
                module.forward = part(f"{side}feed-forward")(module.forward)
            case Recurrent():
                module.forward = part(f"{side}recurrent layers")(module.forward)
                module.read = part(f"{side}recurrent layers")(module.read)
            case MultiHeadAttention():
                _mark_attention(module, name, side)
            case Block():
                module.forward = part(_NORMS)(module.forward)
            case Stack():
                _mark_stack(module)
            case BERT() | GPT() | ELMo() | PooledClassifier():
                _mark_reader(module)
            case EncoderDecoder():
                _mark_pair(module)
            case _:
                pass


def _mark_attention(attention: MultiHeadAttention, name: str, side: str) -> None:
    # A recurrent model has one attention, between its two sides.
    crosses = name == "attention" or name.endswith("cross_attention")
    own = "cross-attention" if crosses else f"{side}attention"
    attention.forward = part(own)(attention.forward)
    attention.key_values = part(own)(attention.key_values)


def _mark_stack(stack: Stack) -> None:
    empty = stack.new_cache

    def new_cache() -> KVCache:
        cache = empty()
        cache.append = part(_CACHE)(cache.append)
        return cache

    stack.new_cache = new_cache
    stack.embed = part(_EMBEDDING)(stack.embed)
    stack.forward = part("masks")(stack.forward)
    if stack.final_norm is not None:
        stack.final_norm.forward = part(_NORMS)(stack.final_norm.forward)


def _mark_reader(model: BERT | GPT | ELMo | PooledClassifier) -> None:
    if not isinstance(model, PooledClassifier):
        model.embed = part(_EMBEDDING)(model.embed)
    if not isinstance(model, ELMo):
        model.scored = part(LOSS)(model.scored)


def _mark_pair(model: "EncoderDecoder[EncoderDecoderState]") -> None:
    begin = model.start

    def start(source: Tensor, valid: Tensor, watch_attention: bool = False) -> EncoderDecoderState:
        state = begin(source, valid, watch_attention)
        state.select = part(_CACHE)(state.select)
        return state

    model.start = part(_REST)(start)
    model.step = part(_REST)(model.step)
    model.logits = part("output layer")(model.logits)
    model.scored = part(LOSS)(model.scored)
