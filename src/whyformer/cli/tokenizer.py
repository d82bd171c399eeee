"""``whyformer tokenizer``: train one, use one, look into one."""

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from whyformer.cli.console import say, tell
from whyformer.cli.verb import Verb
from whyformer.language import display_width, padded, translated

if TYPE_CHECKING:
    from whyformer.data.tokenizers.kinds import TokenizerSpec
    from whyformer.data.tokenizers.tokenizer import Tokenizer

app = typer.Typer(
    help="Train a tokenizer, use it, look into it.", no_args_is_help=True, rich_markup_mode=None
)

TokenizerKind = Literal["bpe", "unigram", "wordpiece", "word", "character"]
FilesArgument = Annotated[list[Path], typer.Argument(help="Text, one sentence a line; .gz may be packed.")]
Criterion = Annotated[
    Literal["likelihood", "frequency"] | None, typer.Option(help="What WordPiece merges by.")
]
TokenizerFile = Annotated[
    Path, typer.Option("--tokenizer", "-t", help="The tokenizer's file, or the folder of a run.")
]
SideOption = Annotated[
    Literal["source", "target"] | None, typer.Option(help="Which one of a run that has two tokenizers.")
]
_SHOWN = 12


@app.command(cls=Verb)
def train(
    files: FilesArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")] = Path(
        "tokenizer.json"
    ),
    kind: Annotated[TokenizerKind, typer.Option(help="How text is cut.")] = "bpe",
    vocabulary: Annotated[int | None, typer.Option(help="Maximum number of pieces.")] = None,
    split: Annotated[
        Literal["words", "spaces"] | None, typer.Option(help="words: raw text; spaces: tokenised text.")
    ] = None,
    coverage: Annotated[float | None, typer.Option(help="Share of characters that are pieces.")] = None,
    lowercase: Annotated[bool, typer.Option("--lowercase", help="Turn text into lower case.")] = False,
    nfc: Annotated[bool, typer.Option("--nfc", help="Older name of --unicode nfc.")] = False,
    unicode: Annotated[
        Literal["nfc", "nfkc", "none"] | None,
        typer.Option(help="Compose characters (nfc, the default), also make plain ones of variants (nfkc)."),
    ] = None,
    spaces: Annotated[
        Literal["fold", "plain", "keep"] | None,
        typer.Option(help="White space: one plain space of each run, plain ones one by one, or as it is."),
    ] = None,
    invisible: Annotated[
        Literal["drop", "keep"] | None, typer.Option(help="Invisible format characters.")
    ] = None,
    byte_fallback: Annotated[
        bool | None, typer.Option(help="Spell unknown characters as bytes, or call them unknown.")
    ] = None,
    special: Annotated[list[str] | None, typer.Option(help="An extra special token, e.g. [MASK].")] = None,
    criterion: Criterion = None,
) -> None:
    """Train a tokenizer on text files."""
    form = {"unicode": unicode, "spaces": spaces, "invisible": invisible}
    spec = _spec(
        kind,
        {
            "vocabulary": vocabulary,
            "split": split,
            "coverage": coverage,
            "lowercase": lowercase,
            "text": {name: value for name, value in form.items() if value is not None},
            "nfc": nfc,
            "byte_fallback": byte_fallback,
            "specials": special or [],
            "criterion": criterion,
        },
    )
    tokenizer = spec.train(_lines(files))
    tokenizer.save(output)
    say(f"{output}: {tokenizer.size:,} pieces, fingerprint {tokenizer.fingerprint}")


@app.command(cls=Verb)
def merges(
    files: FilesArgument,
    kind: Annotated[Literal["bpe", "wordpiece"], typer.Option(help="How text is cut.")] = "bpe",
    steps: Annotated[int, typer.Option(min=1, help="Maximum number of merges to show.")] = 20,
    criterion: Criterion = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Show step by step what BPE or WordPiece learn from text files."""
    from whyformer.config.validation import check
    from whyformer.data.tokenizers.kinds import BPE, WordPiece

    given = {} if criterion is None else {"criterion": criterion}
    spec = check(BPE if kind == "bpe" else WordPiece, given, f"the options of a {kind} tokenizer")
    learned = list(islice(spec.merges(_lines(files)), steps))
    if as_json:
        typer.echo(json.dumps([asdict(merge) for merge in learned], ensure_ascii=False, indent=2))
        return
    names = (translated("step"), 5), (translated("count"), 9), (translated("score"), 13)
    head = " ".join(" " * (width - display_width(name)) + name for name, width in names)
    named = translated("merge")
    typer.echo(f"{head}  {named}")
    for merge in learned:
        # In quotes, because most pieces begin with a space; last, because Chinese is wider than it is long.
        left, right, merged = map(_quoted, (merge.left, merge.right, merge.merged))
        typer.echo(f"{merge.step:>5} {merge.count:>9,} {merge.score:>13,.1f}  {left} + {right} = {merged}")


@app.command(cls=Verb)
def encode(
    tokenizer: TokenizerFile,
    text: Annotated[list[str] | None, typer.Argument(help="Sentences; else lines of standard input.")] = None,
    ids: Annotated[bool, typer.Option("--ids/--pieces", help="Print ids, or the pieces as text.")] = True,
    side: SideOption = None,
) -> None:
    """Cut each sentence; print one line for each."""
    loaded = _load_one(tokenizer, side)
    for sentence in text or _standard_input():
        loaded.note_unseen([sentence])
        numbers = loaded.encode(sentence)
        typer.echo(" ".join(map(str, numbers) if ids else loaded.tokens(numbers)))


@app.command(cls=Verb)
def decode(
    tokenizer: TokenizerFile,
    ids: Annotated[list[int] | None, typer.Argument(help="Ids; else lines of ids on standard input.")] = None,
    side: SideOption = None,
) -> None:
    """Put ids together again; print one line for each list of ids."""
    loaded = _load_one(tokenizer, side)
    for numbers in [ids] if ids else map(_ids, _standard_input()):
        typer.echo(loaded.decode(numbers))


@app.command(cls=Verb)
def show(
    tokenizer: TokenizerFile,
    text: Annotated[str | None, typer.Argument(help="A sentence to cut.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
    side: SideOption = None,
) -> None:
    """Say what a tokenizer is made of, and how it cuts a sentence.

    Of a run with a tokenizer for each side both are shown, unless --side picks one.
    """
    reports = {name: _report(each, text) for name, each in _load(tokenizer, side).items()}
    if as_json:
        shown = next(iter(reports.values())) if len(reports) == 1 else reports
        typer.echo(json.dumps(shown, ensure_ascii=False, indent=2))
        return
    for name, report in reports.items():
        if len(reports) > 1:
            say(name)
        _print_report(report)


def _print_report(report: dict[str, object]) -> None:
    for name, value in report.items():
        match value:
            case dict():
                shown = ", ".join(f"{key} {json.dumps(setting)}" for key, setting in value.items())
            case list():
                shown = " ".join(map(str, value))
            case _:
                shown = str(value)
        typer.echo(f"{padded(translated(name), 12)} {shown}")


def _quoted(piece: str) -> str:
    return json.dumps(piece, ensure_ascii=False)


def _lines(files: list[Path]) -> list[str]:
    """Read all files; say which lines are not used."""
    from whyformer.data.corpora.lines import read_sound_lines

    lines: list[str] = []
    for file in files:
        sound, bad = read_sound_lines(file)
        lines += sound
        if bad:
            tell(f"{file}: {len(bad):,} lines left out, {bad[0].reason}; the first is {bad[0]}")
    return lines


def _spec(kind: TokenizerKind, options: dict[str, object]) -> "TokenizerSpec":
    from whyformer.config.validation import check
    from whyformer.data.tokenizers.kinds import BPE, Character, Unigram, Word, WordPiece

    given = {name: value for name, value in options.items() if value is not None}
    origin = f"the options of a {kind} tokenizer"
    match kind:
        case "bpe":
            return check(BPE, given, origin)
        case "unigram":
            return check(Unigram, given, origin)
        case "wordpiece":
            return check(WordPiece, given, origin)
        case "word":
            return check(Word, given, origin)
        case "character":
            return check(Character, given, origin)


def _load(path: Path, side: Literal["source", "target"] | None) -> "dict[str, Tokenizer]":
    """The tokenizer in a file, or those of the run in a folder: one, or by their sides."""
    from whyformer.data.tokenizers.pair import TokenizerPair
    from whyformer.data.tokenizers.tokenizer import Tokenizer
    from whyformer.errors import TokenizerError

    if not path.is_dir():
        if side is not None:
            raise TokenizerError("--side is for the folder of a run; a file holds one tokenizer.")
        return {"": Tokenizer.load(path)}
    pair = TokenizerPair.load(path)
    if pair.joint:
        return {"": pair.source}
    both = {"source": pair.source, "target": pair.target}
    return both if side is None else {side: both[side]}


def _load_one(path: Path, side: Literal["source", "target"] | None) -> "Tokenizer":
    from whyformer.errors import TokenizerError

    loaded = _load(path, side)
    if len(loaded) > 1:
        raise TokenizerError(f"{path}: this run has a tokenizer for each side; add --side source or target.")
    return next(iter(loaded.values()))


def _standard_input() -> Iterator[str]:
    from whyformer.data.corpora.lines import read_stream

    return read_stream(sys.stdin.buffer, "standard input")


def _ids(line: str) -> list[int]:
    from whyformer.errors import DataError

    try:
        return [int(word) for word in line.split()]
    except ValueError:
        raise DataError(f"standard input: {line!r} is not a list of ids such as 17 4 256.") from None


def _report(tokenizer: "Tokenizer", text: str | None) -> dict[str, object]:
    learned = tokenizer.learned_ids
    longest = sorted(learned, key=lambda id: (-len(tokenizer.pieces[id]), id))[:_SHOWN]
    report: dict[str, object] = {
        "spec": {"kind": tokenizer.spec["kind"], **tokenizer.spec},  # the kind first
        "size": tokenizer.size,
        "fingerprint": tokenizer.fingerprint,
        "longest": tokenizer.tokens(longest),
        "sample": tokenizer.tokens(learned[:: max(1, len(learned) // _SHOWN)][:_SHOWN]),
    }
    if text is not None:
        tokenizer.note_unseen([text])
        ids = tokenizer.encode(text)
        report |= {"text": text, "pieces": tokenizer.tokens(ids), "ids": ids}
    return report
