"""Base of importing and exporting, whatever the architecture.

One table says where each of our tensors lies in their file; it is read in both directions, and so is the
description of their config.json. What a format cannot say shows when it is written and read back.

M model dimension · V vocabulary
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Generic, Literal, TypeVar

import torch
from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError
from torch import Tensor, nn
from typing_extensions import override

from whyformer.attention.heads import HeadsSpec
from whyformer.attention.multihead import AttentionSpec
from whyformer.errors import CheckpointError, bare_complaint
from whyformer.huggingface.tokenizers.token_ids import TokenIds
from whyformer.models.bert import BERTSpec
from whyformer.models.gpt import GPTSpec
from whyformer.nn.embedding import EmbeddingSpec
from whyformer.nn.feed_forward import FeedForwardSpec, GeluSpec, GeluTanhSpec, ReluSpec, SiluSpec
from whyformer.nn.norm import LayerNormSpec, NormSpec
from whyformer.position.absolute import LearnedSpec
from whyformer.spec import Spec
from whyformer.special_tokens import BOS, EOS, PAD, UNK
from whyformer.training.storage.checkpoint import tensor_misfit

Tensors = Mapping[str, Tensor]
Activation = Literal["relu", "gelu", "gelu_new", "gelu_pytorch_tanh", "silu", "swish"]

_TRAINING_ONLY = ("dropout", "deviation")
"""Fields that change nothing about a trained model."""


class Config(BaseModel, ABC):
    """Their config.json, as far as it decides what a model computes; what is not named is not read."""

    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=())

    @property
    @abstractmethod
    def longest(self) -> int:
        """Maximum number of tokens of a text, special tokens included."""


ConfigT = TypeVar("ConfigT", bound=Config)
SpecT = TypeVar("SpecT", bound=Spec)
OneStack = TypeVar("OneStack", bound=BERTSpec | GPTSpec)


@dataclass(frozen=True)
class TensorPlace:
    """Place of one of our tensors in their file."""

    name: str
    transposed: bool = False
    """Whether theirs has a row for each input, not for each output."""
    part: int | None = None
    """Third of theirs that it is, where query, key and value are one tensor."""
    tokens: bool = False
    """Whether it has a row for each token."""
    row: bool = False
    """Whether theirs is a matrix of one row, and ours is a vector."""


class CheckpointFormat(ABC, Generic[ConfigT, SpecT]):
    """The way from their models of one architecture to ours, and back."""

    model_type: ClassVar[str]
    """Name of the architecture in config.json."""
    config_type: type[ConfigT]
    roles: ClassVar[Mapping[str, int]]
    """Our special tokens, by their names in tokenizer_config.json."""
    framed: ClassVar[tuple[int, ...]] = ()
    """Special tokens around a text: BOS and EOS, EOS alone, or none."""
    inputs: ClassVar[tuple[str, ...]] = ("input_ids", "attention_mask")
    """Inputs that their model is given of a text."""
    writes: ClassVar[bool] = True
    """Whether such models write text."""

    @abstractmethod
    def marks(self, config: ConfigT, roles: Mapping[str, int]) -> tuple[int | None, ...]:
        """Their ids of padding, unknown, BOS and EOS; ``roles`` are those that the tokenizer tells.

        Raises:
            CheckpointError: the tokenizer does not tell one that is needed.
        """

    @abstractmethod
    def one_name_each(self, config: ConfigT, tensors: Tensors) -> dict[str, Tensor]:
        """Their tensors under one name each, without those that follow from the others or the config."""

    @abstractmethod
    def spec(self, config: ConfigT, names: Collection[str], unpredicted: tuple[int, ...]) -> SpecT:
        """Our spec of a model with ``config`` and tensors called ``names``."""

    @abstractmethod
    def config(self, spec: SpecT, token_ids: TokenIds) -> ConfigT:
        """Their config of ``spec``, which may not be able to say all of it."""

    @abstractmethod
    def places(self, spec: SpecT) -> dict[str, TensorPlace]:
        """Place of each tensor of a model of ``spec``."""

    @abstractmethod
    def build(self, spec: SpecT, vocabulary: int) -> nn.Module:
        """Our model."""

    def own_token_ids(self, size: int) -> TokenIds:
        """The ids of ``size`` tokens that were never theirs: our own, where the format does not care."""
        return TokenIds((PAD, UNK, BOS, EOS), size)

    def named(self, spec: SpecT, tensors: Tensors) -> dict[str, Tensor]:
        """Exported tensors under the names that the whole model has for them."""
        return dict(tensors)

    def reachable(self, spec: SpecT) -> SpecT:
        """The same model, without positions that no text of it reaches."""
        return spec

    def to_theirs(self, spec: SpecT, tensors: Tensors) -> dict[str, Tensor]:
        """Our tensors as numbers that mean the same to them."""
        return dict(tensors)

    def from_theirs(self, spec: SpecT, tensors: Tensors) -> dict[str, Tensor]:
        """The inverse of ``to_theirs``."""
        return dict(tensors)

    def imported(
        self, config: ConfigT, tensors: Tensors, token_ids: TokenIds, path: Path
    ) -> tuple[SpecT, dict[str, Tensor]]:
        """Our spec and tensors of their model in the folder ``path``.

        Raises:
            CheckpointError: tensors are missing, left over or of another shape; each is named.
        """
        theirs = self.one_name_each(config, tensors)
        try:
            spec = self.spec(config, theirs, token_ids.added)
        except ValidationError as error:
            fault = bare_complaint(error.errors(include_url=False)[0]["msg"])
            raise CheckpointError(f"{path}/config.json: its numbers do not fit together: {fault}.") from None
        with torch.device("meta"):
            blank = self.build(spec, token_ids.size).state_dict()
        expected = self._theirs(spec, blank, token_ids)
        if misfit := tensor_misfit(expected, theirs, "such a model", ", but by config.json and tokenizer"):
            raise CheckpointError(f"{path}: the weights do not fit: {misfit}.")
        ours = dict[str, Tensor]()
        for name, place in self.places(spec).items():
            tensor = theirs[place.name]
            tensor = tensor.T if place.transposed else tensor[0] if place.row else tensor
            tensor = tensor if place.part is None else tensor.chunk(3)[place.part]
            ours[name] = (our_rows(tensor, token_ids) if place.tokens else tensor).contiguous()
        return spec, self.from_theirs(spec, ours)

    def exported(
        self, spec: SpecT, tensors: Tensors, token_ids: TokenIds
    ) -> tuple[ConfigT, dict[str, Tensor], TokenIds]:
        """Their config, their tensors, and the token_ids that these follow.

        It has a token more than was asked for where one of theirs would have to be two of ours that differ.

        Raises:
            CheckpointError: the format cannot say what the model is; the first such field is named.
        """
        spec = self.reachable(spec)
        self._refuse_inexpressible(spec, token_ids)
        ours = self.to_theirs(spec, tensors)
        tables = [ours[name] for name, place in self.places(spec).items() if place.tokens]
        if token_ids.one_mark and any(not torch.equal(table[BOS], table[EOS]) for table in tables):
            token_ids = token_ids.start_apart
        return self.config(spec, token_ids), self._theirs(spec, ours, token_ids), token_ids

    def _theirs(self, spec: SpecT, ours: Tensors, token_ids: TokenIds) -> dict[str, Tensor]:
        theirs, parts = dict[str, Tensor](), dict[str, list[Tensor]]()
        for name, place in self.places(spec).items():
            tensor = their_rows(ours[name], token_ids) if place.tokens else ours[name]
            parts.setdefault(place.name, []).append(tensor)
            joined = torch.cat(parts[place.name])
            joined = joined.T if place.transposed else joined[None] if place.row else joined
            theirs[place.name] = joined.contiguous()
        return theirs

    def _refuse_inexpressible(self, spec: SpecT, token_ids: TokenIds) -> None:
        config = self.config(spec, token_ids)
        names = {place.name for place in self.places(spec).values()}
        back = self.spec(config, names, token_ids.added)
        for path, ours, theirs in _differences(spec.model_dump(mode="json"), back.model_dump(mode="json")):
            raise CheckpointError(
                f"model.{path} is {_shown(ours)}, which the {self.model_type} format cannot say "
                f"(there it is {_shown(theirs)}); such a model cannot be exported."
            )


class OneStackFormat(CheckpointFormat[ConfigT, OneStack]):
    """Base of formats of a single stack: learned positions, as many as a text may have tokens."""

    positions: ClassVar[str] = "stack.positions.0.table"
    """Our name of their table."""

    @override
    def reachable(self, spec: OneStack) -> OneStack:
        match spec.stack.positions:
            case (LearnedSpec(),):
                needed = (LearnedSpec(longest=spec.longest),)
                stack = spec.stack.model_copy(update={"positions": needed})
                return spec.model_copy(update={"stack": stack})
            case _:
                return spec

    @override
    def to_theirs(self, spec: OneStack, tensors: Tensors) -> dict[str, Tensor]:
        return {**tensors, self.positions: tensors[self.positions][: spec.longest]}

    @override
    def build(self, spec: OneStack, vocabulary: int) -> nn.Module:
        return spec.build(vocabulary)


def read_config(config_type: type[ConfigT], data: Mapping[str, JsonValue], path: Path) -> ConfigT:
    """The config that ``path`` holds as ``data``.

    Raises:
        CheckpointError: a field is missing or says what we cannot express; each is named.
    """
    try:
        return config_type.model_validate(data)
    except ValidationError as error:
        faults = [
            f"{'.'.join(map(str, fault['loc'])) or 'it'}: {bare_complaint(fault['msg'])}"
            + (f", not {_shown(fault['input'])}" if fault["loc"] and fault["type"] != "missing" else "")
            for fault in error.errors(include_url=False)
        ]
        raise CheckpointError(f"{path}: this model cannot be imported: {'; '.join(faults)}.") from None


def our_rows(tensor: Tensor, token_ids: TokenIds) -> Tensor:
    """Their rows (V',…) in our order (V,…), with zeros for tokens that they have not."""
    rows = [len(tensor) if id is None else id for id in token_ids.theirs]
    return torch.cat([tensor, tensor.new_zeros(1, *tensor.shape[1:])])[rows]


def their_rows(tensor: Tensor, token_ids: TokenIds) -> Tensor:
    """Our rows (V,…) in their order (V',…)."""
    # Of two tokens that are one there, either will do.
    ours = {id: row for row, id in enumerate(token_ids.theirs) if id is not None}
    return tensor[[ours[id] for id in range(token_ids.their_size)]]


def layers(count: int, ours: str, theirs: str, table: Mapping[str, str]) -> dict[str, TensorPlace]:
    """The weights and biases of ``count`` equal layers; ``table`` has our and their names within a layer."""
    return {
        f"{ours}.{layer}.{our}.{kind}": TensorPlace(f"{theirs}.{layer}.{their}.{kind}")
        for layer in range(count)
        for our, their in table.items()
        for kind in ("weight", "bias")
    }


def one_name(tensors: dict[str, Tensor], name: str, *aliases: str) -> None:
    """Keep one of several names of a tensor, in place."""
    found = [tensors.pop(each) for each in (name, *aliases) if each in tensors]
    if found:
        tensors[name] = found[0]


def attention_of(heads: int, dropout: float) -> AttentionSpec:
    """Our attention of so many equal ``heads``."""
    return AttentionSpec(heads=HeadsSpec(query=heads), dropout=dropout)


def embedding_of(dropout: float, unpredicted: tuple[int, ...] = (), *, tied: bool) -> EmbeddingSpec:
    """Our embedding of a model of one stack, ``tied`` with its output or with a table of its own there."""
    tie = "output" if tied else "none"
    return EmbeddingSpec(tie=tie, scale=False, deviation=0.02, dropout=dropout, unpredicted=unpredicted)


def feed_forward(activation: Activation, hidden: int, dropout: float = 0.0) -> FeedForwardSpec:
    """Our network with their ``activation``."""
    match activation:
        case "relu":
            return ReluSpec(hidden=hidden, dropout=dropout)
        case "gelu":
            return GeluSpec(hidden=hidden, dropout=dropout)
        case "gelu_new" | "gelu_pytorch_tanh":
            return GeluTanhSpec(hidden=hidden, dropout=dropout)
        case "silu" | "swish":
            return SiluSpec(hidden=hidden, dropout=dropout)


def activation_of(network: FeedForwardSpec) -> tuple[Activation, int, float]:
    """Their name of our network's activation, its hidden components and its dropout.

    Raises:
        CheckpointError: no format has such a network.
    """
    match network:
        case ReluSpec():
            name: Activation = "relu"
        case GeluSpec():
            name = "gelu"
        case GeluTanhSpec():
            name = "gelu_new"
        case SiluSpec():
            name = "swish"
        case _:
            raise CheckpointError(
                f"the model has feed_forward.kind {network.kind}, which no Hugging Face format that we write "
                "can say; such a model cannot be exported."
            )
    return name, network.hidden, network.dropout


def epsilon_of(norm: NormSpec) -> float:
    """Epsilon of a layer norm; any for other norms, which no format has."""
    return norm.epsilon if isinstance(norm, LayerNormSpec) else LayerNormSpec().epsilon


def _differences(
    ours: JsonValue, theirs: JsonValue, path: Sequence[str] = ()
) -> Iterator[tuple[str, JsonValue, JsonValue]]:
    """Places where two specs say different things about a trained model."""
    if isinstance(ours, dict) and isinstance(theirs, dict) and ours.get("kind") == theirs.get("kind"):
        for key in (key for key in ours if key not in _TRAINING_ONLY):
            yield from _differences(ours[key], theirs[key], (*path, key))
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for index, pair in enumerate(zip(ours, theirs, strict=True)):
            yield from _differences(*pair, (*path, str(index)))
    elif ours != theirs:
        yield ".".join(path), ours, theirs


def _shown(value: object) -> str:
    """A value as a sentence shows it: of a part, its kind."""
    match value:
        case {"kind": str(kind)}:
            return kind
        case None:
            return "null"
        case [] | ():
            return "empty"
        case _:
            return str(value)
