"""A public name means one thing in the whole package, and a docstring begins with a noun or a verb."""

import ast
import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "whyformer"

# Names that several files define on purpose: the files, and why a reader is not misled.
ALLOWED: dict[str, tuple[tuple[str, ...], str]] = {
    "main": (("cli/main.py", "experiments/trial.py"), "the entry of a program, always called so"),
    "app": (("cli/*.py",), "a Typer program, and the verbs below one of its verbs"),
    "train": (("cli/train.py", "cli/tokenizer.py"), "two verbs: `train` and `tokenizer train`"),
    "build": (("cli/data.py", "engines/native/build.py"), "the verb `data build`, and a compiler's work"),
    "import_model": (("cli/import_model.py", "huggingface/transfer.py"), "a verb and what it calls"),
    "check": (("cli/check.py", "config/validation.py"), "a verb, and the validation of a spec"),
    "examine": (("machine.py", "data/checks/files.py"), "each looks at what its room is about"),
    "presets": (("models/*.py",), "the named sizes of each model, asked for as `gpt.presets()`"),
    "tiny": (("models/*.py",), "the size of that name of each model, asked for as `gpt.tiny()`"),
    "SpecT": (("config/*.py", "huggingface/*.py"), "any spec, as narrow as the file needs"),
    "StateT": (("decoding/protocol.py", "models/encoder_decoder.py"), "any state of a decoder"),
    "Topic": (("why/question.py", "data/corpora/cldr/phrase.py"), "what questions, and phrases, are about"),
    "Group": (("why/question.py", "data/batches/steps.py"), "questions, or batches, that belong together"),
    "MARK": (("plots/inspection/picture.py", "why/book/prose.py"), "a sign on paper, and one in a text"),
}
# Constants of these files are labels: of one question, and its claims (only QUESTION is used elsewhere), or
# of the arms that several compare, which have the names of what they are.
LABELS = ("why/questions/q*.py", "why/arms.py")

NO_FIRST_WORD = re.compile(r"(what|that|those)\b", re.IGNORECASE)


def homonyms(sources: Mapping[str, str]) -> dict[str, set[str]]:
    """Public top-level names that are defined in more than one of ``sources``, and not by the same words."""
    meanings: dict[str, dict[str, str]] = {}
    for file, source in sources.items():
        for statement in ast.parse(source).body:
            for name, meaning in _defined(statement):
                if not name.startswith("_") and not (
                    name.isupper() and any(fnmatch(file, labels) for labels in LABELS)
                ):
                    meanings.setdefault(name, {})[file] = meaning
    return {name: {*by_file} for name, by_file in meanings.items() if len({*by_file.values()}) > 1}


def _defined(statement: ast.stmt) -> Iterator[tuple[str, str]]:
    """The names that a statement defines, each with its definition."""
    match statement:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name, ast.unparse(statement)
        case ast.Assign(targets=targets, value=value):
            nodes = [node for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)]
            yield from ((node.id, ast.unparse(value)) for node in nodes if isinstance(node.ctx, ast.Store))
        case ast.AnnAssign(target=ast.Name(id=name), value=value):
            yield name, ast.unparse(value) if value else ""
        case _:
            pass


def misused(found: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Of ``homonyms``, those that are not allowed, or not in all of the files."""
    patterns = {name: files for name, (files, _) in ALLOWED.items()}
    outside = {
        name: {file for file in files if not any(fnmatch(file, each) for each in patterns.get(name, ()))}
        for name, files in found.items()
    }
    return {name: files for name, files in outside.items() if files}


def misbegun(source: str, *, fields: bool) -> list[str]:
    """Docstrings, or strings under ``fields``, whose first word is neither noun nor verb."""
    strings = [
        statement
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        for index, statement in enumerate(node.body)
        if (index > 0) == fields
        and isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    ]
    return [
        f"line {each.lineno}: {text.strip().splitlines()[0]}"
        for each in strings
        if isinstance(each.value, ast.Constant)
        and isinstance(text := each.value.value, str)
        and NO_FIRST_WORD.match(text.strip())
    ]


SOURCES = {
    path.relative_to(SOURCE).as_posix(): path.read_text(encoding="utf-8") for path in SOURCE.rglob("*.py")
}


def test_no_public_name_has_two_meanings():
    assert misused(homonyms(SOURCES)) == {}


def test_what_is_allowed_is_there():
    found = homonyms(SOURCES)
    assert [name for name in ALLOWED if name not in found] == []


@pytest.mark.parametrize("fields", [False, True])
def test_docstrings_begin_with_a_noun_or_a_verb(fields: bool):
    found = {file: lines for file, source in SOURCES.items() if (lines := misbegun(source, fields=fields))}
    assert found == {}


@pytest.mark.parametrize(
    "second",
    [
        "class Site: ...",
        "def Site(): ...",
        "async def Site(): ...",
        "Site = 2",
        "Site: int = 2",
        "Other, Site = 1, 2",
    ],
)
def test_the_check_catches_a_second_meaning(second: str):
    found = homonyms({"nn/a.py": "Site = 1", "why/b.py": second})
    assert found == {"Site": {"nn/a.py", "why/b.py"}}
    assert misused(found) == found


def test_only_constants_of_a_question_are_its_own():
    sources = {"why/questions/q01.py": "ARM = 1\ndef arm(): ...", "nn/a.py": "ARM = 2\ndef arm(): pass"}
    assert homonyms(sources) == {"arm": {"why/questions/q01.py", "nn/a.py"}}


def test_an_allowed_name_is_allowed_in_its_files_only():
    files = ("models/gpt.py", "models/bert.py", "nn/stack.py")
    sources = {file: f"def tiny(): return {number}" for number, file in enumerate(files)}
    assert misused(homonyms(sources)) == {"tiny": {"nn/stack.py"}}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("VALID = 'valid'", "VALID = 'valid'"),  # one meaning, said twice
        ("_Site = 1", "_Site = 2"),
        ("Site = 1", "from nn.a import Site"),
        ("Site = 1", "def f():\n    Site = 2"),
        ("Site = 1\nSite = 2", "Other = 3"),
    ],
)
def test_the_check_leaves_one_meaning_alone(first: str, second: str):
    assert homonyms({"nn/a.py": first, "why/b.py": second}) == {}


@pytest.mark.parametrize(
    ("source", "fields"),
    [
        ('"""What it is."""', False),
        ('def f():\n    """Those that are left."""', False),
        ('async def f():\n    """\n    that of a norm.\n    """', False),
        ('class A:\n    class B:\n        """What."""', False),
        ('class A:\n    """Size."""\n    x: int\n    """What it counts."""', True),
        ('X = 1\n"""What it counts."""', True),
    ],
)
def test_the_check_catches_a_first_word(source: str, fields: bool):
    assert len(misbegun(source, fields=fields)) == 1
    assert misbegun(source, fields=not fields) == []


@pytest.mark.parametrize(
    "source",
    ['"""Whatever is asked, thatched."""', 'x = """What?"""', 'def f():\n    """The sum, that of all."""'],
)
def test_the_check_leaves_sound_docstrings_alone(source: str):
    assert misbegun(source, fields=False) == misbegun(source, fields=True) == []
