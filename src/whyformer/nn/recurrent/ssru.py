"""A recurrence that stands in the place of a decoder's self-attention.

B batch · L length · M model dimension
"""

from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn
from typing_extensions import override

from whyformer.spec import Spec


class SSRUSpec(Spec):
    """Simpler simple recurrent unit: one gate decides what a state keeps, and no step multiplies by it."""

    origin: ClassVar[str] = "Kim et al. 2019, section 3.1"
    kind: Literal["ssru"] = "ssru"

    def build(self, d_model: int) -> "SSRU":
        """The unit for ``d_model`` components."""
        return SSRU(d_model)


RecurrenceSpec = Annotated[SSRUSpec, Field()]
"""Recurrence in the place of a decoder's self-attention."""


class Carried(NamedTuple):
    """Output (B,L,M) of a recurrence, and its state (B,M) after the last token."""

    output: Tensor
    state: Tensor


class SSRU(nn.Module):
    """c_t = f_t ⊙ c_(t-1) + (1 - f_t) ⊙ W x_t, f_t = sigmoid(W_f x_t + b_f), o_t = ReLU(c_t), c_(-1) = 0.

    In the place of a decoder's self-attention a step costs the same however much has been written. What no
    state enters, the two products, is computed for a whole sentence at once (Kim et al. 2019, equation 1).
    """

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.forget = nn.Linear(d_model, d_model)
        self.input = nn.Linear(d_model, d_model, bias=False)
        nn.init.xavier_uniform_(self.forget.weight)
        nn.init.xavier_uniform_(self.input.weight)
        nn.init.zeros_(self.forget.bias)

    @override
    def forward(self, x: Tensor, valid: Tensor | None, state: Tensor | None) -> Carried:
        """Go on from ``state`` (B,M), None at the beginning, over ``x`` (B,L,M); ``valid`` (B,L) is real.

        The state passes padding unchanged, so it may stand anywhere; None means that there is none. States
        have 32 bits where ``x`` has fewer, since rounding would add up.
        """
        projected = self.input(x)
        keep, new = _wide(self.forget(x)).sigmoid(), _wide(projected)
        if valid is not None:
            keep = keep.masked_fill(~valid[..., None], 1.0)
        state = new.new_zeros(len(x), x.shape[2]) if state is None else state
        states = carry(keep, (1.0 - keep) * new, state)
        return Carried(states.relu().to(projected.dtype), states[:, -1])


def carry(keep: Tensor, new: Tensor, first: Tensor) -> Tensor:
    """States c_t = keep_t ⊙ c_(t-1) + new_t: (B,L,M) from ``keep`` and ``new`` (B,L,M), ``first`` (B,M).

    One pass over the length, and one back for the gradients, with one operation a step and nothing kept but
    the states. (A scan in logarithmically many steps does more work, and no processor is as wide as a batch.)
    """
    return _Carry.apply(keep, new, first)


class _Carry(torch.autograd.Function):
    """The recurrence with its gradients written out; inside, the length comes first."""

    @override
    @staticmethod
    def forward(ctx: Any, keep: Tensor, new: Tensor, first: Tensor) -> Tensor:
        # (B,L,M) -> (L,B,M)
        keep, new = keep.transpose(0, 1).contiguous(), new.transpose(0, 1)
        states = torch.empty_like(keep)
        state = first
        for now, kept, added in zip(states, keep, new, strict=True):
            state = torch.addcmul(added, kept, state, out=now)
        ctx.save_for_backward(keep, states, first)
        return states.transpose(0, 1)

    @override
    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        keep, states, first = ctx.saved_tensors
        # What a state is worth: by its own output, and by what the next one keeps of it.
        worth = gradients[0].transpose(0, 1).contiguous()
        worth = worth.clone() if worth.data_ptr() == gradients[0].data_ptr() else worth
        for step in range(len(keep) - 2, -1, -1):
            worth[step].addcmul_(keep[step + 1], worth[step + 1])
        of_keep = torch.cat([(worth[:1] * first), worth[1:] * states[:-1]])
        # (L,B,M) -> (B,L,M)
        return of_keep.transpose(0, 1), worth.transpose(0, 1), worth[0] * keep[0]


def _wide(x: Tensor) -> Tensor:
    """``x`` in at least 32 bits."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
