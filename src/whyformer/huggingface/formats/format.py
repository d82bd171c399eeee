"""Base of importing and exporting, whatever the architecture.

One table says where each of our tensors lies in their file; it is read in both directions, and so is the
description of their config.json. What a format cannot say shows when it is written and read back.

M model dimension · V vocabulary
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Generic, Literal, NamedTuple, TypeVar

import torch
from pydantic import JsonValue, ValidationError
from torch import Tensor, nn
from typing_extensions import override

from whyformer.errors import CheckpointError, bare_complaint
from whyformer.huggingface.config import ConfigT, shown
from whyformer.huggingface.differences import model_override, spec_differences
from whyformer.huggingface.shapes import Size, check_numbers, check_sizes
from whyformer.huggingface.tokenizers.token_ids import TokenIds
from whyformer.models.bert import BERTSpec
from whyformer.models.gpt import GPTSpec
from whyformer.position.absolute import LearnedSpec
from whyformer.spec import Spec
from whyformer.special_tokens import BOS, EOS, PAD, UNK
from whyformer.training.storage.checkpoint import tensor_misfit

Tensors = Mapping[str, Tensor]
Say = Callable[[str], object]
"""Function that takes a sentence of the report."""

_CONSTANTS = re.compile(r"(.*\.)?(position_ids|token_type_ids)|(.*\.)?h\.\d+\.attn\.(masked_)?bias")
"""Buffers in files that hold no weights: 0, 1, 2, …, zeros, and masks."""


def silent(sentence: str) -> None:
    """Take a sentence and say nothing."""


Marks = tuple[int | None, ...]
"""Their ids of our four special tokens; None where there is none."""
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
    tokens: Literal["source", "target"] | None = None
    """Side whose tokens have a row each; a model that does not translate has a target only."""
    row: bool = False
    """Whether theirs is a matrix of one row, and ours is a vector."""
    skipped: int = 0
    """Number of rows that theirs has before ours, which nothing reads."""


class _Sides(NamedTuple):
    """Ids of the tokens that a model reads and of those that it writes."""

    source: TokenIds
    target: TokenIds

    def of(self, place: TensorPlace) -> TokenIds | None:
        """Ids of the tokens that have a row each at ``place``; None where none have."""
        return None if place.tokens is None else self.source if place.tokens == "source" else self.target


class CheckpointFormat(ABC, Generic[ConfigT, SpecT]):
    """The way from their models of one architecture to ours, and back."""

    model_type: ClassVar[str]
    """Name of the architecture in config.json."""
    config_type: type[ConfigT]
    roles: ClassVar[Mapping[str, int]]
    """Our special tokens, by their names in tokenizer_config.json."""
    framed: ClassVar[tuple[int, ...]] = ()
    """Special tokens around a text: BOS and EOS, EOS alone, or BOS alone."""
    inputs: ClassVar[tuple[str, ...]] = ("input_ids", "attention_mask")
    """Inputs that their model is given of a text."""
    writes: ClassVar[bool] = True
    """Whether such models write text."""
    root: ClassVar[str] = ""
    """Prefix of the names of all tensors that are not a head's, where the model has a head."""
    anchor: ClassVar[str]
    """Name of a tensor that every model has, without the root."""

    @abstractmethod
    def marks(self, config: ConfigT, roles: Mapping[str, int], size: int, say: Say) -> Marks:
        """Their ids of padding, unknown, BOS and EOS in a vocabulary of ``size`` tokens.

        ``roles`` are those that the tokenizer tells.

        Raises:
            CheckpointError: neither tokenizer nor config tell one that is needed.
        """

    @abstractmethod
    def one_name_each(self, config: ConfigT, tensors: Tensors, say: Say) -> dict[str, Tensor]:
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

    @property
    @abstractmethod
    def layer_counts(self) -> Mapping[str, str]:
        """Beginning of the names of all layers, without the root, by the field with their number."""

    @property
    @abstractmethod
    def sizes(self) -> Sequence[Size]:
        """The places where the weights show what the config says."""

    @abstractmethod
    def build(self, spec: SpecT, vocabulary: int, source_vocabulary: int | None = None) -> nn.Module:
        """Our model, for sources in the same vocabulary or in another."""

    def own_names(self, tensors: Tensors) -> dict[str, Tensor]:
        """Their tensors without the root, without a prefix that all have in common, and without constants.

        Wrappers put such prefixes before a model's names: ``_orig_mod.``, ``module.``, ``model.``.
        """
        unwrapped = without_wrapper(tensors, self.anchor, self.root)
        return {name.removeprefix(self.root): tensor for name, tensor in unwrapped.items()}

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
        self,
        config: ConfigT,
        tensors: Tensors,
        token_ids: TokenIds,
        path: Path,
        *,
        source: TokenIds | None = None,
        say: Say = silent,
    ) -> tuple[SpecT, dict[str, Tensor]]:
        """Our spec and tensors of their model in the folder ``path``.

        Args:
            config: theirs.
            tensors: theirs, by their names.
            token_ids: ids of the tokens; those of the target, where sources have another vocabulary.
            path: folder to name in errors.
            source: ids of the tokens of sources, if they are others.
            say: takes each sentence on what is not as the files say.

        Raises:
            CheckpointError: tensors are missing, left over or of another shape; each is named.
        """
        theirs = self.one_name_each(config, self.own_names(tensors), say)
        check_sizes(config, theirs, path, self.layer_counts, self.sizes)
        try:
            spec = self.spec(config, theirs, token_ids.added)
        except ValidationError as error:
            fault = bare_complaint(error.errors(include_url=False)[0]["msg"])
            raise CheckpointError(f"{path}/config.json: its numbers do not fit together: {fault}.") from None
        sides = _Sides(token_ids if source is None else source, token_ids)
        with torch.device("meta"):
            blank = self.build(spec, token_ids.size, sides.source.size).state_dict()
        places = self.places(spec)
        theirs = _without_padded_rows(theirs, places, sides, path, say)
        expected = self._theirs(spec, blank, sides)
        if misfit := tensor_misfit(expected, theirs, "such a model", ", but by config.json and tokenizer"):
            raise CheckpointError(f"{path}: the weights do not fit: {misfit}.")
        tables = {place.name for place in places.values() if place.tokens is not None}
        check_numbers(theirs, path, {name for name in tables if 1 in (theirs[name].dim(), len(theirs[name]))})
        ours = dict[str, Tensor]()
        for name, place in places.items():
            tensor = theirs[place.name][place.skipped :]
            tensor = tensor.T if place.transposed else tensor[0] if place.row else tensor
            tensor = tensor if place.part is None else tensor.chunk(3)[place.part]
            rows = sides.of(place)
            ours[name] = (tensor if rows is None else our_rows(tensor, rows)).contiguous()
        return spec, self.from_theirs(spec, ours)

    def exported(
        self, spec: SpecT, tensors: Tensors, token_ids: TokenIds
    ) -> tuple[ConfigT, dict[str, Tensor], TokenIds]:
        """Their config, their tensors, and the token_ids that these follow.

        It has a token more than was asked for where one of theirs would have to be two of ours that differ.

        Raises:
            CheckpointError: the format cannot say what the model is; all such fields are named.
        """
        spec = self.reachable(spec)
        self._refuse_inexpressible(spec, token_ids)
        ours = self.to_theirs(spec, tensors)
        tables = [ours[name] for name, place in self.places(spec).items() if place.tokens is not None]
        if token_ids.one_mark and any(not torch.equal(table[BOS], table[EOS]) for table in tables):
            token_ids = token_ids.start_apart
        theirs = self._theirs(spec, ours, _Sides(token_ids, token_ids))
        return self.config(spec, token_ids), theirs, token_ids

    def _theirs(self, spec: SpecT, ours: Tensors, sides: "_Sides") -> dict[str, Tensor]:
        theirs, parts = dict[str, Tensor](), dict[str, list[Tensor]]()
        for name, place in self.places(spec).items():
            rows = sides.of(place)
            tensor = ours[name] if rows is None else their_rows(ours[name], rows)
            if place.skipped:
                tensor = torch.cat([tensor.new_zeros(place.skipped, *tensor.shape[1:]), tensor])
            parts.setdefault(place.name, []).append(tensor)
            joined = torch.cat(parts[place.name])
            joined = joined.T if place.transposed else joined[None] if place.row else joined
            theirs[place.name] = joined.contiguous()
        return theirs

    def _refuse_inexpressible(self, spec: SpecT, token_ids: TokenIds) -> None:
        found = self._inexpressible(spec, token_ids)
        if not found:
            return
        (path, ours, theirs), *others = found
        told = "".join(f", model.{key} is {shown(one)} ({shown(other)})" for key, one, other in others)
        settings = " ".join(self.cures(spec, token_ids))
        raise CheckpointError(
            f"model.{path} is {shown(ours)}, which the {self.model_type} format cannot say "
            f"(there it is {shown(theirs)}){told}; a recipe with {settings} gives a model that "
            "can be exported."
        )

    def _inexpressible(self, spec: SpecT, token_ids: TokenIds) -> list[tuple[str, JsonValue, JsonValue]]:
        """Keys that the format cannot say, with their values and those that they have there."""
        config = self.config(spec, token_ids)
        names = {place.name for place in self.places(spec).values()}
        back = self.spec(config, names, token_ids.added)
        return [*spec_differences(spec.model_dump(mode="json"), back.model_dump(mode="json"))]

    def cures(self, spec: SpecT, token_ids: TokenIds) -> list[str]:
        """Overrides of a recipe that make of ``spec`` a model that the format can say."""
        found = self._inexpressible(self.reachable(spec), token_ids)
        return [model_override(path, theirs) for path, _, theirs in found]


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
    def build(self, spec: OneStack, vocabulary: int, source_vocabulary: int | None = None) -> nn.Module:
        return spec.build(vocabulary)


def without_wrapper(tensors: Tensors, anchor: str, root: str = "") -> dict[str, Tensor]:
    """Tensors that are no constants, without what all names have before ``root`` and ``anchor``."""
    anchors = (name for name in tensors if f".{name}".endswith(f".{anchor}"))
    wrapper = next(anchors, anchor).removesuffix(anchor).removesuffix(root)
    if not all(name.startswith(wrapper) for name in tensors):
        wrapper = ""
    named = ((name.removeprefix(wrapper), tensor) for name, tensor in tensors.items())
    return {name: tensor for name, tensor in named if not _CONSTANTS.fullmatch(name)}


def _without_padded_rows(
    theirs: Tensors, places: Mapping[str, TensorPlace], sides: _Sides, path: Path, say: Say
) -> dict[str, Tensor]:
    """Their tensors without the rows that tables have beyond the last token.

    Raises:
        CheckpointError: a table has fewer rows than there are tokens.
    """
    made, padded = dict(theirs), dict[str, int]()
    for place in places.values():
        ids, tensor = sides.of(place), theirs.get(place.name)
        if ids is None or tensor is None:
            continue
        size, axis = ids.their_size, 1 if place.row else 0
        if tensor.dim() > axis and tensor.shape[axis] < size:
            raise CheckpointError(
                f"{path}: the tokenizer has {size:,} tokens, but {place.name} has rows for "
                f"{tensor.shape[axis]:,}; take the tokenizer that the model was trained with."
            )
        if tensor.dim() > axis and tensor.shape[axis] > size:
            padded[place.name] = tensor.shape[axis] - size
            made[place.name] = tensor.narrow(axis, 0, size)
    if padded:
        name, rows = next(iter(padded.items()))
        say(
            f"{name} has {rows:,} rows more than there are tokens, which are left out; no text has them, "
            "and the share of probability that theirs gives them goes to the others here"
        )
    return made


def our_rows(tensor: Tensor, token_ids: TokenIds) -> Tensor:
    """Their rows (V',…) in our order (V,…), with zeros for tokens that they have not."""
    rows = [len(tensor) if id is None else id for id in token_ids.theirs]
    return torch.cat([tensor, tensor.new_zeros(1, *tensor.shape[1:])])[rows]


def their_rows(tensor: Tensor, token_ids: TokenIds) -> Tensor:
    """Our rows (V,…) in their order (V',…)."""
    # Of two tokens that are one there, either will do.
    ours = {id: row for row, id in enumerate(token_ids.theirs) if id is not None}
    return tensor[[ours[id] for id in range(token_ids.their_size)]]
