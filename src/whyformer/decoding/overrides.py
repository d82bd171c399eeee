"""Settings of a search, as said by hand: whatever is not said stays as the recipe has it.

Verbs read their options before torch is imported, so nothing at the top of this file needs it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from whyformer.errors import DecodingError

if TYPE_CHECKING:
    from whyformer.decoding.beam import BeamSpec
    from whyformer.decoding.greedy import GreedySpec
    from whyformer.decoding.sampling import SamplingSpec
    from whyformer.decoding.search import SearchSpec

SearchKind = Literal["greedy", "beam", "sampling"]
_OPTIONS: dict[SearchKind, str] = {"greedy": "--greedy", "beam": "--beam", "sampling": "--sample"}


@dataclass(frozen=True)
class SearchChoice:
    """A kind of search, or None for the recipe's, and settings by the names of the search spec's fields."""

    kind: SearchKind | None = None
    settings: Mapping[str, object] = field(default_factory=dict)

    def over(
        self, default: "SearchSpec", *, n_best: int | None = None, openings: tuple[tuple[int, ...], ...] = ()
    ) -> "SearchSpec":
        """The recipe's ``default`` with the choice laid over it.

        Another kind of search keeps what every kind has, such as the length limits.

        Args:
            default: how the recipe searches.
            n_best: translations to find for each sentence; None leaves it to ``default``.
            openings: sequences of token ids, with one of which every translation begins.

        Raises:
            DecodingError: a setting belongs to another kind of search.
            RecipeError: a value does not fit.
        """
        from whyformer.config.validation import check
        from whyformer.decoding.constraints import ConstraintsSpec

        kind = self.kind or default.kind
        before = default.model_dump()
        if kind != default.kind:
            before = {name: before[name] for name in ConstraintsSpec.model_fields}
        spec_type = _spec_type(kind)
        chosen = {**self.settings, **({"openings": openings} if openings else {}), **_several(kind, n_best)}
        for name in chosen:
            if name not in spec_type.model_fields:
                raise DecodingError(_misplaced(name, kind))
        _refuse_narrow(n_best, {**before, **chosen})
        return check(spec_type, {**before, **chosen, "kind": kind}, "the search options")


def _spec_type(kind: SearchKind) -> "type[GreedySpec] | type[BeamSpec] | type[SamplingSpec]":
    from whyformer.decoding.beam import BeamSpec
    from whyformer.decoding.greedy import GreedySpec
    from whyformer.decoding.sampling import SamplingSpec

    match kind:
        case "greedy":
            return GreedySpec
        case "beam":
            return BeamSpec
        case "sampling":
            return SamplingSpec


def _several(kind: SearchKind, n_best: int | None) -> dict[str, int]:
    """The setting by which a search of ``kind`` finds ``n_best`` translations."""
    if n_best is None:
        return {}
    return {"samples": n_best} if kind == "sampling" else {"n_best": n_best}


def _refuse_narrow(n_best: int | None, settings: Mapping[str, object]) -> None:
    size = settings.get("size")
    if n_best is not None and isinstance(size, int) and n_best > size:
        raise DecodingError(f"--n-best {n_best} is more than a beam of {size} can find; use --beam {n_best}.")


def _misplaced(name: str, kind: SearchKind) -> str:
    owners = [_OPTIONS[other] for other in _OPTIONS if name in _spec_type(other).model_fields]
    option = "--patience" if name == "stopping" else f"--{name.replace('_', '-')}"
    return f"{option} means nothing to a {kind} search; use it with {' or '.join(owners)}, or leave it out."
