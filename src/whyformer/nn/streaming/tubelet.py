"""Tubelets: a vector for each small block of pixels over a few pictures, joined to one vector of all of them.

B rows · T pictures · H, W pixels of a picture · t pictures and p·p pixels of a tubelet
L = ⌈T/t⌉ outputs · C channels · M model dimension
"""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from whyformer.lengths import Stage, grouping, output_count
from whyformer.nn.streaming.subsampling import FrontState
from whyformer.spec import Spec


class TubeletSpec(Spec):
    """Blocks of pixels over a few pictures; each output reads its own pictures alone."""

    origin: ClassVar[str] = "Arnab et al. 2021 (ViViT), section 3.2; merging: Xiao et al. 2021"
    kind: Literal["tubelet"] = "tubelet"
    height: int = Field(default=32, ge=1)
    """Rows of pixels of a picture."""
    width: int = Field(default=32, ge=1)
    """Pixels of a row."""
    pictures: int = Field(default=2, ge=1)
    """Pictures of a tubelet, and so of one output."""
    patch: int = Field(default=4, ge=1)
    """Side in pixels of a tubelet, which divides height and width."""
    channels: int = Field(default=32, ge=1)
    """Numbers that a tubelet becomes."""
    merging: tuple[Annotated[int, Field(ge=1)], ...] = (64,)
    """Channels of convolutions over tubelets side by side, each 3x3 and at every second place: a shape
    is then known wherever it is; none where each tubelet is joined as it is."""

    @model_validator(mode="after")
    def _fits_together(self) -> "TubeletSpec":
        for name in ("height", "width"):
            if getattr(self, name) % self.patch:
                raise ValueError(
                    f"{name} {getattr(self, name)} is no multiple of patch {self.patch}, so pixels would be "
                    "left out; set another patch"
                )
        if min(self.height, self.width) // self.patch < 2 ** len(self.merging):
            raise ValueError(
                f"merging halves the tubelets {len(self.merging)} times, but of patch {self.patch} there are "
                f"only {min(self.height, self.width) // self.patch} on a side; merge less often"
            )
        return self

    @property
    def stride(self) -> int:
        """Pictures for one output."""
        return self.pictures

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The tubelets as ``lengths`` counts them."""
        return (grouping(self.pictures),)

    def build(self, d_model: int) -> "Tubelet":
        """The module that gives vectors of ``d_model`` components."""
        return Tubelet(self, d_model)


class Tubelet(nn.Module):
    """One projection for every tubelet, convolutions over them, one projection of all: (B,T,H,W) -> (B,L,M).

    GELU stands behind all but the last, which knows each place by itself, so no positions are added. The
    ragged group at a row's end is filled with black. Groups do not overlap, so only a count is remembered.
    """

    def __init__(self, spec: TubeletSpec, d_model: int) -> None:
        super().__init__()
        self.spec = spec
        self.stride = spec.stride
        """Pictures for one output."""
        rows, columns, channels = spec.height // spec.patch, spec.width // spec.patch, spec.channels
        self.embed = nn.Linear(spec.pictures * spec.patch**2, channels)
        self.merge = nn.ModuleList()
        for merged in spec.merging:
            self.merge.append(nn.Conv2d(channels, merged, 3, stride=2, padding=1))
            rows, columns, channels = -(-rows // 2), -(-columns // 2), merged
        self.project = nn.Linear(rows * columns * channels, d_model)
        for name, parameter in self.named_parameters():
            if name.endswith("weight"):
                nn.init.kaiming_uniform_(parameter, nonlinearity="relu")
            else:
                nn.init.zeros_(parameter)

    def new_state(self, rows: int = 1) -> FrontState:
        """The state of ``rows`` streams that have not begun."""
        return FrontState.fresh(0, rows)

    def forward(
        self, frames: Tensor, lengths: Sequence[int], state: FrontState | None = None
    ) -> tuple[Tensor, FrontState | None]:
        """The vectors of some pictures, and the state after them where one was given.

        Args:
            frames: (B,T,H,W); whatever is behind a row's length is not read.
            lengths: (B) pictures of each row; with a state, a multiple of the stride, or fewer as its last.
            state: what came before; None for whole videos.

        Returns:
            (B,L,M) with L = ⌈max(lengths)/stride⌉; behind a row's ⌈length/stride⌉ it means nothing.

        Raises:
            ValueError: the pictures are of another size, or a row goes on that had ended.
        """
        size = (self.spec.height, self.spec.width)
        if frames.shape[2:] != size:
            raise ValueError(
                f"front.height and front.width are {size[0]} and {size[1]}, and these pictures have "
                f"{tuple(frames.shape[2:])}; scale them to the size that the model was made for"
            )
        after = None if state is None else state.advanced(lengths, (), self.stride)
        outputs = output_count(max(lengths), *self.spec.stages)
        x = F.pad(frames[:, : max(lengths)], (0, 0, 0, 0, 0, outputs * self.stride - max(lengths)))
        if min(lengths) < max(lengths):
            place = torch.arange(x.shape[1], device=x.device)
            behind = place >= torch.tensor(lengths, device=x.device)[:, None]
            x = x.masked_fill(behind[:, :, None, None], 0.0)
        # (B,L,H/p,W/p,C) -> (B·L,C,H/p,W/p)
        x = F.gelu(self.embed(self._tubelets(x))).flatten(0, 1).permute(0, 3, 1, 2)
        for layer in self.merge:
            x = F.gelu(layer(x))
        return self.project(x.flatten(1)).unflatten(0, (len(frames), outputs)), after

    def _tubelets(self, x: Tensor) -> Tensor:
        """(B,L·t,H,W) -> (B,L,H/p,W/p,t·p·p)."""
        side = self.spec.patch
        rows, columns = x.shape[2] // side, x.shape[3] // side
        # (B,L·t,H,W) -> (B,L,t,H/p,p,W/p,p) -> (B,L,H/p,W/p,t,p,p)
        blocks = x.unflatten(3, (columns, side)).unflatten(2, (rows, side))
        blocks = blocks.unflatten(1, (x.shape[1] // self.stride, self.stride))
        return blocks.permute(0, 1, 3, 5, 2, 4, 6).flatten(4)
