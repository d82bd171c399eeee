"""Transformer-XL's projected sinusoids of offsets.

B batch · Q query, K key length · N offsets · H heads · D head dimension · M model dimension
"""

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from typing_extensions import override

from whyformer.position.absolute import sinusoids
from whyformer.position.axis import Axis
from whyformer.position.offsets import extent, spread
from whyformer.position.scheme import OwnedSpec, PositionScheme
from whyformer.position.site import Site


class TransformerXLSpec(OwnedSpec):
    """Learned projections of sinusoids of the offset; keys by content and by offset have biases of their own.

    Sinusoids reach to any offset, so longer input needs nothing new.
    """

    origin: ClassVar[str] = "Dai et al. 2019, section 3.3"
    dot_only: ClassVar[bool] = True
    kind: Literal["transformer_xl"] = "transformer_xl"

    def build(self, site: Site) -> PositionScheme:
        """The scheme for the heads of ``site``."""
        return TransformerXL(site)


class TransformerXL(PositionScheme):
    """u · k + (q + v) · W_R sinusoid(offset). Memory: H·Q·K numbers.

    u and v (H,D) join the query after it was scaled, so they hold the paper's times the scale.
    """

    def __init__(self, site: Site) -> None:
        super().__init__()
        self.site = site
        self.content = nn.Parameter(torch.zeros(site.heads, site.dim))
        self.offset = nn.Parameter(torch.zeros(site.heads, site.dim))
        self.project = nn.Linear(site.d_model, site.heads * site.dim, bias=False)
        nn.init.xavier_uniform_(self.project.weight)

    @override
    def logits(self, query: Tensor, key: Tensor, queries: Axis, keys: Axis) -> Tensor:
        biased = query + self.offset[:, None]
        lowest, highest = extent(queries, keys)
        every = torch.arange(lowest, highest + 1, device=query.device)
        encodings = self.project(sinusoids(every, self.site.d_model).to(query.dtype))
        # (N,H·D) -> (H,D,N)
        encodings = encodings.unflatten(-1, (self.site.heads, -1)).permute(1, 2, 0)

        def terms(offsets: Tensor, rows: slice) -> Tensor:
            first = int(offsets[0]) - lowest
            # (B,H,Q,D) @ (H,D,N) -> (B,H,Q,N)
            return biased[:, :, rows] @ encodings[..., first : first + len(offsets)]

        # (H,1,D) @ (B,H,D,K) -> (B,H,1,K)
        return self.content[:, None] @ key.transpose(-2, -1) + spread(terms, queries, keys)
