"""Endpoints: where a stream of frames falls into utterances.

L frames · V symbols, of which 0 is the blank
"""

import math
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from whyformer.decoding.ctc.sums import CTC_BLANK
from whyformer.spec import Spec

# Of a frame: what sums of frame lengths in floating point may lack of a whole number of them.
_ROUNDING = 1e-6


class EndpointRule(Spec):
    """One reason to end an utterance: all of its conditions hold."""

    text: bool = False
    """Whether something must have been said in the utterance."""
    silence: float = Field(default=0.0, ge=0.0)
    """Seconds of silence at its end, at least."""
    utterance: float = Field(default=0.0, ge=0.0)
    """Seconds that it has lasted, at least."""

    @model_validator(mode="after")
    def _takes_time(self) -> "EndpointRule":
        if not self.silence and not self.utterance:
            raise ValueError("a rule without a time cuts words; set silence or utterance above 0")
        return self


class EndpointSpec(Spec):
    """Rules of which any ends an utterance, and the silence that they speak of.

    A frame is silent if the blank is more probable than ``blank``; something was said as soon as a symbol is
    the likeliest of its frame, which is when the greedy search has text, and behind such a frame no utterance
    ends. Both are facts of the frames, so an endpoint does not depend on how the stream came in pieces, or on
    the search.
    """

    origin: ClassVar[str] = "endpoint detection of Kaldi (Povey et al. 2011), as for CTC in WeNet"
    kind: Literal["rules"] = "rules"
    blank: float = Field(default=0.8, gt=0.0, lt=1.0)
    """Probability of the blank above which a frame is silent."""
    rules: Annotated[tuple[EndpointRule, ...], Field(min_length=1)] = (
        EndpointRule(silence=5.0),
        EndpointRule(silence=1.0, text=True),
        EndpointRule(utterance=20.0),
    )
    """Rules, tried in this order."""

    def open(self, frame_seconds: float) -> "EndpointDetector":
        """A detector before its first frame, of frames that last ``frame_seconds`` each."""
        return EndpointDetector(self, frame_seconds)


def patient_rules() -> EndpointSpec:
    """The times that sherpa-onnx takes if it is told none: 2.4 s in silence, 1.2 s after text, 20 s."""
    return EndpointSpec(
        rules=(
            EndpointRule(silence=2.4),
            EndpointRule(silence=1.2, text=True),
            EndpointRule(utterance=20.0),
        )
    )


class Endpoint(NamedTuple):
    """The end of an utterance."""

    frame: int
    """Frames of the stream up to the end, so the index of that with which the next utterance begins."""
    rule: EndpointRule
    """The first rule that held."""


class EndpointDetector:
    """Watches a stream, of which it keeps three numbers; after an endpoint, all begin anew."""

    def __init__(self, spec: EndpointSpec, frame_seconds: float) -> None:
        if not frame_seconds > 0.0:
            raise ValueError(f"frames of {frame_seconds} seconds make no stream")
        self._threshold = math.log(spec.blank)
        self._rules = [
            (rule, rule.text, _frames(rule.silence, frame_seconds), _frames(rule.utterance, frame_seconds))
            for rule in spec.rules
        ]
        self._fed = 0
        self._begin()

    def feed(self, log_probs: npt.NDArray[np.floating[Any]]) -> list[Endpoint]:
        """Read L more frames, ``log_probs`` (L,V); the endpoints among them, in their order."""
        if not len(log_probs):
            return []
        silent: list[bool] = (log_probs[:, CTC_BLANK] > self._threshold).tolist()
        said: list[bool] = (log_probs.argmax(axis=1) != CTC_BLANK).tolist()
        found: list[Endpoint] = []
        for is_silent, is_said in zip(silent, said, strict=True):
            self._fed += 1
            self._utterance += 1
            self._silence = self._silence + 1 if is_silent else 0
            self._text = self._text or is_said
            if is_said:
                # The run of a symbol that is cut in two would be read twice.
                continue
            for rule, text, silence, utterance in self._rules:
                if self._silence >= silence and self._utterance >= utterance and (self._text or not text):
                    found.append(Endpoint(self._fed, rule))
                    self._begin()
                    break
        return found

    def _begin(self) -> None:
        self._utterance = 0
        self._silence = 0
        self._text = False


def _frames(seconds: float, frame_seconds: float) -> int:
    """The fewest frames that last so long."""
    return math.ceil(seconds / frame_seconds - _ROUNDING)
