"""Heads: how many, how wide, and how the model dimension is cut into them.

B batch · L length · H heads · D head dimension · M model dimension
"""

from pydantic import Field, model_validator
from torch import Tensor

from whyformer.position.attention_shape import AttentionShape
from whyformer.spec import Spec


class HeadsSpec(Spec):
    """The numbers of one multi-head attention (Vaswani et al. 2017, section 3.2.2)."""

    query: int = Field(default=8, ge=1)
    """Number of query heads."""
    key_value: int | None = Field(default=None, ge=1)
    """Number of key and value heads, shared evenly by the query heads; as many as those if left out."""
    dim: int | None = Field(default=None, ge=1)
    """Components of one head; d_model / query heads if left out, so that more heads cost nothing."""
    bias: bool = True
    """Whether the four projections add a learned bias."""

    @model_validator(mode="after")
    def _shares_evenly(self) -> "HeadsSpec":
        if self.key_value is not None and self.query % self.key_value:
            raise ValueError(f"{self.query} query heads cannot share {self.key_value} key-value heads evenly")
        return self

    def head_dim(self, d_model: int) -> int:
        """Components of one head in a model of ``d_model``.

        Raises:
            ValueError: the heads do not divide the model dimension and no ``dim`` is given.
        """
        if self.dim is not None:
            return self.dim
        if d_model % self.query:
            raise ValueError(
                f"{self.query} heads do not divide d_model {d_model}; set dim or change the heads"
            )
        return d_model // self.query

    def attention_shape(self, d_model: int, *, causal: bool = False) -> AttentionShape:
        """An attention with these heads in a model of ``d_model``."""
        return AttentionShape(d_model, self.query, self.head_dim(d_model), causal)

    @property
    def key_value_heads(self) -> int:
        """Number of key-value heads."""
        return self.query if self.key_value is None else self.key_value


def split(x: Tensor, heads: int) -> Tensor:
    """(B,L,H·D) -> (B,H,L,D)."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def merge(x: Tensor) -> Tensor:
    """(B,H,L,D) -> (B,L,H·D)."""
    return x.transpose(1, 2).flatten(2)


def repeat_key_value_heads(x: Tensor, times: int) -> Tensor:
    """Let ``times`` query heads read each key-value head: (B,H/times,L,D) -> (B,H,L,D)."""
    return x if times == 1 else x.repeat_interleave(times, dim=1)
