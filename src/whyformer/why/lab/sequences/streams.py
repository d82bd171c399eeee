"""Streams: words of two tones in noise, which an encoder names frame by frame, whole or in chunks.

B streams · T input frames · F bands · L encoder frames · M model dimension · S symbols
"""

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from whyformer.attention.mask import Chunk, Everything, Rule
from whyformer.models.streaming.encoder import FrontSpec, StreamingEncoder, StreamingEncoderSpec
from whyformer.nn.streaming.chunking import UniformChunksSpec
from whyformer.nn.streaming.subsampling import ConvolutionalSubsamplingSpec
from whyformer.nn.streaming.tubelet import TubeletSpec
from whyformer.position.rotary import RotarySpec
from whyformer.tap import record
from whyformer.why.lab.toys.reader import small_network, small_stack

TONES, HALF, BANDS, STRIDE = 4, 2, 8, 4
"""Tones, encoder frames that each is held, bands of an input frame, input frames of an encoder frame."""
ALL = 48
"""Encoder frames of a signal."""
HEARING = ConvolutionalSubsamplingSpec(features=BANDS, channels=8)
SEEING = TubeletSpec(height=16, width=16, channels=8, merging=(8,))


class Namer(nn.Module):
    """The streaming encoder, and a name for each of its frames."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = stream_encoder(HEARING)
        self.output = nn.Linear(32, 1 + TONES**2)

    @override
    def forward(self, frames: Tensor, rule: Rule) -> Tensor:
        """Frames (B,T,F) -> scores (B,L,S)."""
        return self.output(self.encoder(frames, [frames.shape[1]] * len(frames), rule=rule).hidden)


def stream_encoder(front: FrontSpec) -> StreamingEncoder:
    """The encoder of all arms behind a ``front``."""
    stack = small_stack(2, positions=(RotarySpec(),), feed_forward=small_network(64))
    return StreamingEncoderSpec(d_model=32, front=front, stack=stack).build()


def signals(random: Generator, count: int) -> tuple[Tensor, Tensor]:
    """Noisy bands (B,T,F) of words with pauses between, and each encoder frame's word or 0 (B,L)."""
    first, second = torch.randint(TONES, (2, count, ALL // 5 + 1), generator=random)
    pause = torch.randint(1, 5, first.shape, generator=random)
    word, held = 1 + first * TONES + second, torch.full_like(first, HALF)
    silent = torch.zeros_like(word)
    parts = ((silent, first + 1, second + 1), (silent, word, word), (pause, held, held))
    # (B,W) for each third of a word -> (B,3·W)
    tone, name, lasts = (torch.stack(part, dim=2).flatten(1) for part in parts)
    at = torch.searchsorted(lasts.cumsum(dim=1), torch.arange(ALL).repeat(count, 1), right=True)
    bands = F.one_hot(tone.gather(1, at), 1 + TONES)[..., 1:].repeat_interleave(BANDS // TONES, dim=2)
    frames = bands.repeat_interleave(STRIDE, dim=1).float()
    return frames + 0.7 * torch.randn(frames.shape, generator=random), name.gather(1, at)


@torch.no_grad()
def wrongly_named(model: Namer, test: tuple[Tensor, Tensor], rule: Rule) -> float:
    """Percentage of the frames that are named wrongly."""
    frames, names = test
    return 100.0 * float((model(frames, rule).argmax(dim=2) != names).float().mean())


def streamed(encoder: StreamingEncoder, frames: Tensor, rule: Chunk) -> tuple[Tensor, int]:
    """Hidden states (B,L,M) of streams that come chunk by chunk, and the bytes of what is remembered."""
    state = encoder.new_state(rule, len(frames))
    pieces = frames.split(rule.size * encoder.stride, dim=1)
    hidden = [
        encoder(piece, [piece.shape[1]] * len(piece), rule=rule, state=state).hidden for piece in pieces
    ]
    return torch.cat(hidden, dim=1), state.nbytes


@torch.no_grad()
def stream_difference(encoder: StreamingEncoder, rule: Chunk) -> float:
    """Largest difference between streams and one masked pass over their whole, which ends inside a chunk."""
    front = encoder.spec.front
    shape = (front.height, front.width) if isinstance(front, TubeletSpec) else (front.features,)
    frames = torch.randn(2, 22 * encoder.stride, *shape)
    whole = encoder(frames, [frames.shape[1]] * 2, rule=rule).hidden
    return float((streamed(encoder, frames, rule)[0] - whole).abs().max())


@torch.no_grad()
def stream_cost(encoder: StreamingEncoder, rule: Rule, length: int) -> tuple[int, int]:
    """Attention weights that one signal takes, and the bytes that its stream remembers at the end."""
    frames, kept = torch.randn(1, length * STRIDE, BANDS), 0
    with record(encoder, "*.taps.weights") as tape:
        if isinstance(rule, Chunk):
            _, kept = streamed(encoder, frames, rule)
        else:
            encoder(frames, [frames.shape[1]], rule=rule)
    return sum(weights.numel() for passed in tape.values() for weights in passed), kept


def taught(seed: int, steps: int, *, chunked: bool) -> Namer:
    """A model trained on fresh signals: each batch under a mask of its own if ``chunked``, else whole."""
    torch.manual_seed(seed)
    model, random = Namer(), Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3, fused=True)
    law = UniformChunksSpec(shortest=1, longest=16, fewest_left=0, most_left=4)
    for step in range(steps):
        frames, names = signals(random, 16)
        rule = law.rule(seed, step, frames=ALL) if chunked else Everything()
        optimizer.zero_grad()
        F.cross_entropy(model(frames, rule).transpose(1, 2), names).backward()
        optimizer.step()
    return model
