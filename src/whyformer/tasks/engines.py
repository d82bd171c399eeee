"""What computes translations, and in which precision."""

from pathlib import Path
from typing import Literal

import torch

from whyformer.errors import DecodingError
from whyformer.machine import CPUPrecision, automatic_cpu_precision
from whyformer.models.pair import AnyPairModel
from whyformer.native.engine import NativeEngine
from whyformer.nn.packed import pack
from whyformer.tasks.ctranslate2 import CTranslate2Engine, converted
from whyformer.tasks.translator import Translator

EngineName = Literal["torch", "native", "ctranslate2"]
PrecisionName = Literal["auto", "fp32", "bf16", "int8"]


def equipped(
    translator: Translator, run: Path, weights: Path, engine: EngineName, precision: PrecisionName
) -> Translator:
    """``translator``, of ``weights`` of ``run`` in fp32, with an ``engine`` that computes in ``precision``.

    Raises:
        DecodingError: the device, the CPU or the native engine cannot compute so.
        CheckpointError: CTranslate2 is not installed, or cannot express the model.
    """
    model, tokenizers = translator.model, translator.tokenizers
    chosen = chosen_precision(precision, model.output_weight.device)
    match engine:
        case "torch":
            _pack(model, chosen)
            return translator
        case "native":
            if chosen == "bf16":
                raise DecodingError("the native engine computes in int8 or fp32; add --precision int8.")
            searching = NativeEngine(model, chosen)
            # What it leaves to torch is as fast there.
            _pack(model, chosen)
            return Translator(model, tokenizers, translator.settings, engine=searching)
        case "ctranslate2":
            folder = converted(model, run, weights, chosen, vocabulary=tokenizers.source.size)
            callers = torch.get_num_threads()
            searching = CTranslate2Engine(folder, chosen, callers)
            return Translator(model, tokenizers, translator.settings, engine=searching, streams=callers)


def _pack(model: AnyPairModel, precision: CPUPrecision) -> None:
    if precision != "fp32":
        pack(model, precision)


def chosen_precision(precision: PrecisionName, device: torch.device) -> CPUPrecision:
    """What ``precision`` stands for on ``device``: ``auto`` for what pays on its CPU, elsewhere for fp32.

    Raises:
        DecodingError: it is asked for on a device that is no CPU.
    """
    if precision == "auto":
        return automatic_cpu_precision()[0] if device.type == "cpu" else "fp32"
    if precision != "fp32" and device.type != "cpu":
        raise DecodingError(f"--precision {precision} is for the CPU; add --device cpu.")
    return precision
