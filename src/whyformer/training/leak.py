"""The leak check: before step 1, prove that no output sees an input that it must not see.

B batch · Q states · K inputs · M model dimension
"""

from collections.abc import Callable

import torch

from whyformer.errors import TrainingError
from whyformer.training.task import Probe


def check_no_leak(states: Callable[[], Probe]) -> None:
    """Refuse a model that reads what is to be kept from it: the future, padding, another text.

    A leak looks like a brilliant model: training loss falls to nothing and the model is useless. The
    gradient of a state with respect to an input out of its sight must therefore be exactly zero.

    Args:
        states: runs the model once, in training mode, on a probe.

    Raises:
        TrainingError: some state depends on an input that it must not see.
    """
    embedded, hidden, sees = states()
    causal = torch.ones(hidden.shape[1], embedded.shape[1], dtype=torch.bool).tril()
    # Any fixed direction but the state's own: a layer norm holds the length of a state constant.
    direction = torch.randn(hidden.shape[2], generator=torch.Generator().manual_seed(0)).to(hidden)
    for t, visible in enumerate(causal if sees is None else sees):
        gradient = torch.autograd.grad((hidden[:, t] * direction).sum(), embedded, retain_graph=True)[0]
        # (B,K,M) -> (K,), how much each input moves the state at t
        influence = gradient.float().abs().amax(dim=(0, 2)).cpu()
        if len(unseen := torch.nonzero(influence.masked_fill(visible.cpu(), 0.0))):
            raise _leak(t, int(unseen[0]), float(influence[unseen[0]]), causal=sees is None)


def _leak(t: int, seen: int, gradient: float, *, causal: bool) -> TrainingError:
    if causal:
        return TrainingError(
            f"the output at position {t} depends on the later input at position {seen} "
            f"(gradient {gradient:.2g}, must be 0): the model would learn to copy the answer; "
            "use a causal mask in the decoder and no norm that mixes positions"
        )
    return TrainingError(
        f"the output at position {t} depends on the input at position {seen}, which is out of its sight "
        f"(gradient {gradient:.2g}, must be 0): padding or another text would change what the model makes "
        "of this one; use no norm that mixes positions"
    )
