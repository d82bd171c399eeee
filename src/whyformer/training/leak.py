"""The leak check: before step 1, prove that no output can see a later input.

B batch · T target length · M model dimension
"""

from collections.abc import Callable

import torch
from torch import Tensor

from whyformer.errors import TrainingError


def check_no_leak(states: Callable[[], tuple[Tensor, Tensor]]) -> None:
    """Refuse a model that reads the future.

    A leak looks like a brilliant model: training loss falls to nothing and the model is useless. The
    gradient of the state at t with respect to inputs after t must therefore be exactly zero.

    Args:
        states: runs the model once, in training mode, on a probe and gives (embedded inputs, hidden
            states), both (B,T,M) and of one graph.

    Raises:
        TrainingError: some state depends on a later input.
    """
    embedded, hidden = states()
    # Any fixed direction but the state's own: a layer norm holds the length of a state constant.
    direction = torch.randn(hidden.shape[2], generator=torch.Generator().manual_seed(0)).to(hidden)
    for t in range(hidden.shape[1] - 1):
        gradient = torch.autograd.grad((hidden[:, t] * direction).sum(), embedded, retain_graph=True)[0]
        # (B,T,M) -> (T,), how much each input moves the state at t
        influence = gradient.float().abs().amax(dim=(0, 2))
        future = torch.nonzero(influence[t + 1 :])
        if len(future):
            seen = t + 1 + int(future[0])
            raise TrainingError(
                f"the output at position {t} depends on the later input at position {seen} "
                f"(gradient {influence[seen]:.2g}, must be 0): the model would learn to copy the answer; "
                "use a causal mask in the decoder and no norm that mixes positions"
            )
