"""Where keys come from: a projection of their own, or that of the queries.

B batch · K key length · H heads · D head dimension · M model dimension
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn

from whyformer.attention.heads import HeadsSpec
from whyformer.spec import Spec


class OwnKeysSpec(Spec):
    """Keys are projected by a matrix of their own."""

    origin: ClassVar[str] = "Vaswani et al. 2017, section 3.2.2"
    kind: Literal["own"] = "own"
    shares: ClassVar[bool] = False

    def build(self, d_model: int, heads: HeadsSpec) -> "OwnKeys":
        """The projection of the keys."""
        return OwnKeys(d_model, heads.key_value_heads * heads.head_dim(d_model), bias=heads.bias)


class SharedKeysSpec(Spec):
    """Queries and keys are projected by one matrix, so that what two tokens think of each other is alike."""

    origin: ClassVar[str] = "Kitaev et al. 2020, section 2 (shared-QK)"
    kind: Literal["shared"] = "shared"
    shares: ClassVar[bool] = True

    def build(self, d_model: int, heads: HeadsSpec) -> "SharedKeys":
        """The projection of the keys."""
        return SharedKeys()


class SharedUnitKeysSpec(Spec):
    """Queries and keys are projected by one matrix, and each key is brought to length 1."""

    origin: ClassVar[str] = "Kitaev et al. 2020, section 2 (shared-QK)"
    kind: Literal["shared_unit"] = "shared_unit"
    shares: ClassVar[bool] = True

    def build(self, d_model: int, heads: HeadsSpec) -> "SharedUnitKeys":
        """The projection of the keys."""
        return SharedUnitKeys(heads.key_value_heads)


KeysSpec = Annotated[OwnKeysSpec | SharedKeysSpec | SharedUnitKeysSpec, Field(discriminator="kind")]


class OwnKeys(nn.Linear):
    """x W_K + b_K, the projection of the queries left alone."""

    def project(self, x: Tensor, query: nn.Linear) -> Tensor:
        """Keys (B,K,H·D) of ``x`` (B,K,M); ``query`` is the projection of the queries."""
        return self(x)


class SharedKeys(nn.Module):
    """x W_Q + b_Q. It has no parameters: those are the query's."""

    def project(self, x: Tensor, query: nn.Linear) -> Tensor:
        """Keys (B,K,H·D) of ``x`` (B,K,M), by the projection ``query``."""
        return query(x)


class SharedUnitKeys(nn.Module):
    """The same, divided by its length in each head: a token can no longer win by being long."""

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.heads = heads

    def project(self, x: Tensor, query: nn.Linear) -> Tensor:
        """Keys (B,K,H·D) of ``x`` (B,K,M), by the projection ``query``."""
        # (B,K,H·D) -> (B,K,H,D) -> (B,K,H·D)
        return nn.functional.normalize(query(x).unflatten(-1, (self.heads, -1)), dim=-1).flatten(-2)
