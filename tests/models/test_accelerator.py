"""On an accelerator no fact about a layout is read off a tensor, and a causal decoder holds no dense mask.

The accelerator is torch's ``meta``, whose tensors are nothing but shapes. Like a GPU it is no CPU, and what
would make the host wait for one, it cannot do at all.
"""

from collections.abc import Callable, Generator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from typing_extensions import override

from whyformer.attention.heads import HeadsSpec
from whyformer.attention.mask import Causal, Everything
from whyformer.attention.multihead import AttentionSpec
from whyformer.data.batches.batch import Batch
from whyformer.data.batches.packing import pack
from whyformer.models.bert import BERTSpec
from whyformer.models.gpt import GPT, GPTSpec
from whyformer.models.transformer import Transformer, TransformerSpec
from whyformer.nn.feed_forward import ReluSpec
from whyformer.nn.stack import BlockSpec, StackSpec
from whyformer.position.absolute import LearnedSpec, SinusoidalSpec
from whyformer.position.alibi import AlibiSpec
from whyformer.position.layout import Layout
from whyformer.position.positions import PositionSpec
from whyformer.position.rotary import RotarySpec
from whyformer.position.shaw import ShawKeysSpec, ShawValuesSpec
from whyformer.position.t5 import T5Spec
from whyformer.position.transformer_xl import TransformerXLSpec

V, M = 11, 8
READ, WRITTEN = 13, 7
"""Columns of the source and of the target; no other size here is like them."""
SCHEMES: dict[str, tuple[PositionSpec, ...]] = {
    "sinusoidal": (SinusoidalSpec(),),
    "learned": (LearnedSpec(longest=64),),
    "rotary": (RotarySpec(),),
    "t5": (T5Spec(),),
    "alibi": (AlibiSpec(),),
    "shaw": (ShawKeysSpec(distance=3), ShawValuesSpec(distance=3)),
    "transformer_xl": (TransformerXLSpec(),),
}
IN_THE_KERNEL = {"sinusoidal", "learned", "rotary"}
"""Those that add nothing to the logits, so that the kernel's own causal form does."""
WAITS = {"_local_scalar_dense", "item", "equal", "nonzero", "is_nonzero", "masked_select"}


class Watch(TorchDispatchMode):
    """Counts what would wait for the device, and keeps the shapes of all masks."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[str] = []
        self.masks: list[tuple[int, ...]] = []

    @override
    def __torch_dispatch__(
        self, func: Any, types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if (name := func.__name__.split(".")[0]) in WAITS:
            self.waits.append(name)
        made = func(*args, **kwargs or {})
        if isinstance(made, Tensor) and made.dtype == torch.bool and made.dim() > 2:
            self.masks.append(tuple(made.shape))
        return made

    def squares(self, length: int) -> list[tuple[int, ...]]:
        """The masks that have a place for each pair of ``length`` tokens."""
        return [shape for shape in self.masks if shape[-2:] == (length, length)]


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Generator[Watch]:
    # It has none, and torch refuses the question.
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda _: False)
    with Watch() as watch, torch.no_grad():
        yield watch


def built(build: Callable[[], Any]) -> Any:
    with torch.device("meta"):
        return build().eval()


def stack(name: str, *, causal: bool, cross: bool = False) -> StackSpec:
    attention = AttentionSpec(heads=HeadsSpec(query=2))
    block = BlockSpec(
        attention=attention,
        cross_attention=attention if cross else None,
        feed_forward=ReluSpec(hidden=8),
        dropout=0.0,
    )
    mask = Causal() if causal else Everything()
    return StackSpec(layers=2, positions=SCHEMES[name], block=block, mask=mask)


def transformer(name: str) -> Transformer:
    encoder, decoder = stack(name, causal=False), stack(name, causal=True, cross=True)
    spec = TransformerSpec(d_model=M, encoder=encoder, decoder=decoder, longest=64)
    return built(lambda: spec.build(V, V))


def gpt(name: str) -> GPT:
    spec = GPTSpec(d_model=M, stack=stack(name, causal=True), deviation=None, longest=64)
    return built(lambda: spec.build(V))


def batch(*lengths: int) -> Batch:
    return Batch.of([[4] * length for length in lengths], "meta")


def check_no_dense_mask(watch: Watch, name: str, length: int) -> None:
    squares = watch.squares(length)
    # A term of the logits is as large as one triangle, which has to join it; never is there one a sentence.
    assert squares == [] if name in IN_THE_KERNEL else all(shape[0] == 1 for shape in squares)


def test_the_accelerator_can_tell_a_look(watch: Watch):
    position = torch.zeros(2, 3, dtype=torch.int64, device="meta")
    assert position.device.type == "meta"
    with pytest.raises(Exception, match="meta"):
        int(position.max())
    Causal().allows(Layout(position), Layout(position))
    assert watch.waits
    assert watch.squares(3) == [(2, 3, 3)]


@pytest.mark.parametrize("name", SCHEMES)
def test_a_transformer_trains_without_a_look(watch: Watch, name: str):
    model, source, target = transformer(name), batch(READ, 2, 5), batch(WRITTEN + 1, 3, 8)
    hidden = model(source.tokens, source.layout, target.tokens[:, :-1], target.layout.without_last())
    assert hidden.shape == (3, WRITTEN, M)
    assert watch.waits == []
    check_no_dense_mask(watch, name, WRITTEN)


@pytest.mark.parametrize("told", [True, False], ids=["told", "bare"])
@pytest.mark.parametrize("name", SCHEMES)
def test_a_transformer_writes_without_a_look(watch: Watch, name: str, told: bool):
    model, source = transformer(name), batch(READ, 2, 5)
    state = model.start(source.tokens, source.layout if told else source.valid)
    watch.masks.clear()
    for rows in (3, 3, 6, 6):
        state.cache.select(torch.zeros(rows, dtype=torch.int64, device="meta"))
        model.step(torch.zeros(rows, dtype=torch.int64, device="meta"), state)
    # The source has padding; nothing that was written is hidden from the next token.
    assert {shape[-2:] for shape in watch.masks} <= {(1, READ), (1, 1)}
    assert watch.waits == []


@pytest.mark.parametrize("name", SCHEMES)
def test_gpt_reads_rows_of_one_document_without_a_look(watch: Watch, name: str):
    model = gpt(name)
    rows = pack([[2, *[4] * length, 3] for length in (WRITTEN - 1, 3, 2)], WRITTEN, seed=0)
    for indices, alone in (([0], True), ([1], False), ([0, 1], False)):
        watch.masks.clear()
        tokens = torch.zeros(len(indices), WRITTEN, dtype=torch.int64, device="meta")
        model(tokens, rows.layout(np.array(indices), tokens == 0))
        assert watch.waits == []
        if alone:
            check_no_dense_mask(watch, name, WRITTEN)
        else:
            assert any(shape[-2:] == (WRITTEN, WRITTEN) for shape in watch.masks)


@pytest.mark.parametrize("told", [True, False], ids=["told", "bare"])
@pytest.mark.parametrize("lengths", [(5,), (6, 6), (WRITTEN + 1, 1, 4)], ids=["one", "alike", "different"])
@pytest.mark.parametrize("name", SCHEMES)
def test_gpt_writes_without_a_look(watch: Watch, name: str, lengths: tuple[int, ...], told: bool):
    model, prompts = gpt(name), batch(*lengths)
    state = model.start(prompts.tokens, prompts.layout if told else prompts.valid)
    check_no_dense_mask(watch, name, max(lengths) - 1)
    for rows in (len(lengths), 4, 2):
        state.select(torch.zeros(rows, dtype=torch.int64, device="meta"))
        watch.masks.clear()
        model.step(torch.zeros(rows, dtype=torch.int64, device="meta"), state)
        if told and len(set(lengths)) == 1:
            assert watch.masks == []
        assert all(shape[-2] == 1 for shape in watch.masks)
    assert watch.waits == []


@pytest.mark.parametrize("name", SCHEMES)
def test_bert_reads_without_a_look(watch: Watch, name: str):
    spec = BERTSpec(d_model=M, stack=stack(name, causal=False), deviation=None, longest=64)
    model, texts = built(lambda: spec.build(V)), batch(READ, 2, 5)
    for layout in (texts.layout, Layout.of(texts.valid)):
        model(texts.tokens, layout)
    assert watch.waits == []
    assert watch.squares(READ) == []
