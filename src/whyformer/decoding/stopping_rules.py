"""Stopping rules: when a search has found enough."""

import math
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from whyformer.spec import Spec


class Bound(Spec):
    """Stop when nothing that lives can become better than what is kept, which ``Scorer.bound`` proves.

    The best hypothesis is the best of all that the search could find. To be sure of it takes up to twice as
    many steps as to find it.
    """

    origin: ClassVar[str] = "Wu et al. 2016, section 7"
    kind: Literal["bound"] = "bound"

    def enough(self, width: int) -> int | None:
        """None: no number of finished hypotheses is enough by itself."""
        return None


class Patience(Spec):
    """Stop when so many hypotheses have finished, too: the beam's size, times ``factor``.

    A factor of 1 is what fairseq, CTranslate2 and transformers' ``early_stopping`` do. A better hypothesis
    may come later; the larger the factor, the seldomer it is missed.
    """

    origin: ClassVar[str] = "Kasai et al. 2022, section 2"
    kind: Literal["patience"] = "patience"
    factor: float = Field(default=1.0, gt=0.0, le=1000.0)
    """Patience: finished hypotheses for each that may live."""

    def enough(self, width: int) -> int | None:
        """The number of finished hypotheses with which a search of ``width`` is over."""
        return math.ceil(self.factor * width)


StoppingSpec = Annotated[Bound | Patience, Field(discriminator="kind")]
