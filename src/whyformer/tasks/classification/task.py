"""Classification with a pretrained model: the recipe, and the task's five answers."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from torch import Tensor
from typing_extensions import override

from whyformer.config.recipe_files import read
from whyformer.config.validation import check
from whyformer.data.corpora.held_out import wanted_sets
from whyformer.data.corpora.labelled import LabelledSpec
from whyformer.data.tokenizers.single import SingleTokenizer
from whyformer.errors import RecipeError
from whyformer.models.backbone import BackboneSpec, backbone_tensors, without_heads
from whyformer.models.classifier import ClassifierSpec, PooledClassifier
from whyformer.plots.panels import Curve, Curves
from whyformer.spec import Spec
from whyformer.tasks.classification.classifier import Classifier
from whyformer.tasks.classification.metrics import ClassificationMetrics
from whyformer.tasks.classification.training import ClassCrossEntropy, ClassificationTraining
from whyformer.tasks.embedding.encoder import encoder
from whyformer.tasks.recipe import Recipe
from whyformer.tasks.task import EvaluationOptions, Prepared, SingleTokenizerTask, TaskSummary
from whyformer.tasks.words import model_words
from whyformer.training.settings import TrainingSpec
from whyformer.training.storage.checkpoint import load_weights
from whyformer.training.storage.fingerprint import text_fingerprint
from whyformer.training.storage.run import RunFolder


class ClassificationRecipe(Recipe):
    """Everything that makes a classifier from a pretrained model, from labelled texts to its accuracy."""

    task: Literal["classification"] = "classification"
    """Purpose of the model."""
    start: Path
    """Folder of the pretrained run, whose tokenizer, network and weights are taken when training begins."""
    weights: Literal["pretrained", "random"] = "pretrained"
    """First weights of the backbone: the run's; or, to compare, fresh ones."""
    data: LabelledSpec
    """Source of the labelled texts."""
    model: ClassifierSpec = ClassifierSpec()
    """The network."""
    training: TrainingSpec
    """Training of the network."""


class ClassificationTask(SingleTokenizerTask[ClassificationRecipe, Classifier]):
    """Classification: a text in, one of some labels out."""

    recipe_type = ClassificationRecipe
    runner_type = Classifier
    does = "tells classes"
    verb = "classify"
    figures = ("accuracy", "macro_f1")

    @override
    def complete(self, recipe: ClassificationRecipe) -> ClassificationRecipe:
        """The recipe with its network and labels, read from where it starts and from its data."""
        if recipe.model.backbone is not None and recipe.data.labels is not None:
            return recipe
        said = recipe.model_dump(mode="json")
        if recipe.model.backbone is None:
            said["model"]["backbone"] = _backbone(recipe.start).model_dump(mode="json")
        if recipe.data.labels is None:
            said["data"]["labels"] = recipe.data.find_labels()
        return check(ClassificationRecipe, said, f"the recipe with the network of {recipe.start}")

    @override
    def prepare(self, recipe: ClassificationRecipe, assets: SingleTokenizer | None) -> Prepared:
        # A run that resumes has the weights in its state; the pretrained run may be gone.
        tensors = None
        if assets is None:
            assets = SingleTokenizer.load(recipe.start)
            tensors = _pretrained(recipe, assets) if recipe.weights == "pretrained" else None
        vocabulary, labels = assets.tokenizer.size, recipe.data.known

        def build() -> PooledClassifier:
            model = recipe.model.build(vocabulary, len(labels))
            if tensors is not None:
                load_weights(model.backbone, tensors, RunFolder(recipe.start).weights)
            return model

        reader = encoder(recipe.model.whole_backbone, assets.tokenizer)
        texts = recipe.data.load()
        training = ClassificationTraining(texts, reader, labels, self.objective(recipe))
        sides = {"train": texts.train, "valid": texts.valid}
        data = {
            name: text_fingerprint((each.label, *each.texts) for each in side) for name, side in sides.items()
        }
        return Prepared(training, build, assets, training.summary, data)

    @override
    def objective(self, recipe: ClassificationRecipe) -> ClassCrossEntropy:
        return ClassCrossEntropy(recipe.training.loss.label_smoothing)

    @override
    def runner(self, recipe: ClassificationRecipe, assets: SingleTokenizer) -> Classifier:
        model = recipe.model.build(assets.tokenizer.size, len(recipe.data.known))
        return Classifier(model, recipe.model, assets.tokenizer, recipe.data)

    @override
    def evaluate(
        self,
        recipe: ClassificationRecipe,
        runner: Classifier,
        names: Sequence[str],
        options: EvaluationOptions,
    ) -> Iterator[tuple[str, ClassificationMetrics]]:
        for name in wanted_sets(names, recipe.data.test):
            yield name, runner.evaluate(recipe.data.held_out(name), batch=options.batch)

    @override
    def summary(self, recipe: ClassificationRecipe) -> TaskSummary:
        model = recipe.model
        head = f"{model.pooling} of layers: {model.layer_mix}; training changes: {model.update}"
        words = {"data": "labelled texts", **model_words(model.whole_backbone), "classifier": head}
        scores = (
            Curve("accuracy", "accuracy"),
            Curve("macro_f1", "macro F1"),
            Curve("majority", "always the most frequent"),
        )
        return TaskSummary(words, Curves(per="example", scores=scores))


class _Start(Spec):
    """The part of a pretrained run's recipe that is needed."""

    model: BackboneSpec


def _backbone(start: Path) -> BackboneSpec:
    """The network of the pretrained run in the folder ``start``, without the heads it was trained by."""
    path = RunFolder(start).recipe
    if not path.is_file():
        raise RecipeError(f"start: {start} is not the folder of a run (it has no recipe.yaml).")
    match read(str(path)).layers[0].get("model"):
        case {"kind": "bert" | "gpt" | "elmo"} as model:
            return without_heads(check(_Start, {"model": model}, str(path)).model)
        case {"kind": kind}:
            raise RecipeError(f"start: the model in {start} is a {kind}; name a BERT, GPT or ELMo.")
        case _:
            raise RecipeError(f"start: {path} names no model; name the folder of a BERT, GPT or ELMo.")


def _pretrained(recipe: ClassificationRecipe, assets: SingleTokenizer) -> dict[str, Tensor]:
    folder = RunFolder(recipe.start, assets.fingerprints)
    return backbone_tensors(folder.read_weights(folder.weights))
