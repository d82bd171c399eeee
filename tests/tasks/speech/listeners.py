"""Listeners with fresh weights whose frames emit many symbols, and sounds for them."""

import numpy as np
import torch
from numpy.typing import NDArray

from whyformer.attention.mask import Chunk
from whyformer.data.audio.features import FilterBankSpec
from whyformer.data.audio.statistics import FeatureStatistics
from whyformer.decoding.ctc.endpoint import EndpointSpec
from whyformer.decoding.ctc.search import CTCGreedySpec, CTCSearchSpec
from whyformer.models.speech import SpeechSpec
from whyformer.models.streaming.encoder import StreamingEncoderSpec
from whyformer.models.streaming.rescorer import RescorerSpec
from whyformer.nn.residual.placement import PreNormSpec
from whyformer.nn.stack import BlockSpec, StackSpec
from whyformer.nn.streaming.convolution import ConvolutionSpec
from whyformer.nn.streaming.subsampling import ConvolutionalSubsamplingSpec
from whyformer.position.rotary import RotarySpec
from whyformer.tasks.speech.listener import Listener, SpeechAssets
from whyformer.tasks.streaming.settings import ChunksSpec, StreamSettings
from whyformer.tasks.streaming.vocabulary import SymbolTable

RATE = 8000
FEATURES = FilterBankSpec(rate=RATE, bins=16)
SYMBOLS = SymbolTable("word", ("do", "re", "mi", "fa", "so"))


def settings(
    milliseconds: float | None = 80.0,
    left: int | None = 2,
    search: CTCSearchSpec | None = None,
    endpoint: EndpointSpec | None = None,
) -> StreamSettings:
    """Chunks of some frames of 40 ms, read greedily unless said otherwise."""
    chunks = ChunksSpec(milliseconds=milliseconds, left=left)
    return StreamSettings(chunks, search or CTCGreedySpec(), endpoint, None)


def encoder(reach: str = "causal") -> StreamingEncoderSpec:
    """A small Conformer."""
    block = BlockSpec(
        convolution=ConvolutionSpec(kernel=5, reach="causal" if reach == "causal" else "chunk"),
        placement=PreNormSpec(),
    )
    return StreamingEncoderSpec(
        d_model=16,
        front=ConvolutionalSubsamplingSpec(features=16, channels=4),
        stack=StackSpec(layers=2, mask=Chunk(size=2, left_chunks=2), positions=(RotarySpec(),), block=block),
    )


def listener(reach: str = "causal", *, seed: int = 3, rescorer: RescorerSpec | None = None) -> Listener:
    """A listener whose weights nobody has trained, but which is sure of what it hears."""
    torch.manual_seed(seed)
    model = SpeechSpec(encoder=encoder(reach), rescorer=rescorer).build(SYMBOLS.size)
    with torch.no_grad():
        model.emit.weight.mul_(6.0)
    statistics = FeatureStatistics(np.full(16, -8.0, np.float32), np.full(16, 3.0, np.float32), 100)
    return Listener(model, FEATURES, SpeechAssets(SYMBOLS, statistics), settings())


def sound(seconds: float, seed: int = 0) -> NDArray[np.float32]:
    """Noise whose loudness and colour change."""
    random = np.random.default_rng(seed)
    count = round(seconds * RATE)
    noise = random.standard_normal(count)
    knots = np.arange(0, count + 800, 800)
    swell = np.interp(np.arange(count), knots, random.uniform(0.001, 0.3, len(knots)))
    pitch = np.repeat(random.uniform(200, 3000, count // 500 + 1), 500)[:count]
    tone = np.sin(np.cumsum(2 * np.pi * pitch / RATE))
    return (swell * (0.3 * noise + tone)).astype(np.float32).clip(-1, 1)
