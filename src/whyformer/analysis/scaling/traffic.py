"""Numbers that ranks send one another in a step, and the time it takes.

R ranks · P weights
"""

from dataclasses import dataclass
from typing import Literal

from whyformer.analysis.scaling.devices import DeviceFacts

Sharding = Literal["none", "full"]
"""Who holds weights, gradients and the optimizer's state: every rank all of them, or each its part."""

_CARRIED = 0.8
"""Share of what is written on a link that collectives get through it; assumed."""


@dataclass(frozen=True)
class Traffic:
    """Communication of one rank in one step."""

    sent: float
    """Bytes that it sends."""
    seconds: float
    """Seconds that sending takes."""
    exposed: float
    """Seconds of these in which nothing is computed."""
    computing: float
    """Seconds that the rank computes."""


def bandwidth(device: DeviceFacts, ranks: int) -> float:
    """Bytes a second that each of ``ranks`` sends in a ring.

    A ring leaves a machine once, through as many adapters as the machine has devices, and NCCL lays as many
    rings as there are adapters; so each device has its link, and all together have the network.
    """
    inside = device.links.machine
    if ranks > device.links.neighbours:
        inside = min(inside, device.links.network * device.links.neighbours)
    return _CARRIED * inside


def traffic(
    device: DeviceFacts,
    ranks: int,
    shard: Sharding,
    weights: int,
    *,
    batches: int,
    computing: float,
    units: int = 1,
    width: int = 4,
) -> Traffic:
    """Communication of a step.

    Args:
        device: what computes.
        ranks: how many share out the step.
        shard: none sums all gradients once a step, by a ring's all-reduce (2·(R-1)/R·P numbers, Patarasuk and
            Yuan 2009), when all are there; full gathers weights twice a batch, forward and backward, and
            scatters sums of gradients once a batch, each (R-1)/R·P.
        weights: P.
        batches: of a rank in a step.
        computing: seconds that it computes in a step.
        units: parts that are gathered one by one; all but the first gather and the last sum are hidden
            behind what is computed of others.
        width: bytes of a sum of gradients, where they travel as sums of several batches.
    """
    if ranks == 1:
        return Traffic(0.0, 0.0, 0.0, computing)
    # Weights are fp32, and the gradients of a batch.
    once, rate = 4 * (ranks - 1) / ranks * weights, bandwidth(device, ranks)
    if shard == "none":
        sent = 2 * once * width / 4
        return Traffic(sent, sent / rate, sent / rate, computing)
    sent = 3 * batches * once
    ends = 2 * batches * once / units
    return Traffic(sent, sent / rate, max(sent / rate - computing, ends / rate), computing)
