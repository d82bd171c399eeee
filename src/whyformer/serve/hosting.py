"""Hosting: run folders opened under the names that clients ask for."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeGuard

from whyformer.data.tokenizers.single import SingleTokenizer
from whyformer.decoding.beam import BeamSpec
from whyformer.decoding.overrides import SearchChoice
from whyformer.errors import DataError
from whyformer.files import file_sha256
from whyformer.models.bert import BERT, BERTSpec
from whyformer.models.classifier import ClassifierSpec, PooledClassifier
from whyformer.models.elmo import ELMo, ELMoSpec
from whyformer.models.gpt import GPT, GPTSpec
from whyformer.runs.execution import Execution
from whyformer.runs.load import OpenRun, open_run, runner_of
from whyformer.serve.service import HostedRun
from whyformer.serve.text_facts import text_facts
from whyformer.tasks.causal_lm.generator import Generator
from whyformer.tasks.embedding.embedder import Embedder
from whyformer.tasks.task import Runner
from whyformer.tasks.translation.translator import Translator


def named_runs(given: Sequence[str]) -> dict[str, Path]:
    """The folders of runs by the names they are served by; each is given as ``RUN`` or ``NAME=RUN``.

    Raises:
        DataError: two runs have one name, or a name is empty.
    """
    found = dict[str, Path]()
    for text in given:
        name, equals, folder = text.partition("=")
        path = Path(folder if equals and not Path(text).exists() else text)
        if path == Path(text):
            name = path.resolve().name
        if not name:
            raise DataError(f"{text}: this run has no name; write it as NAME=RUN.")
        if name in found:
            raise DataError(f"{found[name]} and {path} would both be served as {name}; name one by NAME=RUN.")
        found[name] = path
    return found


def host_run(name: str, folder: Path, execution: Execution, beam: SearchChoice | None = None) -> HostedRun:
    """The run in ``folder``, loaded to be served as ``name``.

    Precision, engine and shortlist are for runs that translate; others compute as they do. ``beam`` is laid
    over the search of a run that has one.

    Raises:
        CheckpointError: this is no run folder, or its weights are damaged, or the engine cannot take them.
        RecipeError: its recipe cannot be read.
        TokenizerError: its tokenizer is missing or damaged.
        DecodingError: this machine has no such device, or cannot compute so.
    """
    opened = open_run(folder)
    weights = opened.folder.find_weights()
    if not issubclass(opened.task.runner_type, Translator):
        execution = replace(execution, precision="fp32", engine="auto", shortlist=False)
    digest = file_sha256(weights)
    created = int(weights.stat().st_mtime)
    runner = runner_of(opened, execution)
    if beam is not None and has_beam(runner):
        runner.settings = beam.over(runner.settings)
    return HostedRun(
        name,
        opened.task.name,
        runner,
        digest,
        created,
        embedder=_embedder(runner, opened),
        reopen=partial(host_run, name, folder, execution, beam),
        texts=text_facts(opened.recipe),
    )


def has_beam(runner: Runner) -> TypeGuard[Translator | Generator]:
    """Whether ``runner`` writes texts by a beam."""
    return isinstance(runner, Translator | Generator) and isinstance(runner.settings, BeamSpec)


def _embedder(runner: Runner, opened: OpenRun) -> Embedder | None:
    """The maker of vectors by the weights that ``runner`` has; None for a run that reads no texts so."""
    model, spec, assets = runner.model, opened.recipe.model, opened.assets
    if isinstance(model, PooledClassifier) and isinstance(spec, ClassifierSpec):
        model, spec = model.backbone, spec.whole_backbone
    if not isinstance(model, BERT | GPT | ELMo) or not isinstance(spec, BERTSpec | GPTSpec | ELMoSpec):
        return None
    assert isinstance(assets, SingleTokenizer), "these models have one"
    return Embedder(model, spec, assets.tokenizer)
