"""The engine of pages is the native engine: the same bits from the same sources; its model is a file."""

import hashlib
import os
import shutil
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from browser.javascript import needs_node, run_script, runtime
from engines.toy_models import MODELS, VOCABULARY, made, needs_engines, sentences
from whyformer.decoding.greedy import GreedySpec
from whyformer.engines.native.engine import NativeEngine
from whyformer.engines.webassembly import build as builder
from whyformer.engines.webassembly.build import ENGINE, build_engine, compiler_version, missing_engine
from whyformer.engines.webassembly.model_file import MAGIC, VERSION, model_bytes
from whyformer.errors import DecodingError
from whyformer.models.transformer import Transformer, TransformerSpec
from whyformer.nn.residual.norm import RMSNormSpec
from whyformer.nn.stack import BlockSpec, StackSpec
from whyformer.special_tokens import BOS, EOS

ROOT = Path(__file__).parents[2]
EXTRA = 8


def probe(tasks: Sequence[dict[str, Any]]) -> list[Any]:
    """What the compiled engine answers to each of ``tasks``, in one process."""
    told = {"engine": str(ENGINE), "runtime": runtime().as_uri(), "tasks": list(tasks)}
    return run_script(Path(__file__).with_name("probe.mjs"), told)


def written(folder: Path, model: Transformer) -> str:
    """The file of a model."""
    path = folder / f"{len(list(folder.iterdir()))}.model"
    path.write_bytes(model_bytes(model))
    return str(path)


def numbers(values: Any) -> np.ndarray:
    return np.array(values, dtype=np.float64)


@needs_node
@needs_engines
def test_it_writes_what_the_native_engine_writes(tmp_path: Path):
    sources = [[*sentence[0, :-1].tolist(), EOS] for sentence in sentences(40)]
    models = {name: make() for name, make in MODELS.items()}
    tasks = [
        {"model": written(tmp_path, model), "sentences": sources, "extra": EXTRA} for model in models.values()
    ]
    for model, answers in zip(models.values(), probe(tasks), strict=True):
        engine = NativeEngine(model, "int8")
        for source, found in zip(sources, answers, strict=True):
            row = torch.tensor([source])
            settings = GreedySpec(longest_extra=EXTRA)
            (expected,) = engine(row, torch.ones_like(row, dtype=torch.bool), settings, model_limit=60)[0]
            assert found["tokens"] == [*expected.tokens, *[EOS] * expected.finished]
            # The logarithm is another library's.
            told = pytest.approx(expected.token_log_probabilities, abs=2e-6)
            assert found["logProbabilities"] == told


FED = [BOS, 9, 30, 4, 61, 5]
SOURCE = [7, 40, 12, 66, 21, 21, EOS]


@needs_node
@needs_engines
def test_it_sees_what_the_native_engine_sees(tmp_path: Path):
    models = {name: make() for name, make in MODELS.items()}
    tasks = [
        {"model": written(tmp_path, model), "sentences": [SOURCE], "fed": FED} for model in models.values()
    ]
    for model, (found,) in zip(models.values(), probe(tasks), strict=True):
        expected = NativeEngine(model, "int8").look(SOURCE, FED)
        assert np.array_equal(numbers(_reals(found["logits"])), expected.logits.double().numpy())
        for (place, layer), weights in _maps(found).items():
            name = f"{place.format(layer)}.taps.weights"
            assert np.array_equal(weights, expected.attention[name]), name
        assert len(_maps(found)) == len(expected.attention)


PLACES = ("encoder.blocks.{}.attention", "decoder.blocks.{}.attention", "decoder.blocks.{}.cross_attention")


def _reals(values: Any) -> Any:
    return [[float(value) for value in row] for row in values]


def _maps(found: dict[str, Any]) -> dict[tuple[str, int], np.ndarray]:
    """Weights (H,Q,K) by place and layer."""
    encoder, *decoder = found["attention"]
    heads = len(encoder[0]) // len(SOURCE) ** 2
    maps = {
        (PLACES[0], layer): numbers(flat).reshape(len(SOURCE), heads, len(SOURCE)).transpose(1, 0, 2)
        for layer, flat in enumerate(encoder)
    }
    for place, layers in zip(PLACES[1:], decoder, strict=True):
        for layer, rows in enumerate(layers):
            if not any(rows):
                continue  # a recurrence in the place of attention
            split = [numbers(row).reshape(heads, -1) for row in rows]
            longest = max(row.shape[1] for row in split)
            padded = [np.pad(row, ((0, 0), (0, longest - row.shape[1]))) for row in split]
            maps[place, layer] = np.stack(padded, axis=1)
    return maps


def looked(folder: Path, model: Transformer, *lenses: dict[str, Any]) -> list[dict[str, Any]]:
    """What is seen through each lens."""
    path = written(folder, model)
    tasks = [{"model": path, "sentences": [SOURCE], "fed": FED, "lens": lens} for lens in lenses]
    return [answer[0] for answer in probe(tasks)]


MASKS = {
    "encoder self": [[0, 0], [1, 1], [None, 0], [2, None]],
    "decoder self": [[0, 0], [1, 0]],
    "cross": [[1, 1], [None, 0], [0, 0]],
}


@needs_node
@needs_engines
def test_a_mask_leaves_a_query_the_keys_in_its_range(tmp_path: Path):
    asked = [(place, mask) for place, masks in MASKS.items() for mask in masks]
    whole, *masked = looked(tmp_path, made(), {}, *({"masks": {place: mask}} for place, mask in asked))
    for (place, (back, ahead)), found in zip(asked, masked, strict=True):
        # What enters the first layer is the same; in it, the rest of a row is divided by its sum.
        key = (PLACES[list(MASKS).index(place)], 0)
        if place == "cross":
            # Its queries have been through self-attention, which sees all: they are the same, too.
            assert np.allclose(_maps(found)[PLACES[1], 0], _maps(whole)[PLACES[1], 0])
        before, after = _maps(whole)[key], _maps(found)[key]
        q, k = np.mgrid[: before.shape[1], : before.shape[2]]
        seen = (k >= q - (99 if back is None else back)) & (k <= q + (99 if ahead is None else ahead))
        kept = before * seen
        total = kept.sum(axis=-1, keepdims=True)
        expected = np.divide(kept, total, out=np.zeros_like(kept), where=total > 0)
        assert np.allclose(after, expected, atol=1e-6)
        assert not np.allclose(numbers(_reals(found["logits"])), numbers(_reals(whole["logits"])), atol=1e-3)


@needs_node
@needs_engines
@pytest.mark.parametrize("place", range(3))
def test_an_ablated_head_is_one_whose_output_is_not_read(tmp_path: Path, place: int):
    model, layer, head = made(), 1, 2
    weight = model.get_parameter(f"{PLACES[place].format(layer)}.output.weight")
    dim = weight.shape[1] // 4
    with torch.no_grad():
        weight[:, 0] = weight.abs().max()  # of another head: so the scales of rows stay
    name = list(MASKS)[place]
    path = written(tmp_path, model)
    with torch.no_grad():
        weight[:, head * dim : (head + 1) * dim] = 0.0
    silent = written(tmp_path, model)
    lens = {"ablated": [{"place": name, "layer": layer, "head": head}]}
    ablated, unread, whole = probe(
        [
            {"model": path, "sentences": [SOURCE], "fed": FED, "lens": lens},
            {"model": silent, "sentences": [SOURCE], "fed": FED},
            {"model": path, "sentences": [SOURCE], "fed": FED},
        ]
    )
    told = [numbers(_reals(found[0]["logits"]))[:, 4:] for found in (ablated, unread, whole)]
    # Nearly: rows of context are rounded by their largest number, which may have been in the silent head.
    assert np.abs(told[0] - told[1]).mean() < 0.1 * np.abs(told[0] - told[2]).mean()
    assert _maps(ablated[0]).keys() == _maps(whole[0]).keys()


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda file: b"",
    "another file": lambda file: b"PK" + file[2:],
    "another version": lambda file: file[:16] + bytes([VERSION + 1]) + file[17:],
    "cut off": lambda file: file[:-1],
    "more behind it": lambda file: file + b"\0",
    "only the first lines": lambda file: file[:40],
    **{
        f"a bit at {at} of 1,000": lambda file, at=at: _flipped(file, 20 + at * (len(file) - 21) // 999)
        for at in (0, 1, 3, 250, 500, 999)
    },
}


def _flipped(file: bytes, at: int) -> bytes:
    return file[:at] + bytes([file[at] ^ 16]) + file[at + 1 :]


@needs_node
@needs_engines
def test_a_damaged_file_is_told_and_harms_nothing(tmp_path: Path):
    sound = model_bytes(made())
    tasks = list[dict[str, Any]]()
    for number, damage in enumerate(DAMAGES.values()):
        path = tmp_path / f"{number}.damaged"
        path.write_bytes(damage(sound))
        tasks.append({"model": str(path), "sentences": [SOURCE], "extra": EXTRA})
    found = dict(zip(DAMAGES, probe(tasks), strict=True))
    assert found == {name: {"fault": "damaged"} for name in DAMAGES}


@needs_node
@needs_engines
def test_sizes_that_contradict_each_other_are_told(tmp_path: Path):
    # With the right sum of its bytes: nobody but a writer of such files could make one.
    sound = model_bytes(made())
    head = len(MAGIC) + 12
    tasks = list[dict[str, Any]]()
    for at in range(0, 24, 4):
        for value in (-1, 0, 3, 2**31 - 1):
            if (at, value) == (4, 3):
                continue  # three positions: less is possible than before, but nothing is wrong
            body = sound[head : head + at] + struct.pack("<i", value) + sound[head + at + 4 :]
            path = tmp_path / f"{at}.{value}.model"
            path.write_bytes(MAGIC + struct.pack("<iII", VERSION, len(body), zlib.crc32(body)) + body)
            tasks.append({"model": str(path), "sentences": [[4, EOS]], "extra": EXTRA})
    for task, found in zip(tasks, probe(tasks), strict=True):
        # Marks that are tokens, too, are a matter of taste.
        fine = Path(task["model"]).name in {"16.0.model", "16.3.model", "20.0.model", "20.3.model"}
        assert isinstance(found, list) if fine else found == {"fault": "damaged"}, task["model"]


def test_a_file_is_as_large_as_its_weights():
    model = MODELS["pre-norm, rotary positions in a part of each head"]()
    file = model_bytes(model)
    assert file.startswith(MAGIC)
    weights = sum(parameter.numel() for parameter in model.parameters())
    # A byte each, and for each row of a matrix what 1 is worth in it, and its bias.
    assert weights < len(file) < 1.12 * weights


def test_what_the_engine_cannot_express_is_refused_by_field():
    norm = BlockSpec(norm=RMSNormSpec())
    model = TransformerSpec(d_model=16, encoder=StackSpec(layers=1, block=norm)).build(VOCABULARY, VOCABULARY)
    with pytest.raises(DecodingError, match=r"cannot express this model's model\.encoder\.block\.norm\.kind"):
        model_bytes(model)


def test_without_an_engine_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    engine = tmp_path / "engine.wasm"
    assert "was not compiled when whyformer was packaged; run `pip install" in (missing_engine(engine) or "")
    engine.write_bytes(b"\0asm")
    assert "was compiled from another version's source; run `pip install" in (missing_engine(engine) or "")
    engine.write_bytes(b"\0asm" + builder.engine_fingerprint().encode())
    assert missing_engine(engine) is None
    monkeypatch.setattr(builder, "COMPILER", "a_compiler_that_nobody_has")
    assert build_engine(tmp_path / "other.wasm") == "the package a_compiler_that_nobody_has is not installed"
    assert not (tmp_path / "other.wasm").exists()


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The engine compiled twice, of sources in two folders, by a compiler that remembers nothing."""
    pytest.importorskip("ziglang", reason="needs the extra webassembly")
    engines = list[Path]()
    for name in ("one", "another/place"):
        folder = tmp_path_factory.mktemp("build") / name
        package = folder / "whyformer"
        for room in ("engines", "kernels"):
            shutil.copytree(ROOT / "src/whyformer" / room, package / room)
        shutil.copy(ROOT / "src/whyformer/__init__.py", package)
        cache = {"ZIG_GLOBAL_CACHE_DIR": str(folder / "cache"), "PYTHONPATH": str(folder)}
        (engine := package / "engines/webassembly/engine.wasm").unlink(missing_ok=True)
        command = [sys.executable, "-m", "whyformer.engines.webassembly.build"]
        subprocess.run(command, check=True, env={**os.environ, **cache}, cwd=folder)
        engines.append(engine)
    return engines


@pytest.mark.slow
def test_it_is_built_twice_alike(copies: list[Path], record_property: Callable[[str, object], None]):
    version = compiler_version()
    hashes = {hashlib.sha256(engine.read_bytes()).hexdigest() for engine in copies}
    record_property("compiler", f"zig {version}: {hashes}")
    print(f"zig {version}: sha256 {', '.join(hashes)}")
    assert f"ziglang=={version}\n" in (ROOT / "constraints.txt").read_text(encoding="utf-8")
    assert len(hashes) == 1
    if missing_engine() is None:
        assert hashlib.sha256(ENGINE.read_bytes()).hexdigest() in hashes
