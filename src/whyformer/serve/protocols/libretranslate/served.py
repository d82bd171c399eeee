"""Served languages: which run translates from one into another, and what clients are told of them."""

from collections.abc import Mapping

from whyformer.serve.languages import LanguagePair, language_name, same_language
from whyformer.serve.protocols.bodies import quoted
from whyformer.serve.refusals import InvalidRequestError
from whyformer.serve.service import HostedRun, Service

AUTO = "auto"
"""Source of who leaves it to the server."""


class ServedLanguages:
    """Runs that translate, by what they translate between."""

    def __init__(self, service: Service, pairs: Mapping[str, LanguagePair]) -> None:
        self._service = service
        self._pairs = pairs

    def listed(self) -> dict[str, list[str]]:
        """Targets of each language, by its code; a run of unknown languages has its name for a code."""
        targets = dict[str, list[str]]()
        for run in self._runs():
            source, target = self._pairs.get(run.name, LanguagePair(run.name, run.name))
            known = targets.setdefault(source, [])
            if target not in known:
                known.append(target)
        for target in [each for known in targets.values() for each in known]:
            targets.setdefault(target, [])
        return targets

    def name_of(self, code: str) -> str:
        """The English name of the language ``code``; a run's name stays as it is."""
        return code if code in self._service.runs else language_name(code)

    def choose(self, source: str, target: str) -> HostedRun:
        """The run that translates from ``source``, or ``auto``, into ``target``, a language or a run's name.

        Raises:
            InvalidRequestError: there is none, or for ``auto`` it could be several.
        """
        into = {
            run.name: pair
            for run in self._runs()
            if (pair := self._pairs.get(run.name)) is not None and same_language(pair.target, target)
        }
        sources = list(dict.fromkeys(pair.source for pair in into.values()))
        if source == AUTO and len(sources) > 1:
            raise InvalidRequestError(
                f"languages are not detected here, and {quoted(target)} is translated into from "
                f"{', '.join(sources)}; name one of them as the source.",
                field="source",
            )
        for name, pair in into.items():
            if source == AUTO or same_language(pair.source, source):
                return self._service.runs[name]
        named = next((run for run in self._runs() if run.name == target), None)
        if named is not None and self._reads(named, source):
            return named
        if into or named is not None:
            raise InvalidRequestError(
                f"nothing here translates from {quoted(source)} into {quoted(target)}; GET /languages tells "
                "what can be translated.",
                field="source",
            )
        raise InvalidRequestError(
            f"nothing here translates into {quoted(target)}; GET /languages tells what can be translated.",
            field="target",
        )

    def _runs(self) -> list[HostedRun]:
        return [run for run in self._service.runs.values() if run.task == "translation"]

    def _reads(self, run: HostedRun, source: str) -> bool:
        pair = self._pairs.get(run.name)
        return pair is None or source in (AUTO, run.name) or same_language(pair.source, source)
