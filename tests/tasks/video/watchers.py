"""Watchers with fresh weights whose frames emit many symbols, and recipes of small ones."""

from typing import Any

import torch

from whyformer.attention.mask import Chunk
from whyformer.data.video.front import FrameSpec
from whyformer.decoding.ctc.endpoint import EndpointSpec
from whyformer.decoding.ctc.search import CTCGreedySpec, CTCSearchSpec
from whyformer.models.streaming.encoder import StreamingEncoderSpec
from whyformer.models.video import VideoSpec
from whyformer.nn.residual.norm import LayerNormSpec
from whyformer.nn.residual.placement import PreNormSpec
from whyformer.nn.stack import BlockSpec, StackSpec
from whyformer.nn.streaming.convolution import ConvolutionSpec
from whyformer.nn.streaming.tubelet import TubeletSpec
from whyformer.position.rotary import RotarySpec
from whyformer.tasks.streaming.settings import ChunksSpec, StreamSettings
from whyformer.tasks.streaming.vocabulary import SymbolTable
from whyformer.tasks.video.task import VideoRecipe
from whyformer.tasks.video.watcher import Watcher

FRAMES = FrameSpec(height=20, width=20, rate=25.0)
SYMBOLS = SymbolTable("word", tuple(map(str, range(10))))


def settings(
    milliseconds: float | None = 160.0,
    left: int | None = 2,
    search: CTCSearchSpec | None = None,
    endpoint: EndpointSpec | None = None,
) -> StreamSettings:
    """Chunks of some frames of 80 ms, read greedily unless said otherwise."""
    return StreamSettings(
        ChunksSpec(milliseconds=milliseconds, left=left), search or CTCGreedySpec(), endpoint, None
    )


def model(reach: str = "causal") -> VideoSpec:
    """A small Conformer of tubelets."""
    block = BlockSpec(
        convolution=ConvolutionSpec(kernel=5, reach="causal" if reach == "causal" else "chunk"),
        placement=PreNormSpec(),
        # So large that no norm of these few components makes much of a rounding error.
        norm=LayerNormSpec(epsilon=0.01),
    )
    stack = StackSpec(layers=2, mask=Chunk(size=2, left_chunks=2), positions=(RotarySpec(),), block=block)
    front = TubeletSpec(height=20, width=20, pictures=2, patch=5, channels=4, merging=(6,))
    return VideoSpec(encoder=StreamingEncoderSpec(d_model=16, front=front, stack=stack))


def watcher(reach: str = "causal", seed: int = 3, sure: float = 6.0) -> Watcher:
    """A watcher whose weights nobody has trained, but which is ``sure`` of what it sees."""
    torch.manual_seed(seed)
    built = model(reach).build(SYMBOLS.size)
    with torch.no_grad():
        built.emit.weight.mul_(sure)
        built.tell.weight.mul_(sure)
    return Watcher(built, FRAMES, SYMBOLS, settings())


def recipe(**changes: Any) -> VideoRecipe:
    """A recipe of a small watcher of few videos."""
    said = {
        "data": {"train": 8, "valid": 3, "test": 4},
        "frames": FRAMES.model_dump(),
        "model": model().model_dump(),
        "training": {
            "steps": 2,
            "batching": {"tokens": 600},
            "schedule": {"kind": "constant", "peak": 0.002},
        },
        **changes,
    }
    return VideoRecipe.model_validate(said)
