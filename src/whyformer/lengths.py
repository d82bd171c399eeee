"""Counts of samples and frames along a chain of stages: the one place where a length is worked out.

Resampler, filter bank, subsampling and tubelets each turn a row of inputs into a row of outputs. Output
``j`` of a :class:`Stage` has a group of its own, inputs ``[j·stride/outputs, (j+1)·stride/outputs)``, and
may read ``beyond`` inputs past the end of its group. Three questions follow, and each has one answer here:
how many outputs a signal of known length gives (:func:`output_count`), how many exist while it still runs
(:func:`ready_count`), and how much must have been heard before the n-th exists (:func:`needed_length`).
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, TypeAlias

RaggedEnd: TypeAlias = Literal["dropped", "nearest", "filled"]


@dataclass(frozen=True)
class Stage:
    """One step of a chain: ``outputs`` outputs for every ``stride`` inputs.

    Raises ``ValueError`` for a stride or number of outputs below one and for a negative reach.
    """

    stride: int
    """Inputs that give ``outputs`` outputs."""

    outputs: int = 1
    """Outputs for ``stride`` inputs: above one for a resampler that goes up or has an odd ratio."""

    beyond: int = 0
    """Inputs that an output reads past the end of its own group, or that a library holds back."""

    end: RaggedEnd = "filled"
    """Treatment of the last inputs when the signal is over: an output whose inputs are incomplete is
    ``dropped``, the count is rounded to the ``nearest`` (half up), or the ragged group is ``filled`` up."""

    def __post_init__(self) -> None:
        """Refuse what is no stage."""
        if self.stride < 1 or self.outputs < 1 or self.beyond < 0:
            raise ValueError(f"a stage needs stride ≥ 1, outputs ≥ 1 and beyond ≥ 0, not {self}")


def resampling(from_rate: int, to_rate: int, held_back: int = 0) -> Stage:
    """The stage of a resampler between two rates in Hz, which holds back at most ``held_back`` inputs.

    soxr rounds the number of samples of a finished signal to the nearest, half up.
    """
    ratio = Fraction(from_rate, to_rate)
    return Stage(ratio.numerator, ratio.denominator, held_back, "nearest")


def centred_framing(window: int, shift: int) -> Stage:
    """The stage of Kaldi's frames with ``snip_edges`` off: windows of samples centred on their shift.

    Frame ``j`` begins at ``j·shift + ⌊shift/2⌋ − ⌊window/2⌋``; the edges of the signal are mirrored.
    """
    return Stage(shift, 1, max(0, shift // 2 - window // 2 + window - shift), "nearest")


def snipped_framing(window: int, shift: int) -> Stage:
    """The stage of frames wholly inside the signal: Kaldi's ``snip_edges``, which drops the tail."""
    return Stage(shift, 1, max(0, window - shift), "dropped")


def grouping(stride: int) -> Stage:
    """The stage of a causal subsampling: ``⌈inputs / stride⌉`` outputs, the ragged group filled."""
    return Stage(stride)


def output_count(length: int, *stages: Stage) -> int:
    """The number of outputs of the whole chain for a finished signal of ``length`` inputs."""
    for stage in stages:
        match stage.end:
            case "dropped":
                length = _ready(length, stage)
            case "nearest":
                length = (2 * length * stage.outputs + stage.stride) // (2 * stage.stride)
            case "filled":
                length = -(-length * stage.outputs // stage.stride)
    return length


def ready_count(length: int, *stages: Stage) -> int:
    """The number of outputs that surely exist after ``length`` inputs of a signal that goes on."""
    for stage in stages:
        length = _ready(length, stage)
    return length


def needed_length(count: int, *stages: Stage) -> int:
    """The number of inputs after which ``count`` outputs surely exist though the signal goes on; 0 for none.

    Inverse of :func:`ready_count`: the smallest length with ``ready_count(length) >= count``.
    """
    for stage in reversed(stages):
        count = -(-count * stage.stride // stage.outputs) + stage.beyond if count else 0
    return count


def inputs_per_output(*stages: Stage) -> Fraction:
    """The number of inputs that one output of the chain stands for: the length of its own group."""
    ratio = Fraction(1)
    for stage in stages:
        ratio *= Fraction(stage.stride, stage.outputs)
    return ratio


def look_ahead(*stages: Stage) -> Fraction:
    """The number of inputs that an output of the chain waits for after the end of its own group.

    The group itself is not counted: who waits for a chunk of outputs waits for their groups and for this.
    """
    ahead, ratio = Fraction(0), Fraction(1)
    for stage in stages:
        ahead += stage.beyond * ratio
        ratio *= Fraction(stage.stride, stage.outputs)
    return ahead


def _ready(length: int, stage: Stage) -> int:
    """The outputs of one stage whose inputs have all come."""
    return max(0, (length - stage.beyond) * stage.outputs // stage.stride)
