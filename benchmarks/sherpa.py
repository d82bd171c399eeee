"""sherpa-onnx beside ours: the same architecture in its WeNet form, streamed by its own runtime on one core.

    taskset -c 0 python benchmarks/sherpa.py [--seconds 60] [--chunk 8] [--streams 20]

It needs `pip install sherpa-onnx onnx onnxscript` beside torch (an environment of its own will do). The model
is a Conformer as in the recipe digits (4 layers of 96, 4 heads, convolutions of 8, subsampling by 4, 40 bands
at 8 kHz) with fresh weights, exported here: speed does not depend on what they say. Its runtime takes a model
of this form one stream at a time. Time is from samples to text: front end, network, greedy search.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

WIDTH, HEADS, LAYERS, KERNEL, BINS, CHANNELS, SYMBOLS, RATE, LEFT = 96, 4, 4, 8, 40, 32, 11, 8000, 4


class Layer(nn.Module):
    """A Conformer's layer of one chunk, with caches of keys and values and of its convolution's inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(4))
        self.query, self.both = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 2 * WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)
        self.enter, self.leave = nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.depthwise = nn.Conv1d(WIDTH, WIDTH, KERNEL, groups=WIDTH)
        self.feed = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.ReLU(), nn.Linear(4 * WIDTH, WIDTH))

    def forward(self, x: Tensor, keys: Tensor, tail: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Output for ``x`` (1,L,M) and caches ``keys`` (H,C,2D), ``tail`` (1,M,k-1); and the caches then."""
        h, length = self.norms[0](x), x.shape[1]
        query = self.query(h).view(length, HEADS, -1).transpose(0, 1)
        new = self.both(h).view(length, HEADS, -1).transpose(0, 1)
        joined = torch.cat([keys, new], dim=1)
        key, value = joined.chunk(2, dim=-1)
        scores = (query @ key.transpose(1, 2)) / (WIDTH // HEADS) ** 0.5
        weights = scores.masked_fill(~mask, -1e9).softmax(dim=-1)
        x = x + self.out((weights @ value).transpose(0, 1).reshape(1, length, WIDTH))
        gated = torch.cat([tail, F.glu(self.enter(self.norms[1](x)), dim=-1).transpose(1, 2)], dim=2)
        h = F.silu(self.norms[2](self.depthwise(gated).transpose(1, 2)))
        x = x + self.leave(h)
        return x + self.feed(self.norms[3](x)), joined[:, length:], gated[:, :, length:]


class Streaming(nn.Module):
    """The model as sherpa-onnx calls it: one chunk, its caches, which keys are real."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, CHANNELS, 3, 2)
        self.second = nn.Conv2d(CHANNELS, CHANNELS, 3, 2)
        self.project = nn.Linear(CHANNELS * ((((BINS - 1) // 2) - 1) // 2), WIDTH)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.norm, self.emit = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, SYMBOLS)

    def forward(
        self, x: Tensor, offset: Tensor, required: Tensor, keys: Tensor, tails: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Log-probabilities (1,L,V) of ``x`` (1,T,F), and the caches after it."""
        h = self.second(self.first(x[:, None]).relu()).relu()
        h = self.project(h.transpose(1, 2).flatten(2))
        # These two are told and not needed, but the runtime wants them to be read.
        h = h + 0.0 * (offset + required).to(h.dtype)
        kept, ends = list[Tensor](), list[Tensor]()
        for index, layer in enumerate(self.layers):
            h, key, tail = layer(h, keys[index], tails[index], mask)
            kept.append(key)
            ends.append(tail)
        return self.emit(self.norm(h)).log_softmax(dim=-1), torch.stack(kept), torch.stack(ends)


def export(folder: Path, chunk: int) -> tuple[Path, Path]:
    """The files of a fresh model and of its symbols."""
    import onnx

    torch.manual_seed(0)
    model, path, tokens = Streaming().eval(), folder / "model.onnx", folder / "tokens.txt"
    frames, needed = (chunk - 1) * 4 + 7, chunk * LEFT
    example = (
        torch.randn(1, frames, BINS),
        torch.tensor([needed]),
        torch.tensor([needed]),
        torch.zeros(LAYERS, HEADS, needed, 2 * WIDTH // HEADS),
        torch.zeros(LAYERS, 1, WIDTH, KERNEL - 1),
        torch.ones(1, 1, needed + chunk, dtype=torch.bool),
    )
    names = ["x", "offset", "required_cache_size", "attn_cache", "conv_cache", "attn_mask"]
    torch.onnx.export(
        model, example, str(path), input_names=names, output_names=["y", "keys", "tails"], dynamo=False
    )
    told: dict[str, Any] = {
        "model_type": "wenet_ctc",
        "head": HEADS,
        "num_blocks": LAYERS,
        "output_size": WIDTH,
        "cnn_module_kernel": KERNEL,
        "right_context": 6,
        "subsampling_factor": 4,
        "vocab_size": SYMBOLS,
    }
    written = onnx.load(str(path))
    for name, value in told.items():
        entry = written.metadata_props.add()
        entry.key, entry.value = name, str(value)
    onnx.save(written, str(path))
    symbols = ["<blk>", *(f"▁{index}" for index in range(SYMBOLS - 1))]
    tokens.write_text("".join(f"{s} {i}\n" for i, s in enumerate(symbols)), encoding="utf-8")
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters")
    return path, tokens


def main() -> None:
    """Export, stream, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--chunk", type=int, default=8, help="encoder frames of 40 ms")
    parser.add_argument("--streams", type=int, default=20)
    asked = parser.parse_args()
    import sherpa_onnx

    with tempfile.TemporaryDirectory() as folder:
        model, tokens = export(Path(folder), asked.chunk)
        recognizer = sherpa_onnx.OnlineRecognizer.from_wenet_ctc(
            model=str(model),
            tokens=str(tokens),
            chunk_size=asked.chunk,
            num_left_chunks=LEFT,
            num_threads=1,
            sample_rate=RATE,
            feature_dim=BINS,
        )
    size = asked.chunk * RATE // 25
    random = np.random.default_rng(0)
    sound = (0.1 * random.standard_normal(int(asked.seconds * RATE) // size * size)).astype(np.float32)
    streams = [recognizer.create_stream() for _ in range(asked.streams)]
    rounds, processor = list[float](), time.process_time()
    for start in range(0, len(sound), size):
        began = time.perf_counter()
        for stream in streams:
            stream.accept_waveform(RATE, sound[start : start + size])
            while recognizer.is_ready(stream):
                recognizer.decode_stream(stream)
            _ = recognizer.get_result(stream)
        rounds.append(time.perf_counter() - began)
    used = time.process_time() - processor
    heard = asked.streams * len(sound) / RATE
    ordered = sorted(rounds)
    print(
        f"sherpa-onnx {sherpa_onnx.__version__}, load {os.getloadavg()[0]:.1f}; {len(rounds)} chunks a stream"
    )
    print(f"chunks of {40 * asked.chunk} ms, {asked.streams} streams, one by one, one thread")
    print(f"real-time factor {sum(rounds) / heard:.5f} (of the processor: {used / heard:.5f})")
    print(f"streams a core {heard / sum(rounds):,.0f} (by the processor's time: {heard / used:,.0f})")
    print(f"round p50 {1000 * ordered[len(ordered) // 2]:.1f} ms, longest {1000 * ordered[-1]:.1f} ms")


if __name__ == "__main__":
    main()
