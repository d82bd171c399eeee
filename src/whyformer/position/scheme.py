"""The base of every position scheme: four hooks, of which it overrides one or two.

B batch · L length · Q query length · K key length · H heads · D head dimension · M model dimension
"""

from typing import ClassVar, Literal

from torch import Tensor, nn
from typing_extensions import override

from whyformer.position.attention_shape import AttentionShape
from whyformer.position.layout import Layout
from whyformer.spec import Spec


class PositionScheme(nn.Module):
    """The base of every scheme: four hooks that change nothing."""

    def embed(self, x: Tensor, layout: Layout) -> Tensor:
        """Change the embedded tokens ``x`` (B,L,M), which stand at ``layout``."""
        return x

    def rotate(self, x: Tensor, position: Tensor) -> Tensor:
        """Change queries or keys ``x`` (B,H,L,D) at ``position`` (B,L)."""
        return x

    def logits(self, query: Tensor, key: Tensor, queries: Layout, keys: Layout) -> Tensor | None:
        """A term for the logits (B,H,Q,K) from scaled query (B,H,Q,D) and key (B,H,K,D); None for no term."""
        return None

    def values(self, weights: Tensor, queries: Layout, keys: Layout) -> Tensor | None:
        """A term for the context (B,H,Q,D) from the weights (B,H,Q,K); None for no term."""
        return None


class SchemeSpec(Spec):
    """Base of the specs of all schemes."""

    dot_only: ClassVar[bool] = False
    """Whether the scheme needs a score that is a dot product."""
    in_attention: ClassVar[bool] = True
    """Whether the scheme acts inside attention; else on embedded tokens."""

    @property
    def by_layer(self) -> bool:
        """Whether every layer owns a scheme with parameters of its own; else the stack owns one for all."""
        return False

    def incompatibility(self, shape: AttentionShape) -> str | None:
        """Why the scheme cannot serve the attention at ``shape``; None where it can."""
        return None

    def max_positions(self) -> int | None:
        """Positions that the scheme knows; None where there is no limit."""
        return None


class OwnedSpec(SchemeSpec):
    """A scheme inside attention, whose parameters layers may share."""

    owner: Literal["stack", "layer"] = "layer"
    """Who has the parameters: one set for the whole stack, or one for every layer."""

    @property
    @override
    def by_layer(self) -> bool:
        return self.owner == "layer"
