"""The embedder: texts in, one vector for each out.

N texts · M model dimension
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from whyformer.data.batches.planning import map_by_length
from whyformer.data.tokenizers.tokenizer import Tokenizer
from whyformer.engines.cores import in_turns
from whyformer.errors import DecodingError
from whyformer.models.backbone import Backbone, BackboneSpec, depth, one_way, width
from whyformer.nn.vectors.pooling import Pooling, pool
from whyformer.tasks.bad_lines import BadLines
from whyformer.tasks.embedding.encoder import encoder, usable_texts


class Embedder:
    """A pretrained model with its tokenizer, and the choice of layer and pooling."""

    def __init__(
        self,
        model: Backbone,
        spec: BackboneSpec,
        tokenizer: Tokenizer,
        *,
        pooling: Pooling = "mean",
        layer: int | None = None,
    ) -> None:
        """Take vectors from ``layer``, counted from 0, the embeddings; None is the last.

        Raises:
            DecodingError: the model has no such layer, or its first token has read nothing.
        """
        if pooling == "first" and one_way(spec):
            raise DecodingError(
                "pooling first is of no use here: the model reads from left to right, so its first token "
                "has read nothing; use mean or last."
            )
        last = depth(spec) - 1
        if layer is not None and not 0 <= layer <= last:
            raise DecodingError(f"there is no layer {layer}; the model has 0 (the embeddings) to {last}.")
        self.model = model.eval()
        self.pooling: Pooling = pooling
        self.layer = last if layer is None else layer
        self.width = width(spec)
        """Components M of a vector."""
        self._encoder = encoder(spec, tokenizer)

    def __call__(self, text: str) -> Tensor:
        """The vector (M,) of ``text``."""
        return self.embed([text])[0]

    def check(self, texts: Sequence[str], *, first: int = 1) -> None:
        """Refuse what ``embed`` cannot read; ``first`` is the number of the first text, for errors.

        Raises:
            DecodingError: a text is longer than the model reads, or is no text.
        """
        _ = usable_texts(self._encoder, [(text,) for text in texts], first, BadLines("stop"))

    @torch.inference_mode()
    def embed(
        self,
        texts: Sequence[str],
        *,
        batch: int = 64,
        first: int = 1,
        advance: Callable[[int], None] | None = None,
        bad: BadLines | None = None,
    ) -> Tensor:
        """The vectors (N,M) of ``texts`` in their order, fp32, on the CPU.

        A blank text has no vector: its row is not a number (NaN).

        Args:
            texts: lines of text.
            batch: texts side by side; it changes the speed, not the result.
            first: the number of the first text in the caller's data, for errors.
            advance: told after each batch how many texts it had.
            bad: what to do about texts that cannot be read; they get NaN, too. Left out, an error is raised.

        Raises:
            DecodingError: a text is longer than the model reads, or is no text.
        """
        bad = BadLines("stop") if bad is None else bad
        lines = [(text,) for text in texts]
        usable, lengths = usable_texts(self._encoder, lines, first, bad)
        rows = [lines[index] for index in usable]

        def pooled(indices: list[int]) -> Tensor:
            layers, valid = self._encoder.encode(self.model, [rows[index] for index in indices])
            return pool(layers[self.layer], valid, self.pooling).float().cpu()

        found = map_by_length(in_turns(self.model, pooled), lengths, batch, advance)
        vectors = torch.full((len(texts), self.width), torch.nan)
        for index, vector in zip(usable, found, strict=True):
            vectors[index] = vector
        return vectors
