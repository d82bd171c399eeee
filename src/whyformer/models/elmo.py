"""ELMo: two recurrent language models, one for each way to read a text (Peters et al. 2018).

W distinct words · C bytes of a word · B batch · L length · M model dimension · V vocabulary · N layers + 1
"""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from whyformer.dropout import Dropout
from whyformer.nn.recurrent.cells import CellSpec, LSTMSpec, Recurrent
from whyformer.nn.vectors.characters import CharactersSpec, SpelledWords
from whyformer.spec import Spec


class ELMoSpec(Spec):
    """Two language models that share how words are read and how they are scored.

    The paper's cells have 4,096 components and project them to the model's 512; here both are ``d_model``.
    """

    kind: Literal["elmo"] = "elmo"
    d_model: int = Field(default=512, ge=1)
    """Components of a word's vector and of the state of one direction."""
    characters: CharactersSpec = CharactersSpec()
    """Network that makes a word's vector of its spelling."""
    cell: CellSpec = LSTMSpec()
    """Recurrent cell."""
    layers: int = Field(default=2, ge=1)
    """Layers of each direction; all but the first add what they read to what they say."""
    dropout: float = Field(default=0.1, ge=0.0, lt=1.0)
    """Probability that a component before, between or after the layers is dropped in training."""
    longest: int = Field(default=128, ge=2)
    """Maximum number of words of a training row, BOS and EOS included; a trained model reads any length."""

    def build(self, vocabulary: int) -> "ELMo":
        """The model, freshly initialised from torch's global random state."""
        return ELMo(self, vocabulary)


class ELMo(nn.Module):
    """Reads each word by its spelling, the text forwards and, apart from that, backwards."""

    def __init__(self, spec: ELMoSpec, vocabulary: int) -> None:
        super().__init__()
        self.characters = spec.characters.build(spec.d_model)
        self.forwards = OneWay(spec)
        self.backwards = OneWay(spec)
        self.dropout = Dropout(spec.dropout)
        self.output_weight = nn.Parameter(torch.randn(vocabulary, spec.d_model) * spec.d_model**-0.5)
        """The table (V,M) by which both directions score a word."""

    def embed(self, words: SpelledWords) -> Tensor:
        """Vectors (B,L,M) of words without their context."""
        # In the weights' type also under autocast: the gradient of a frequent word is a sum of many.
        return F.embedding(words.word, self.characters(words.spelling).to(self.output_weight.dtype))

    def read(self, x: Tensor, valid: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """States (B,L,M) of every layer, forwards and backwards, from vectors (B,L,M).

        At position t they have read x up to t, and x from t on, t included.
        """
        turned = self.backwards(reverse(x, valid), valid)
        return self.forwards(x, valid), [reverse(states, valid) for states in turned]

    @override
    def forward(self, x: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """States (B,L,M) of the last layer, forwards and backwards, from vectors (B,L,M)."""
        forwards, backwards = self.read(x, valid)
        return self.dropout(forwards[-1]), self.dropout(backwards[-1])

    def layers(self, words: SpelledWords) -> list[Tensor]:
        """All representations of each word, N times (B,L,2M) (section 3.2).

        The first is the word's vector, twice; then come the layers, both directions side by side.
        """
        x = self.embed(words)
        forwards, backwards = self.read(x, words.valid)
        return [torch.cat(pair, dim=-1) for pair in zip([x, *forwards], [x, *backwards], strict=True)]


class OneWay(nn.Module):
    """The recurrent layers of one direction."""

    def __init__(self, spec: ELMoSpec) -> None:
        super().__init__()
        self.layers = nn.ModuleList(spec.cell.build(spec.d_model, 1, 0.0) for _ in range(spec.layers))
        self.dropout = Dropout(spec.dropout)

    @override
    def forward(self, x: Tensor, valid: Tensor) -> list[Tensor]:
        """States (B,L,M) of every layer, zero at padding; at position t they have read x (B,L,M) up to t."""
        found: list[Tensor] = []
        for layer in self.layers:
            assert isinstance(layer, Recurrent)
            states, _ = layer.read(self.dropout(x), valid)
            x = states + x if found else states
            found.append(x)
        return found


def reverse(x: Tensor, valid: Tensor) -> Tensor:
    """Turn each row of ``x`` (B,L,M) around within its length; padding stays behind it."""
    column = torch.arange(x.shape[1], device=x.device)
    last = valid.sum(dim=1, keepdim=True) - 1
    place = torch.where(valid, last - column, column)
    return x.gather(1, place[..., None].expand_as(x))
