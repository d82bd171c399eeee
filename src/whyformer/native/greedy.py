"""The native engine: greedy search for one sentence by the library, and torch's search for all else.

B batch · S source length · T target length · V vocabulary
"""

import ctypes
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from whyformer.decoding.greedy import GreedySpec
from whyformer.decoding.hypothesis import Hypothesis
from whyformer.decoding.search import SearchSpec, search
from whyformer.errors import DecodingError
from whyformer.marks import END
from whyformer.models.pair import AnyPairModel
from whyformer.models.transformer import Transformer
from whyformer.native import library
from whyformer.native.pack import NativePrecision, Packed, fault


class NativeEngine:
    """What ``search`` does with a model; the library does it where a single sentence is searched greedily.

    It has a copy of the weights as they were at first; ``model`` may be packed or moved then.
    """

    def __init__(
        self, model: AnyPairModel, precision: NativePrecision, *, path: Path = library.LIBRARY
    ) -> None:
        """Pack the weights for the library at ``path``.

        Raises:
            DecodingError: there is no such library, or it cannot express the model.
        """
        if (reason := library.missing(path)) is not None:
            raise DecodingError(reason)
        if not isinstance(model, Transformer):
            raise DecodingError("the native engine runs Transformers only; translate with --engine torch.")
        if model.output_weight.device.type != "cpu":
            raise DecodingError("the native engine runs on the CPU; add --device cpu.")
        if (field := fault(model.spec)) is not None:
            raise DecodingError(
                f"the native engine cannot express this model's model.{field}; translate with --engine torch."
            )
        self.model = model
        self._translating = library.library(path).whyformer_translate
        self._longest = model.longest
        self._source_vocabulary = len(model.source_embedding.weight)
        self._vocabulary = len(model.output_weight)
        self._packed = Packed(model, precision)

    @torch.inference_mode()
    def __call__(
        self,
        source: Tensor,
        valid: Tensor,
        settings: SearchSpec,
        *,
        model_limit: int | None = None,
        numbers: Sequence[int] | None = None,
    ) -> list[list[Hypothesis]]:
        """See ``search``; several sentences, other searches and most constraints are left to it."""
        if len(source) == 1 and isinstance(settings, GreedySpec) and _is_free(settings):
            tokens = source[valid]
            longest = int(settings.longest(valid.sum(dim=1), model_limit))
            if self._fits(tokens, longest):
                found = self._translate(tokens, longest, self._penalty(settings))
                if found is not None:
                    return [[found]]
        # It also says what is wrong where logits were not numbers.
        return search(self.model, source, valid, settings, model_limit=model_limit, numbers=numbers)

    def _fits(self, tokens: Tensor, longest: int) -> bool:
        """Whether there are positions for all tokens, and vectors for those of the source."""
        if len(tokens) == 0 or max(len(tokens), longest) > self._longest:
            return False
        return int(tokens.min()) >= 0 and int(tokens.max()) < self._source_vocabulary

    def _penalty(self, settings: GreedySpec) -> Tensor:
        """What is added to the logits (V,): 0, or minus infinity for what is forbidden."""
        penalty = torch.zeros(1, self._vocabulary)
        settings.apply(penalty, torch.empty(1, 0, dtype=torch.int64))
        return penalty[0]

    def _translate(self, source: Tensor, longest: int, penalty: Tensor) -> Hypothesis | None:
        """What is written to ``source`` (S,), ``longest`` tokens at most; None if logits are no numbers."""
        tokens = torch.empty(longest, dtype=torch.int64)
        log_probabilities = torch.empty(longest)
        length = self._translating(
            *(ctypes.byref(self._packed.struct), self._packed.precision == "int8"),
            *(source.data_ptr(), len(source), longest, penalty.data_ptr(), torch.get_num_threads()),
            *(tokens.data_ptr(), log_probabilities.data_ptr()),
        )
        if length < 0:
            return None
        written, summands = tokens[:length].tolist(), log_probabilities[:length]
        finished, total = written[-1] == END, float(summands.sum())
        kept = tuple(written[:-1] if finished else written)
        return Hypothesis(kept, total, total, tuple(summands.tolist()), finished)


def _is_free(settings: GreedySpec) -> bool:
    """Whether nothing depends on what was written before; tokens may be forbidden."""
    return settings.shortest == 1 and not settings.prefix and settings.no_repeat_ngram is None
