"""Words in context: a text in, for each of its words the states of all layers of an ELMo out.

B batch · N layers + 1 · L words of a text · M model dimension
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from whyformer.data.batches.planning import map_by_length
from whyformer.data.tokenizers.tokenizer import Tokenizer
from whyformer.engines.cores import in_turns
from whyformer.models.elmo import ELMo, ELMoSpec
from whyformer.tasks.embedding.encoder import WordEncoder


class WordEmbedder:
    """A trained ELMo with its tokenizer: vectors for words, each by its spelling and all of its text."""

    def __init__(self, model: ELMo, spec: ELMoSpec, tokenizer: Tokenizer) -> None:
        self.model = model.eval()
        self.tokenizer = tokenizer
        self._encoder = WordEncoder(spec, tokenizer)

    def words(self, text: str) -> list[str]:
        """The words of ``text``, to each of which belongs a vector; a space in front is part of its word."""
        return self.tokenizer.words([text])[0]

    def __call__(self, text: str) -> NDArray[np.float32]:
        """States of the words of ``text`` in each layer, (N,L,2M)."""
        return self.vectors([text])[0]

    @torch.inference_mode()
    def vectors(self, texts: Sequence[str], *, batch: int = 64) -> list[NDArray[np.float32]]:
        """States of the words of each text in each layer: arrays (N,L,2M), for a ``ScalarMix`` to weigh.

        Of the 2M components, M have read the text up to the word and M from the word on. ``batch`` texts
        stand side by side; it changes the speed, not the result.

        Raises:
            TokenizerError: a text is not Unicode.
        """
        pairs = [(text,) for text in texts]
        lengths = self._encoder.lengths(pairs)

        def words(order: list[int]) -> Iterator[NDArray[np.float32]]:
            layers, _ = self._encoder.encode(self.model, [pairs[index] for index in order])
            # N times (B,L,2M) -> (B,N,L,2M)
            rows = torch.stack(layers, dim=1).cpu().numpy()
            # A text's special tokens are no words.
            return (row[:, 1 : lengths[index] - 1] for row, index in zip(rows, order, strict=True))

        return map_by_length(in_turns(self.model, words), lengths, batch)
