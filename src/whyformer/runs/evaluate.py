"""How good a run is that does not translate, on its held-out data."""

from collections.abc import Callable, Sequence
from pathlib import Path

from whyformer.data.corpora.documents import VALID
from whyformer.data.tokenizers.pair import TokenizerPair
from whyformer.runs.load import load_as
from whyformer.tasks.bidirectional_lm import task as bidirectional_lm
from whyformer.tasks.bidirectional_lm.task import BidirectionalLMRecipe
from whyformer.tasks.bidirectional_lm.word_embedder import WordEmbedder
from whyformer.tasks.causal_lm import task as causal_lm
from whyformer.tasks.causal_lm.generator import Generator
from whyformer.tasks.causal_lm.task import CausalLMRecipe
from whyformer.tasks.classification import task as classification
from whyformer.tasks.classification.classifier import Classifier
from whyformer.tasks.classification.task import ClassificationRecipe
from whyformer.tasks.masked_lm import task as masked_lm
from whyformer.tasks.masked_lm.filler import Filler
from whyformer.tasks.masked_lm.task import MaskedLMRecipe, MaskedLMTask
from whyformer.tasks.recipe import require_data

Fit = causal_lm.Fit | masked_lm.Fit | bidirectional_lm.Fit | classification.Fit
Foretelling = CausalLMRecipe | MaskedLMRecipe | BidirectionalLMRecipe | ClassificationRecipe


def fits(
    run: Path,
    recipe: Foretelling,
    names: Sequence[str],
    *,
    weights: Path | None = None,
    device: str = "auto",
    batch: int = 64,
) -> dict[str, Fit]:
    """How well the ``run`` of ``recipe`` does on its test sets called ``names``, ``valid`` among them.

    Without names, on all test sets, or on ``valid`` where there are none.

    Raises:
        WhyformerError: see ``load``, and the data's own ``held_out``.
    """
    measure = _measure(run, recipe, weights, device, batch)
    return {name: measure(name) for name in names or [*require_data(recipe.data).test] or [VALID]}


def _measure(
    run: Path, recipe: Foretelling, weights: Path | None, device: str, batch: int
) -> Callable[[str], Fit]:
    match recipe:
        case CausalLMRecipe():
            generator, texts = (
                load_as(Generator, run, device=device, weights=weights),
                require_data(recipe.data),
            )
            model, tokenizer = generator.model, generator.tokenizer
            return lambda name: causal_lm.HeldOut(texts.held_out(name), tokenizer, model.longest).fit(
                model, batch=batch
            )
        case MaskedLMRecipe():
            filler, texts = load_as(Filler, run, device=device, weights=weights), require_data(recipe.data)
            task = recipe.prepare(TokenizerPair(filler.tokenizer, filler.tokenizer)).task
            assert isinstance(task, MaskedLMTask)
            return lambda name: task.held_out(texts.held_out(name), name).fit(filler.model, batch=batch)
        case BidirectionalLMRecipe():
            embedder, texts = load_as(WordEmbedder, run, device=device, weights=weights), recipe.data
            return lambda name: bidirectional_lm.HeldOut(
                texts.held_out(name), embedder.tokenizer, recipe.model
            ).fit(embedder.model, batch=batch)
        case ClassificationRecipe():
            classifier, examples = load_as(Classifier, run, device=device, weights=weights), recipe.data
            return lambda name: classifier.fit(examples.held_out(name), batch=batch)
