"""Every text that the program may say to people, as templates, from its source and from its verbs.

What a catalogue still lacks is written as stubs to fill in, with where each stands and what its holes are:

    .venv/bin/python tests/language/extract.py zh
"""

import ast
import json
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from itertools import product
from pathlib import Path
from typing import Any

from typer.core import TyperGroup
from typer.main import get_command

SOURCE = Path(__file__).parents[2] / "src" / "whyformer"
CATALOGUES = SOURCE / "locales"

# Whatever is handed to these is said to people, even a single word.
SAYING = {"tell", "tell_labelled", "say_labelled", "say", "translated", "progress", "BadParameter"}
# A fault of the program, which keeps its traceback.
BUGS = {"AssertionError", "TypeError", "RuntimeError", "AttributeError", "KeyError", "IndexError"}
# Texts of these files have tables of their own for each language, are data, or are comments that are written
# into files, which have no language; their errors count.
OWN_TABLES = (
    "plots/*",
    "why/questions/*",
    "why/arms.py",
    "why/book/*",
    "why/terminal/*",
    "why/quiz/words.py",
    "why/lab/*",
    "data/corpora/cldr/*",
)
# What is said to clients of the service, who are programs: protocols speak English.
TO_CLIENTS = (
    "serve/gate/*",
    "serve/operation/*",
    "serve/protocols/*",
    "serve/listening/*",
    "serve/page/*",
    "serve/batching/*",
    "serve/transcription.py",
    "serve/application.py",
    "serve/service.py",
)
# Two words at least, one behind the other.
PROSE = re.compile(r"[A-Za-z]{2,}[’']?[a-z]*[,;:.)]? [(`'\"]?[A-Za-z{]")
WORD = re.compile(r"[A-Za-z]{2,}")

# Strings of the source that look like something to say, and are not, by where they stand.
NOT_SAID: dict[str, tuple[str, ...]] = {
    "analysis/trace.py": ("*",),
    # Places of a page, which has its own tables; sources, which are cited as they are.
    "analysis/inspection.py": ("decoder self", "encoder self"),
    # Commands, to be copied.
    "cli/serve.py": ("curl {0}/health", "curl {0}/translate -d q=... -d source={1} -d target={2}"),
    # JavaScript.
    "browser/bundle.py": ('"use strict";', "function {0}() {{"),
    "analysis/catalogue.py": ("* et al. *", "Press and Wolf *", "BERT, GPT-2"),
    "cli/main.py": ("whyformer {0}",),
    "cli/inspect.py": ("ln P",),
    "cli/verb.py": ("Error: {0}",),
    # Standard error of another process, for its log.
    "experiments/trial.py": ("error: {0}",),
    # Facts of other programs, and of the machine's files.
    "machine.py": ("model name",),
    "tasks/translation/defaults.py": ("*kind: rotary*",),
    "tasks/translation/scores/metrics.py": ("equals a reference|case:*",),
    "position/layout.py": ("{0} of shape {1}",),
    "why/fingerprint.py": ("*",),
    # Complaints of others behind the name of a place.
    "models/bert.py": ("stack.{0}",),
    "models/recurrent.py": ("attention.{0}",),
    "nn/stack.py": ("cross_attention.{0}", "positions.{0}: {1}", "block.{0}.heads: {1}"),
    # Lists of words that are looked for in data; a command.
    "data/corpora/detection/tables.py": ("*",),
    "data/tokenizers/text/sentences.py": ("*",),
    # What BERT's way back closes up.
    "browser/tokenizers.py": ("do not",),
    # The name of a piece.
    "huggingface/tokenizers/sentencepiece.py": ("{0}unused {1}",),
    "data/corpora/detection/report.py": ("gzip -dc {0} |",),
    "config/schema.py": ("{{{{kind: {0}}}}}",),
}


@dataclass(frozen=True)
class Text:
    """One text that may be said."""

    template: str
    place: str
    holes: tuple[str, ...] = ()
    """The expressions that fill its holes, as the source has them."""


def said() -> list[Text]:
    """All texts, each once."""
    found = dict[str, Text]()
    for text in [*of_verbs(), *of_typer(), *of_words(), *of_recipes(), *of_source(), *of_specs()]:
        found.setdefault(text.template, text)
    return list(found.values())


def of_source() -> Iterator[Text]:
    """The messages in all files."""
    for path in sorted(SOURCE.rglob("*.py")):
        name = path.relative_to(SOURCE).as_posix()
        if not any(fnmatch(name, pattern) for pattern in TO_CLIENTS):
            yield from of_file(name, path.read_text(encoding="utf-8"))


def of_file(name: str, source: str) -> Iterator[Text]:
    """The messages in one file."""
    tree = ast.parse(source)
    silent = set(_silent(tree))
    prose = not any(fnmatch(name, pattern) for pattern in OWN_TABLES)
    left_out = NOT_SAID.get(name, ())
    for node, is_said in _strings(tree, silent, is_said=False):
        if not is_said and not prose:
            continue
        for parts in (line for variant in _variants(node) or () for line in _by_lines(variant)):
            template, expressions = _template(parts)
            wanted = WORD if is_said else PROSE
            if wanted.search(_literal(parts)) and not any(fnmatch(template, each) for each in left_out):
                yield Text(template, f"{name}:{node.lineno}", expressions)


Part = str | ast.expr


def _strings(node: ast.AST, silent: set[int], *, is_said: bool) -> Iterator[tuple[ast.expr, bool]]:
    """The outermost string expressions below ``node``, each with whether it is certainly said."""
    if id(node) in silent:
        return
    if isinstance(node, ast.expr) and _variants(node) is not None:
        yield node, is_said
        # What stands inside the holes may be a text of its own.
        for parts in _variants(node) or ():
            for part in parts:
                if isinstance(part, ast.expr):
                    yield from _strings(part, silent, is_said=False)
        return
    for child in ast.iter_child_nodes(node):
        yield from _strings(child, silent, is_said=is_said or _says(node, child))


def _says(node: ast.AST, child: ast.AST) -> bool:
    """Whether a string in ``child`` is handed to something that says it."""
    if not isinstance(node, ast.Call) or child is node.func:
        return False
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if name == "warn":
        return any("WhyformerNote" in ast.unparse(argument) for argument in node.args)
    return name in SAYING or (name.endswith("Error") and name not in BUGS)


def _silent(tree: ast.Module) -> Iterator[int]:
    """The nodes below which nothing is said: docstrings, annotations, assertions, sources, patterns."""
    for node in ast.walk(tree):
        match node:
            case ast.Expr(value=ast.Constant()) as statement:
                yield id(statement)
            case ast.AnnAssign(target=target, annotation=annotation):
                yield id(annotation)
                if ast.unparse(target) == "origin":
                    yield id(node)
            case ast.FunctionDef(args=arguments, returns=returns):
                every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
                yield from (id(each.annotation) for each in every if each.annotation)
                yield id(returns)
            case ast.Assert(msg=message):
                yield id(message)
            case ast.Subscript(slice=inner):
                yield id(inner)
            case ast.Call(func=function) if ast.unparse(function) in ("re.compile", "TypeVar", "cast"):
                yield id(node)
            case ast.Call(func=ast.Attribute(attr="warn")) if "WhyformerNote" not in ast.unparse(node):
                yield id(node)
            case ast.Raise(exc=ast.Call(func=ast.Name(id=name))) if name in BUGS:
                yield id(node)
            case _:
                pass


def _variants(node: ast.expr) -> list[tuple[Part, ...]] | None:
    """The texts that a string expression can make, as literals and holes; None where it is none."""
    match node:
        case ast.Constant(value=str(text)):
            return [(text,)]
        case ast.JoinedStr(values=values):
            return [_joined(parts) for parts in product(*map(_part, values))]
        case ast.IfExp(body=first, orelse=second):
            left, right = _variants(first), _variants(second)
            return None if left is None or right is None else [*left, *right]
        case ast.BinOp(left=first, op=ast.Add(), right=second):
            left, right = _variants(first), _variants(second)
            if left is None and right is None:
                return None
            sides = [left or [(first,)], right or [(second,)]]
            return [_joined(parts) for parts in product(*sides)]
        case _:
            return None


def _part(value: ast.expr) -> list[tuple[Part, ...]]:
    """What one part of an f-string can be: one of several texts, or a hole."""
    if isinstance(value, ast.FormattedValue):
        choice = value.value
        if isinstance(choice, ast.IfExp) and value.format_spec is None and value.conversion == -1:
            return _variants(choice) or [(choice,)]
        return [(choice,)]
    return _variants(value) or [(value,)]


def _joined(parts: Iterable[tuple[Part, ...]]) -> tuple[Part, ...]:
    return tuple(piece for part in parts for piece in part)


def _by_lines(parts: Iterable[Part]) -> Iterator[list[Part]]:
    """The lines of a text, each of which is translated by itself."""
    line = list[Part]()
    for part in parts:
        if isinstance(part, str) and "\n" in part:
            first, *others = part.split("\n")
            for other in others:
                yield [*line, first]
                line, first = [], other
            line.append(first)
        else:
            line.append(part)
    yield line


def _literal(parts: Iterable[Part]) -> str:
    return "".join(part if isinstance(part, str) else "{}" for part in parts)


def _template(parts: Iterable[Part]) -> tuple[str, tuple[str, ...]]:
    """The template of a text, white space around it taken off, and the expressions in its holes."""
    text, expressions = "", list[str]()
    for part in parts:
        if isinstance(part, str):
            text += escaped(part)
        else:
            text += f"{{{len(expressions)}}}"
            expressions.append(ast.unparse(part))
    return text.strip(), tuple(expressions)


def escaped(text: str) -> str:
    """``text`` as a template without holes."""
    return text.replace("{", "{{").replace("}", "}}")


def of_verbs() -> Iterator[Text]:
    """What ``--help`` shows: paragraphs, the line in the list of verbs, arguments and options."""
    from whyformer.cli.main import app
    from whyformer.cli.verb import language_option

    def below(name: str, command: Any) -> Iterator[Text]:
        help_text = str(command.help).partition("\f")[0]
        for paragraph in [*help_text.split("\n\n"), command.get_short_help_str(200)]:
            yield Text(escaped(" ".join(paragraph.split())), name)
        for parameter in [*command.params, language_option()]:
            yield Text(escaped(str(parameter.help)), f"{name} {parameter.name}")
        if isinstance(command, TyperGroup):
            for verb, inner in sorted(command.commands.items()):
                yield from below(f"{name} {verb}", inner)

    yield from below("whyformer", get_command(app))


def of_specs() -> Iterator[Text]:
    """The meaning of every key of recipes, and of every part that can be chosen."""
    from whyformer.analysis.catalogue import catalogue
    from whyformer.config.schema import describe
    from whyformer.runs.registry import TASKS

    for task in TASKS.values():
        for key in describe(task.recipe_type):
            if key.meaning:
                yield Text(escaped(key.meaning), key.path)
    for part in catalogue().parts:
        yield Text(escaped(part.meaning), f"{part.room} {part.name}")


# Words of typer, of pydantic behind it, and of the operating system.
FOREIGN = (
    "Usage",
    "Arguments",
    "Options",
    "Commands",
    "[OPTIONS]",
    "COMMAND",
    "[ARGS]...",
    "required",
    "default: {0}",
    "Show this message and exit.",
    "Missing command.",
    "No such command {0}.",
    "No such command {0}. Did you mean {1}?",
    "No such option: {0}",
    "No such option: {0} (Possible options: {1})",
    "Missing argument {0}.",
    "Missing option {0}.",
    "Got unexpected extra argument(s) ({0})",
    "Option {0} requires an argument.",
    "Option {0} does not take a value.",
    "Invalid value for {0}: {1}",
    "{0} is not one of {1}.",
    "Input should be a valid integer, unable to parse string as an integer",
    "Input should be a valid number, unable to parse string as a number",
    "Input should be greater than or equal to {0}",
    "Input should be less than or equal to {0}",
    # Of a config.json.
    "Input should be greater than {0}, not {1}",
    "Input should be less than {0}, not {1}",
    "Input should be greater than or equal to {0}, not {1}",
    "Input should be a finite number, not {0}",
    "Input should be a valid integer, not {0}",
    "Input should be a valid number, not {0}",
    "Input should be a valid boolean, not {0}",
    "Input should be a valid list, not {0}",
    "No such file or directory",
    "Permission denied",
    "Is a directory",
    "Not a directory",
    "File exists",
    "File name too long",
    "No space left on device",
    "Read-only file system",
    "Bad file descriptor",
    "Input/output error",
    "Too many open files",
    "Disk quota exceeded",
)


# Words that stand alone in the source, as names of rows and columns, of work, or in the holes of messages.
WORDS = (
    *("system", "python", "packages", "processor", "features", "memory", "disk", "torch", "products"),
    *("auto", "translate", "engine", "problem", "advice", "none", "unknown"),
    *("spec", "size", "fingerprint", "longest", "sample", "text", "pieces", "ids", "source", "target"),
    *("parameters", "flops_per_token", "tokens_per_second", "steps", "failed"),
    *("empty", "over-long", "repeated", "held out", "missing", "translates", "refused", "warning"),
    *("sentences", "texts", "lines", "batches", "runs", "seeds", "words", "pairs", "examples", "documents"),
    *("translating", "embedding", "classifying", "training", "measuring", "reading", "tokenizing"),
    *("counting characters", "right", "wrong", "loss", "train", "average", "step", "sentence"),
    *("task", "tokenizer", "model", "encoder", "decoder", "decoding", "trained", "translation"),
    *("valid", "label", "sources", "targets", "number", "beam", "greedy", "sampling"),
    *("latin", "han", "kana", "hangul", "cyrillic", "greek", "arabic", "hebrew", "devanagari", "thai", "lao"),
    *("khmer", "burmese", "tibetan", "other"),
    # Short messages that are put together of numbers and a word.
    *("{0} layer", "{0} layers", "{0} layers of {1}", "{0} thread", "{0} threads", "{0} steps"),
    *("{0} sentences/s, {1} tokens/s", "{0} tokens/s", "no attention", "{0} attention", "greedy search"),
    *("beam search", "sampling search", "reference    {0}", "source       {0}", "translation  {0}"),
    *("{0} tokens/s, {1}", "chance"),
)


def of_words() -> Iterator[Text]:
    """Words that are translated by themselves."""
    yield from (Text(word, "a word") for word in WORDS)


def of_recipes() -> Iterator[Text]:
    """What the list of recipes says of each."""
    from whyformer.config.recipe_files import shipped

    for name, description in shipped().items():
        yield Text(escaped(description), f"recipes/{name}.yaml")


def of_typer() -> Iterator[Text]:
    """The words that others put between ours."""
    yield from (Text(template, "typer, pydantic, system") for template in FOREIGN)


def read(language: str) -> dict[str, str]:
    """The catalogue of ``language``."""
    return json.loads((CATALOGUES / f"{language}.json").read_text(encoding="utf-8"))


def main(language: str) -> None:
    """Print what is missing as stubs, and what is stale."""
    known, texts = read(language), said()
    order = {text.template: number for number, text in enumerate(texts)}
    missing = [text for text in texts if text.template not in known]
    for text in missing:
        print(f"# {text.place}  {'  '.join(f'{{{n}}}={each}' for n, each in enumerate(text.holes))}")
        print(f"{json.dumps(text.template, ensure_ascii=False)}: ")
    stale = known.keys() - order.keys()
    print(f"# {len(missing)} of {len(texts)} missing, {len(stale)} stale", *sorted(stale), sep="\n#   ")


if __name__ == "__main__":
    main(sys.argv[1])
