"""Their config.json: the fields that decide what a model computes, each with the values that it may have."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Self, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    model_validator,
)

from whyformer.errors import CheckpointError, bare_complaint


class Config(BaseModel, ABC):
    """Their config.json, as far as it decides what a model computes; what is not named is not read."""

    # Numbers as text are refused, as by transformers.
    model_config = ConfigDict(
        frozen=True, extra="ignore", protected_namespaces=(), strict=True, allow_inf_nan=False
    )

    split: ClassVar[Mapping[str, str]] = {}
    """Sizes that are cut evenly into heads, by the field with the number of heads."""

    @model_validator(mode="after")
    def _splits_evenly(self) -> Self:
        for heads, width in self.split.items():
            count, size = self.said(heads) or 1, self.said(width) or 1
            if size % count:
                raise ValueError(f"{self.name(heads)} {count} does not divide {self.name(width)} {size}")
        return self

    def said(self, field: str) -> int | None:
        """The number that ``field`` says; None where it leaves it out."""
        return vars(self)[field]

    @classmethod
    def name(cls, field: str) -> str:
        """Name of ``field`` in config.json."""
        return cls.model_fields[field].alias or field

    @property
    @abstractmethod
    def longest(self) -> int:
        """Maximum number of tokens of a text, special tokens included."""


Count = Annotated[int, Field(ge=1)]
"""A size in config.json, or a number of parts."""
DropShare = Annotated[float, Field(ge=0.0, lt=1.0)]
"""Probability in config.json by which components are dropped."""
Epsilon = Annotated[float, Field(gt=0.0)]
"""Number that a norm adds before it divides."""


def first_id(told: object) -> object:
    """The id of a special token that config.json tells; of several, the first."""
    return next(iter(told), None) if isinstance(told, list) else told


TokenIdSetting = Annotated[int | None, BeforeValidator(first_id)]
"""Id of a special token in config.json; of several, the first."""
ConfigT = TypeVar("ConfigT", bound=Config)


def read_config(config_type: type[ConfigT], data: Mapping[str, JsonValue], path: Path) -> ConfigT:
    """The config that ``path`` holds as ``data``.

    Raises:
        CheckpointError: a field is missing or says what we cannot express; each is named.
    """
    try:
        return config_type.model_validate(data)
    except ValidationError as error:
        faults = [
            f"{'.'.join(map(str, fault['loc']))}: {bare_complaint(fault['msg'])}"
            + (f", not {shown(fault['input'])}" if fault["type"] != "missing" else "")
            if fault["loc"]
            else bare_complaint(fault["msg"])
            for fault in error.errors(include_url=False)
        ]
        raise CheckpointError(f"{path}: this model cannot be imported: {'; '.join(faults)}.") from None


def shown(value: object) -> str:
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
