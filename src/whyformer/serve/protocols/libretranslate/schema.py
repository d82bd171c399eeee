"""Answers of the dialect as JSON, and what the OpenAPI document says of its requests."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from whyformer.serve.protocols.bodies import NO_NUL
from whyformer.serve.protocols.libretranslate.request import TranslationLimits


class _Answer(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)


class TranslationAnswer(_Answer):
    """Translations of one text, or of each text of a list."""

    translated_text: str | list[str]
    """The best translation."""
    alternatives: list[str] | list[list[str]] | None = None
    """Other translations, where they were asked for, likeliest first."""


class LanguageAnswer(_Answer):
    """A language, and those that it is translated into."""

    code: str
    name: str
    targets: list[str]


class NamedLanguage(_Answer):
    """A language by its code and its English name."""

    code: str
    name: str


class LanguageChoice(_Answer):
    """Languages that a page begins with."""

    source: NamedLanguage
    target: NamedLanguage


class FrontendSettings(_Answer):
    """Settings that a page of this dialect asks its server for at first."""

    char_limit: int
    """Maximum number of characters of a request."""
    frontend_timeout: int
    """Milliseconds of quiet after which a page translates what is typed."""
    api_keys: bool
    key_required: bool
    suggestions: bool = False
    files_translation: bool = False
    supported_files_format: list[str] = Field(default=[])
    language: LanguageChoice


class ErrorAnswer(BaseModel):
    """Why there is no answer."""

    error: str
    """One sentence."""


ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorAnswer, "description": description}
    for status, description in (
        (400, "A field that is missing or wrong"),
        (403, "No key that is known here"),
        (404, "No run that translates"),
        (413, "More than the limits allow"),
        (429, "Too many requests at once; Retry-After says when to come again"),
        (500, "A fault of the service"),
        (503, "The service is starting or ending"),
        (504, "Time ran out"),
    )
}


def request_body(limits: TranslationLimits, targets: Sequence[str]) -> dict[str, Any]:
    """Entry of the OpenAPI document for a request to ``/translate``."""
    text: dict[str, Any] = {
        "type": "string",
        "minLength": 1,
        "maxLength": limits.characters,
        "pattern": NO_NUL,
    }
    json = {"type": "array", "items": text | {"minLength": 0}, "minItems": 1, "maxItems": limits.texts}
    # A list of one text looks like a text in a form, and may not be empty as that.
    forms = json | {"minItems": 2}
    kinds = {
        "application/json": json,
        "application/x-www-form-urlencoded": forms,
        "multipart/form-data": forms,
    }
    content = {kind: {"schema": _schema(limits, targets, [text, texts])} for kind, texts in kinds.items()}
    for optional in ("format", "alternatives", "api_key"):
        properties = content["application/json"]["schema"]["properties"]
        properties[optional] = {"anyOf": [properties[optional], {"type": "null"}]}
    return {"requestBody": {"required": True, "content": content}}


def _schema(limits: TranslationLimits, targets: Sequence[str], texts: Sequence[Any]) -> dict[str, Any]:
    code = {"type": "string", "minLength": 1, "pattern": NO_NUL}
    return {
        "type": "object",
        "required": ["q", "source", "target"],
        "properties": {
            "q": {"oneOf": [*texts]},
            "source": {**code, "example": "auto"},
            "target": {**code, "enum": [*targets]} if targets else code,
            "format": {"enum": ["text", "html", ""], "default": "text"},
            "alternatives": {
                "anyOf": [
                    {"type": "integer", "maximum": limits.alternatives},
                    {"type": "string", "pattern": r"^([+-]?[0-9]{1,100})?$"},
                ],
                "default": 0,
            },
            "api_key": {"type": "string", "pattern": NO_NUL},
        },
    }
