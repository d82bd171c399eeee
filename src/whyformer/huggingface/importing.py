"""From a folder of Hugging Face to recipe, weights and tokenizers of a run."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from whyformer.data.corpora.labelled import LabelledSpec
from whyformer.data.tokenizers.kinds import TokenizerSpec
from whyformer.data.tokenizers.pair import JointTokenizer, SeparateTokenizers, TokenizerPair
from whyformer.data.tokenizers.single import SingleTokenizer
from whyformer.data.tokenizers.tokenizer import Tokenizer
from whyformer.decoding.search import SearchSpec
from whyformer.errors import CheckpointError, TokenizerError
from whyformer.huggingface.classification import (
    architectures,
    classifier_spec,
    classifier_tensors,
    is_classifier,
    labels_of,
    parted,
)
from whyformer.huggingface.config import Config, read_config
from whyformer.huggingface.formats.bert import HuggingFaceBert
from whyformer.huggingface.formats.distilbert import HuggingFaceDistilBert
from whyformer.huggingface.formats.format import CheckpointFormat, Marks, Say
from whyformer.huggingface.formats.gpt2 import HuggingFaceGPT2
from whyformer.huggingface.formats.marian import HuggingFaceMarian
from whyformer.huggingface.formats.roberta import HuggingFaceRoberta, pad_of
from whyformer.huggingface.generation import read_search, settings_of
from whyformer.huggingface.shapes import check_numbers
from whyformer.huggingface.tokenizers.conversion import Origin, from_theirs, pieces_of
from whyformer.huggingface.tokenizers.files import Foreign, Side, read_foreign
from whyformer.huggingface.tokenizers.json_files import read_object
from whyformer.huggingface.tokenizers.token_ids import TokenIds
from whyformer.huggingface.weights import read_tensors
from whyformer.models.bert import BERTSpec
from whyformer.models.gpt import GPTSpec
from whyformer.models.transformer import TransformerSpec
from whyformer.nn.embedding import NEVER
from whyformer.special_tokens import BOS, EOS, PAD
from whyformer.tasks.causal_lm.task import CausalLMRecipe
from whyformer.tasks.classification.task import ClassificationRecipe
from whyformer.tasks.masked_lm.task import MaskedLMRecipe
from whyformer.tasks.recipe import Recipe
from whyformer.tasks.translation.task import TranslationRecipe
from whyformer.training.settings import TrainingSpec

ConfigT = TypeVar("ConfigT", bound=Config)
OneStack = TypeVar("OneStack", bound=BERTSpec | GPTSpec)
SpecT = TypeVar("SpecT", bound=BERTSpec | GPTSpec | TransformerSpec)

_TYPES = ("bert", "roberta", "distilbert", "gpt2", "marian")
_KNOWN_HEADS = ("LMHeadModel", "MTModel", "ForMaskedLM", "ForPreTraining", "ForNextSentencePrediction")
_WRITING_IDS = ("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id")
_GENERATION = "generation_config.json"


class ImportedRun(NamedTuple):
    """Everything that a run consists of."""

    recipe: Recipe
    tensors: dict[str, Tensor]
    assets: SingleTokenizer | TokenizerPair
    kind: str
    """Type of their model."""

    @property
    def tokens(self) -> int:
        """Number of tokens, those of the target where there are two vocabularies."""
        assets = self.assets
        return (assets.tokenizer if isinstance(assets, SingleTokenizer) else assets.target).size


def imported_run(folder: Path, say: Say) -> ImportedRun:
    """The run of the model in ``folder``; ``say`` takes what is not as the files say.

    Raises:
        CheckpointError: the folder holds no model that can be imported, or weights that do not fit it.
        TokenizerError: its tokenizer is missing or cannot be used.
        RecipeError: its way of writing texts cannot be a recipe's.
    """
    if not folder.is_dir():
        raise CheckpointError(
            f"{folder}: there is no such folder; a model of Hugging Face is the folder that it was "
            "downloaded into, with its config.json."
        )
    if not (folder / "config.json").is_file():
        raise CheckpointError(f"{folder}: has no config.json; name the folder of a Hugging Face model.")
    data = read_object(folder / "config.json")
    kind = data.get("model_type")
    if kind is None:
        raise CheckpointError(
            f"{folder}: config.json says no model_type; add {', '.join(_TYPES[:-1])} or {_TYPES[-1]}."
        )
    if kind not in _TYPES:
        raise CheckpointError(
            f"{folder}: this is a model of type {kind}; {', '.join(_TYPES[:-1])} and {_TYPES[-1]} can be "
            "imported."
        )
    _refuse_other_heads(data, folder)
    if told := data.get("quantization_config"):
        method = told.get("quant_method", "unknown") if isinstance(told, dict) else told
        raise CheckpointError(
            f"{folder}: config.json has a quantization_config ({method}), and weights of few bits cannot be "
            "imported; take the model as it was before."
        )
    generation = read_object(folder / _GENERATION) if (folder / _GENERATION).is_file() else None
    if generation is not None and kind in ("gpt2", "marian"):
        # Texts are written by the ids of this file.
        data |= {key: generation[key] for key in _WRITING_IDS if generation.get(key) is not None}
    source = _Folder(folder, data, generation, read_foreign(folder, data, say), say)
    match kind:
        case "bert":
            return source.encoder(HuggingFaceBert())
        case "roberta":
            return source.encoder(HuggingFaceRoberta(pad_of(data, folder / "config.json")))
        case "distilbert":
            return source.encoder(HuggingFaceDistilBert())
        case "gpt2":
            return source.generator()
        case _:
            return source.translator()


def _refuse_other_heads(data: Mapping[str, Any], folder: Path) -> None:
    if is_classifier(data):
        return
    for name in architectures(data):
        if "For" in name.removesuffix("Model") and not name.endswith(_KNOWN_HEADS):
            raise CheckpointError(
                f"{folder}: this is a {name}, whose head nothing here has; models of language, masked ones "
                "and those that classify whole texts can be imported."
            )


class _Whole(NamedTuple):
    """A model and its tokenizers, in our form."""

    tensors: dict[str, Tensor]
    assets: SingleTokenizer | TokenizerPair
    token_ids: TokenIds


@dataclass(frozen=True)
class _Folder:
    """A folder that is read."""

    path: Path
    data: dict[str, Any]
    generation: dict[str, Any] | None
    foreign: Foreign
    say: Say

    @property
    def kind(self) -> str:
        """Type of their model."""
        return str(self.data["model_type"])

    @property
    def unused(self) -> TrainingSpec:
        """Settings that a recipe has to have and an imported model has not: how it would be trained."""
        return TrainingSpec(epochs=1)

    def encoder(self, exchange: CheckpointFormat[ConfigT, BERTSpec]) -> ImportedRun:
        """The run of a BERT or one of its descendants."""
        if is_classifier(self.data):
            return self.classifier(exchange)
        spec, whole = self.read(exchange, read_tensors(self.path))
        recipe = MaskedLMRecipe(data=None, tokenizer=_spec(whole.assets), model=spec, training=self.unused)
        return ImportedRun(recipe, whole.tensors, whole.assets, self.kind)

    def generator(self) -> ImportedRun:
        """The run of a GPT-2."""
        exchange = HuggingFaceGPT2()
        if is_classifier(self.data):
            return self.classifier(exchange)
        spec, whole = self.read(exchange, read_tensors(self.path))
        default: SearchSpec = CausalLMRecipe.model_fields["decoding"].default
        recipe = CausalLMRecipe(
            data=None,
            tokenizer=_spec(whole.assets),
            model=spec,
            training=self.unused,
            decoding=self.search(default, whole.token_ids, prompted=True),
        )
        return ImportedRun(recipe, whole.tensors, whole.assets, self.kind)

    def translator(self) -> ImportedRun:
        """The run of a Marian model."""
        spec, whole = self.read(HuggingFaceMarian(), read_tensors(self.path))
        pair = whole.assets
        if isinstance(pair, SingleTokenizer) or self.foreign.one_vocabulary:
            tokenizers = JointTokenizer(both=_spec(pair))
        else:
            tokenizers = SeparateTokenizers(source=_spec_of(pair.source), target=_spec_of(pair.target))
        default: SearchSpec = TranslationRecipe.model_fields["decoding"].default
        recipe = TranslationRecipe(
            data=None,
            tokenizers=tokenizers,
            model=spec,
            training=self.unused,
            decoding=self.search(default, whole.token_ids, prompted=False),
        )
        return ImportedRun(recipe, whole.tensors, pair, self.kind)

    def classifier(
        self,
        exchange: CheckpointFormat[ConfigT, OneStack],
    ) -> ImportedRun:
        """The run of a model that tells classes of texts."""
        head, others = parted(exchange.own_names(read_tensors(self.path)), self.kind, self.path)
        check_numbers(head, self.path)
        labels = labels_of(self.data, len(head["output.weight"]), self.path)
        spec, whole = self.read(exchange, others)
        recipe = ClassificationRecipe(
            start=self.path.resolve(),
            data=LabelledSpec(train=None, labels=labels),
            model=classifier_spec(spec, self.data, self.kind, self.path),
            training=self.unused,
        )
        if self.kind == "gpt2":
            self.say(
                "it reads one text; of pairs it would read an end of text between the two, which theirs "
                "leaves out, so if it was trained on pairs, join each as it was then"
            )
        else:
            self.say(
                "it reads one text; if it was trained on pairs, set data.texts: 2 in the run's recipe.yaml"
            )
        return ImportedRun(recipe, classifier_tensors(whole.tensors, head), whole.assets, self.kind)

    def search(self, default: SearchSpec, token_ids: TokenIds, *, prompted: bool) -> SearchSpec:
        """The way in which their model writes."""
        told = settings_of(self.data, self.generation, self.say)
        return read_search(told, default, token_ids, prompted=prompted, say=self.say)

    def read(
        self, exchange: CheckpointFormat[ConfigT, SpecT], tensors: Mapping[str, Tensor]
    ) -> tuple[SpecT, _Whole]:
        """Our spec, and tensors and tokenizers that fit it."""
        foreign, path = self.foreign, self.path / "config.json"
        config = read_config(exchange.config_type, self.data, path)
        size = len(pieces_of(foreign.target.document)) - foreign.target.strays
        marks = exchange.marks(config, foreign.target.roles, size, self.say)
        if beyond := [id for id in marks if id is not None and not 0 <= id < size]:
            raise CheckpointError(
                f"{self.path}: config.json names token {beyond[0]}, but the tokenizer ends at {size - 1}."
            )
        if exchange.model_type == "gpt2":
            marks = self.special_alone(self.opened(marks))
        opens = exchange.model_type != "gpt2" or foreign.opening is not None
        target, token_ids = self.tokenizer(foreign.target, marks, opens=opens)
        assets: SingleTokenizer | TokenizerPair = SingleTokenizer(target)
        source_ids = None
        if foreign.source is not None:
            known = foreign.source.roles
            own = (None, known.get("unk_token"), known.get("pad_token"), known.get("eos_token"))
            source, source_ids = self.tokenizer(foreign.source, marks if foreign.one_vocabulary else own)
            assets = TokenizerPair(source, target)
        spec, ours = exchange.imported(config, tensors, token_ids, self.path, source=source_ids, say=self.say)
        if token_ids.first[PAD] is not None and _scores_tokens(spec):
            self.say(
                "padding is never predicted here, while theirs counts its probability among the others': "
                "probabilities here are higher by that share, and differences between tokens are the same"
            )
        if token_ids.strays:
            spec = _never_strays(spec, ours, token_ids)
        return spec, _Whole(ours, assets, token_ids)

    def opened(self, marks: Marks) -> Marks:
        """``marks`` with the token that the tokenizer puts in front of a text as BOS."""
        opening = self.foreign.opening
        if opening is None or opening == marks[BOS]:
            return marks
        self.say(f"texts begin with token {opening}, as the tokenizer puts it in front of them")
        return tuple(
            opening if mark == BOS else None if id == opening else id for mark, id in enumerate(marks)
        )

    def special_alone(self, marks: Marks) -> Marks:
        """``marks`` without padding or unknown token that is a piece of texts, as any is to a GPT-2.

        Raises:
            CheckpointError: the start or the end is one.
        """
        document = self.foreign.target.document
        special = {token["id"] for token in document["added_tokens"]}
        ordinary = [id for id in marks if id is not None and id not in special]
        if "merges" not in document["model"] or not ordinary:
            return marks
        if taken := [id for id in ordinary if id in (marks[BOS], marks[EOS])]:
            raise CheckpointError(
                f"{self.path}: token {taken[0]} begins or ends texts, but it is a piece of texts, too "
                f"({pieces_of(document)[taken[0]]!r}); name a token of its own in config.json."
            )
        return tuple(None if id in ordinary else id for id in marks)

    def tokenizer(self, side: Side, marks: Marks, *, opens: bool = True) -> tuple[Tokenizer, TokenIds]:
        """Our tokenizer of one side, and their ids of its tokens."""
        separators = 2 if self.kind == "roberta" else 1
        origin = Origin(self.kind, marks, opens, side.mask, separators, side.strays)
        document, token_ids = from_theirs(side.document, origin)
        try:
            return Tokenizer(document), token_ids
        except Exception as error:  # the library raises nothing more specific
            raise TokenizerError(f"{self.path}/tokenizer.json: cannot be used ({error}).") from error


def _scores_tokens(spec: BERTSpec | GPTSpec | TransformerSpec) -> bool:
    return "masked" in spec.heads if isinstance(spec, BERTSpec) else True


def _never_strays(spec: SpecT, tensors: dict[str, Tensor], token_ids: TokenIds) -> SpecT:
    """``spec`` with a bias, put in place, by which pieces that theirs has no row for are never written."""
    first = next(
        name
        for name in ("own_output.weight", "own_target_embedding.weight", "source_embedding.weight")
        if name in tensors
    )
    table = tensors[first]
    bias = tensors.get("output_bias", table.new_zeros(len(table))).clone()
    bias[-token_ids.strays :] = NEVER
    tensors["output_bias"] = bias
    return spec.model_copy(update={"embedding": spec.embedding.model_copy(update={"output_bias": True})})


def _spec(assets: SingleTokenizer | TokenizerPair) -> TokenizerSpec:
    return _spec_of(assets.tokenizer if isinstance(assets, SingleTokenizer) else assets.target)


def _spec_of(tokenizer: Tokenizer) -> TokenizerSpec:
    try:
        return TypeAdapter[TokenizerSpec](TokenizerSpec).validate_python(tokenizer.spec)
    except ValidationError:
        raise TokenizerError("tokenizer.json was written by another Whyformer; import it by that.") from None
