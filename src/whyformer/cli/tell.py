"""What is printed of how good a run is that does not translate."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from whyformer.runs.evaluate import Fit


def as_text(fits: "Mapping[str, Fit]") -> str:
    """What is printed of test sets by name."""
    return "\n".join(line for name, fit in fits.items() for line in _lines(name, fit))


def _lines(name: str, fit: "Fit") -> Iterator[str]:
    from whyformer.tasks.bidirectional_lm import task as bidirectional_lm
    from whyformer.tasks.causal_lm import task as causal_lm
    from whyformer.tasks.masked_lm import task as masked_lm

    match fit:
        case causal_lm.Fit():
            yield f"{name}: {fit.documents:,} documents, {fit.characters:,} characters, {fit.tokens:,} tokens"
            yield f"  bits per character  {fit.bits_per_character:.4f}"
            yield f"  perplexity          {fit.perplexity:.2f} per token"
        case masked_lm.Fit():
            yield f"{name}: {fit.texts:,} texts, {fit.tokens:,} hidden tokens"
            yield f"  right tokens         {fit.masked_accuracy:.2f} %"
            yield f"  by the most frequent {fit.unigram_accuracy:.2f} %"
            if fit.next_sentence_accuracy is not None:
                yield f"  right next sentences {fit.next_sentence_accuracy:.2f} %, half of them by chance"
        case bidirectional_lm.Fit():
            yield f"{name}: {fit.words:,} words, counted once for each direction"
            yield f"  perplexity           {fit.perplexity:.2f} per word"
            yield f"  nll forwards         {fit.forward_nll:.4f} nats"
            yield f"  nll backwards        {fit.backward_nll:.4f} nats"
        case _:
            yield f"{name}: {fit.examples:,} examples; always the most frequent label: {fit.majority:.2f} %"
            yield f"  accuracy  {fit.accuracy:.2f} %"
            yield f"  macro F1  {fit.macro_f1:.2f} %"
