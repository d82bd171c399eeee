"""CTranslate2 as the engine of a translator: it searches, our formula ranks.

B batch · S source length
"""

import importlib.util
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from whyformer.decoding.beam import BeamSpec
from whyformer.decoding.hypothesis import Hypothesis
from whyformer.decoding.ranking.scorer import length_penalty
from whyformer.decoding.sampling import SamplingSpec
from whyformer.decoding.search import SearchSpec
from whyformer.decoding.stopping import Wanted
from whyformer.engines.ctranslate2.weights import convert
from whyformer.errors import CheckpointError, DecodingError
from whyformer.files import explained, file_sha256
from whyformer.machine import CPUPrecision
from whyformer.models.encoder_decoder import AnyEncoderDecoder
from whyformer.models.transformer import Transformer
from whyformer.position.layout import Padding, real_tokens
from whyformer.special_tokens import EOS, PAD

_TYPES = {"fp32": "float32", "bf16": "bfloat16", "int8": "int8"}


class CTranslate2Engine:
    """Searches as ``decoding.search.search`` does, in another library.

    Greedy search is the same search. A beam is left when ``size`` hypotheses have finished, or as many as
    patience asks for, and the likeliest extension is one of them; ours, without patience, when nothing alive
    can win any more. Of those that it found the best by our length penalty come out. Probabilities are those
    among what is not forbidden, and are not given for each token.
    """

    def __init__(self, folder: Path, precision: CPUPrecision, callers: int) -> None:
        import ctranslate2

        kind = _TYPES[precision]
        if kind not in ctranslate2.get_supported_compute_types("cpu"):
            raise DecodingError(f"CTranslate2 has no {kind} on this CPU; take another --precision.")
        # Callers work side by side, so each has one thread.
        self._engine: Any = ctranslate2.Translator(
            str(folder), device="cpu", compute_type=kind, inter_threads=callers, intra_threads=1
        )

    def __call__(
        self,
        source: Tensor,
        valid: Padding,
        settings: SearchSpec,
        *,
        model_limit: int,
        numbers: Sequence[int],
        wanted: Wanted | None = None,
    ) -> list[list[Hypothesis]]:
        """See ``search``; nothing can make it stop, though, so ``wanted`` is not looked at.

        Raises:
            DecodingError: also where CTranslate2 cannot search so.
        """
        _refuse(settings)
        mask = real_tokens(valid)
        limits: list[int] = settings.longest(mask.sum(dim=1), model_limit).tolist()
        rows = [[str(id) for id in row[real].tolist()] for row, real in zip(source, mask, strict=True)]
        found = self._search(rows, settings, max(limits))
        for row, limit in enumerate(limits):
            # They take one limit for all. Few sentences reach even their own.
            if any(len(each.tokens) + each.finished > limit for each in found[row]):
                found[row] = self._search([rows[row]], settings, limit)[0]
        return found

    def _search(self, rows: list[list[str]], settings: SearchSpec, limit: int) -> list[list[Hypothesis]]:
        size = settings.size if isinstance(settings, BeamSpec) else 1
        enough = settings.build().enough or size
        results = self._engine.translate_batch(
            rows,
            beam_size=size,
            num_hypotheses=enough,
            patience=enough / size,
            length_penalty=0,
            return_scores=True,
            return_end_token=True,
            suppress_sequences=[[str(id)] for id in sorted({PAD, *settings.forbidden})],
            min_decoding_length=settings.shortest - 1,
            max_decoding_length=limit,
            max_input_length=0,
        )
        return [
            _ranked(settings, [[int(id) for id in row] for row in result.hypotheses], result.scores)
            for result in results
        ]


def _ranked(settings: SearchSpec, rows: list[list[int]], totals: list[float]) -> list[Hypothesis]:
    """The best of what was found, by our formula; those that ended come before those that were cut off."""
    alpha = settings.length_penalty if isinstance(settings, BeamSpec) else 0.0
    found = [
        Hypothesis(
            tokens=tuple(row[:-1] if row[-1:] == [EOS] else row),
            score=total / float(length_penalty(torch.tensor(len(row)), alpha)),
            log_probability=total,
            token_log_probabilities=(),
            finished=row[-1:] == [EOS],
        )
        for row, total in zip(rows, totals, strict=True)
    ]
    ended = [each for each in found if each.finished] or found
    return settings.build().best(sorted(ended, key=lambda each: each.score, reverse=True))


def _refuse(settings: SearchSpec) -> None:
    """Refuse what it would do in another way than ours, or not at all."""
    faults = {
        "sampling, whose draws it does not seed by sentence": isinstance(settings, SamplingSpec),
        "our coverage_penalty": isinstance(settings, BeamSpec) and settings.coverage_penalty > 0,
        "no_repeat_ngram as we count it": settings.no_repeat_ngram is not None,
        "a prefix whose score counts": bool(settings.prefix or settings.openings),
    }
    for what, asked in faults.items():
        if asked:
            raise DecodingError(f"CTranslate2 does not have {what}; translate with --engine torch.")


def converted(model: AnyEncoderDecoder, run: Path, weights: Path, precision: CPUPrecision) -> Path:
    """The folder of ``run`` with ``model`` as CTranslate2 reads it, written on first use.

    Args:
        model: what was loaded from ``weights``, in fp32.
        run: the run's folder; converted models lie in its folder ``ctranslate2``.
        weights: the file whose content names the folder, so that other weights of the run have another.
        precision: of the weights.

    Raises:
        CheckpointError: CTranslate2 is not installed, or cannot express the model.
        WhyformerError: the folder cannot be written.
    """
    if importlib.util.find_spec("ctranslate2") is None:
        raise CheckpointError("CTranslate2 is not installed; run `pip install 'whyformer[ctranslate2]'`.")
    if not isinstance(model, Transformer):
        raise CheckpointError(f"{run}: CTranslate2 has no recurrent models; take --engine torch.")
    fingerprint = file_sha256(weights)[:16]
    folder = run / "ctranslate2" / f"{fingerprint}-{precision}"
    if not folder.is_dir():
        temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
        try:
            temporary.mkdir(parents=True)
            convert(model, _TYPES[precision], temporary)
            temporary.replace(folder)
        except OSError as error:
            # Another process may have written the same in the meantime.
            if not folder.is_dir():
                raise explained(error, folder) from error
        finally:
            # Gone already if all went well.
            shutil.rmtree(temporary, ignore_errors=True)
    return folder
