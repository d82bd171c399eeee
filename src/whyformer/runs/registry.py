"""Which recipe belongs to which task."""

from collections.abc import Sequence

from whyformer.config.recipe_files import read
from whyformer.config.validation import check
from whyformer.errors import RecipeError
from whyformer.models.backbone import without_heads
from whyformer.models.bert import BERTSpec
from whyformer.models.elmo import ELMoSpec
from whyformer.models.gpt import GPTSpec
from whyformer.tasks.bidirectional_lm.task import BidirectionalLMRecipe
from whyformer.tasks.causal_lm.task import CausalLMRecipe
from whyformer.tasks.classification.task import ClassificationRecipe
from whyformer.tasks.masked_lm.task import MaskedLMRecipe
from whyformer.tasks.translation.task import TranslationRecipe
from whyformer.training.run import RunFolder

AnyRecipe = TranslationRecipe | CausalLMRecipe | MaskedLMRecipe | BidirectionalLMRecipe | ClassificationRecipe


def recipe_type(task: str) -> type[AnyRecipe]:
    """The type of the recipes for ``task``.

    Raises:
        RecipeError: there is no such task.
    """
    match task:
        case "translation":
            return TranslationRecipe
        case "causal_lm":
            return CausalLMRecipe
        case "masked_lm":
            return MaskedLMRecipe
        case "bidirectional_lm":
            return BidirectionalLMRecipe
        case "classification":
            return ClassificationRecipe
        case _:
            raise RecipeError(
                f"there is no task {task}; a recipe's `task` is translation, causal_lm, masked_lm, "
                "bidirectional_lm or classification."
            )


def load_any(recipe: str, overrides: Sequence[str] = ()) -> AnyRecipe:
    """The recipe by name or file, whatever its task; see ``load_recipe`` for errors.

    A classifier's has its network and its labels, which are read from where it starts and from its data.
    """
    source = read(recipe)
    spec = source.spec(recipe_type(source.task), overrides)
    return _resolved(spec) if isinstance(spec, ClassificationRecipe) else spec


def _resolved(recipe: ClassificationRecipe) -> ClassificationRecipe:
    if recipe.model.backbone is not None and recipe.data.labels is not None:
        return recipe
    told = recipe.model_dump(mode="json")
    if recipe.model.backbone is None:
        path = RunFolder(recipe.start).recipe
        if not path.is_file():
            raise RecipeError(f"start: {recipe.start} is not the folder of a run (it has no recipe.yaml).")
        pretrained = load_any(str(path)).model
        if not isinstance(pretrained, BERTSpec | GPTSpec | ELMoSpec):
            raise RecipeError(
                f"start: the model in {recipe.start} is a {pretrained.kind}; name a BERT, GPT or ELMo."
            )
        told["model"]["backbone"] = without_heads(pretrained).model_dump(mode="json")
    if recipe.data.labels is None:
        told["data"]["labels"] = recipe.data.find_labels()
    return check(ClassificationRecipe, told, f"the recipe with the network of {recipe.start}")
