"""Choice of the engine that computes translations, and of its precision."""

import warnings
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import torch

from whyformer.decoding.search import search
from whyformer.engines.ctranslate2.engine import CTranslate2Engine, converted
from whyformer.engines.engine import Engine
from whyformer.engines.native.engine import NativeEngine, obstacle
from whyformer.engines.precision import chosen_precision, quantize_linear
from whyformer.engines.shortlist.search import ListedSearch, ShortlistSearch, listed_search
from whyformer.engines.shortlist.table import ShortlistTable
from whyformer.errors import DecodingError, WhyformerNote
from whyformer.machine import CPUPrecision, EngineName, PrecisionName
from whyformer.models.encoder_decoder import AnyEncoderDecoder


class Selected(NamedTuple):
    """An engine, and how many batches it searches at a time."""

    engine: Engine
    parallel: int | None
    """None to measure what is faster: one, or one for each core."""


def select_engine(
    model: AnyEncoderDecoder,
    run: Path,
    weights: Path,
    name: EngineName,
    precision: PrecisionName,
    shortlist: ShortlistTable | None = None,
) -> Selected:
    """The engine called ``name``, in ``precision``, for a ``model`` of ``weights`` of ``run`` in fp32.

    The layers of ``model`` itself are changed where the engine leaves work to it. ``auto`` is the native
    engine with precision ``auto`` on the CPU, else torch; where that engine cannot compute the model, torch
    does, and a ``WhyformerNote`` says why. With a ``shortlist`` the engine searches among what that lists
    for a sentence.

    Raises:
        DecodingError: the device, the CPU, or the native engine cannot compute so; or CTranslate2 is to take
            our shortlist.
        CheckpointError: CTranslate2 is not installed, or cannot express the model.
    """
    device = model.output_weight.device
    chosen = chosen_precision(precision, device)
    if name == "auto":
        name = _automatic_engine(model, chosen) if precision == "auto" else "torch"
    match name:
        case "torch":
            if not _quantize(model, chosen) and precision not in ("fp32", "auto"):
                warnings.warn(
                    f"all layers of this model are so small that {precision} would gain nothing, so fp32 is "
                    "computed.",
                    WhyformerNote,
                    stacklevel=2,
                )
            whole: Engine = partial(search, model)
            listed: ListedSearch = partial(listed_search, model)
            return Selected(whole if shortlist is None else ShortlistSearch(shortlist, whole, listed), None)
        case "native":
            own = chosen_precision(precision, device, native=True)
            if own == "bf16":
                raise DecodingError("the native engine computes in int8 or fp32; add --precision int8.")
            searching = NativeEngine(model, own)
            # What it leaves to torch is as fast there.
            _quantize(model, chosen)
            if shortlist is None:
                return Selected(searching, None)
            return Selected(ShortlistSearch(shortlist, searching, searching.listed), None)
        case "ctranslate2":
            if shortlist is not None:
                raise DecodingError(
                    "--shortlist is for our own engines: CTranslate2 reads lists of another form; leave it "
                    "out, or take --engine native."
                )
            folder = converted(model, run, weights, chosen)
            callers = torch.get_num_threads()
            return Selected(CTranslate2Engine(folder, chosen, callers), callers)


def _automatic_engine(model: AnyEncoderDecoder, precision: CPUPrecision) -> Literal["torch", "native"]:
    """The engine that pays for ``model`` in the ``precision`` of its device."""
    if model.output_weight.device.type != "cpu":
        return "torch"
    reason = "the native engine has no bf16, which pays here" if precision == "bf16" else obstacle(model)
    if reason is None:
        return "native"
    warnings.warn(f"torch translates, as {reason}.", WhyformerNote, stacklevel=3)
    return "torch"


def _quantize(model: AnyEncoderDecoder, precision: CPUPrecision) -> int:
    """Put the large layers of ``model`` into ``precision``, and count them."""
    return 0 if precision == "fp32" else quantize_linear(model, precision)
