"""Classification with a pretrained model: the recipe, and the task's five answers."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

from torch import nn
from typing_extensions import override

from whyformer.config.paths import RunPath
from whyformer.config.validation import check
from whyformer.data.corpora.held_out import wanted_sets
from whyformer.data.corpora.labelled import LabelledSpec
from whyformer.data.tokenizers.single import SingleTokenizer
from whyformer.errors import RecipeError
from whyformer.models.backbone import backbone_tensors, without_heads
from whyformer.models.bert import BERTSpec
from whyformer.models.classifier import ClassifierSpec, PooledClassifier
from whyformer.models.elmo import ELMoSpec
from whyformer.models.gpt import GPTSpec
from whyformer.plots.panels import Curve, Curves
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

    reads_twice = True

    task: Literal["classification"] = "classification"
    """Purpose of the model."""
    start: RunPath  # pyright: ignore[reportGeneralTypeIssues, reportIncompatibleVariableOverride]  # nothing stands for it
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
    asset_keys = ()

    @override
    def measures(self, recipe: ClassificationRecipe) -> tuple[str, ...]:
        return ("accuracy", "macro_f1", "majority")

    @override
    def taken(self, begun: Recipe, folder: Path) -> dict[str, object]:
        """The network of the pretrained run, without the heads it was trained by."""
        match begun.model:
            case BERTSpec() | GPTSpec() | ELMoSpec() as model:
                backbone = without_heads(model).model_dump(mode="json")
                return {"model": {"kind": "classifier", "backbone": backbone}}
            case other:
                raise RecipeError(
                    f"start: the model in {folder} is a {other.kind}; name a BERT, GPT or ELMo."
                )

    @override
    def complete(self, recipe: ClassificationRecipe) -> ClassificationRecipe:
        """The recipe with its labels, read from its data."""
        if recipe.data.labels is not None:
            return recipe
        said = recipe.model_dump(mode="json")
        said["data"]["labels"] = recipe.data.find_labels()
        return check(ClassificationRecipe, said, "the recipe with the labels of its data")

    @override
    def load_start(self, recipe: ClassificationRecipe, model: nn.Module, start: RunFolder) -> None:
        assert isinstance(model, PooledClassifier), "it was built by this task"
        if recipe.weights == "pretrained":
            tensors = backbone_tensors(start.read_weights(start.weights))
            load_weights(model.backbone, tensors, start.weights)

    @override
    def prepare(self, recipe: ClassificationRecipe, assets: SingleTokenizer | None) -> Prepared:
        if assets is None:
            assets = SingleTokenizer.load(recipe.start)
        labels = recipe.data.known
        reader = encoder(recipe.model.whole_backbone, assets.tokenizer)
        texts = recipe.data.load()
        training = ClassificationTraining(texts, reader, labels, self.objective(recipe))
        build = partial(recipe.model.build, assets.tokenizer.size, len(labels))
        sides = {"train": texts.train, "valid": texts.valid}
        data = {
            name: text_fingerprint((each.label, *each.texts) for each in side) for name, side in sides.items()
        }
        return Prepared(training, build, assets, training.summary, data)

    @override
    def objective(self, recipe: ClassificationRecipe) -> ClassCrossEntropy:
        loss = recipe.training.loss
        return ClassCrossEntropy(loss.label_smoothing, r_drop=loss.r_drop)

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
