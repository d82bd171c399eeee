"""Form of a table, judged by its first lines: what parts its columns, whether it has a header, and quotes."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from whyformer.data.corpora.detection.scripts import script_of

SAMPLE = 1000
"""Lines that are looked at; a judgement needs no more."""

_DELIMITERS = ("\t", ",", ";", "|")
_FEW = 20
"""Rows below which only names that are known make a header."""

_NAMES_AS_TEXT = """
    id ids index no nr number key guid uid split set domain score year date user user_id author url
    source src target tgt trg reference ref translation translated original input output text texts text1
    text2 text_a text_b sentence sentences sentence1 sentence2 sentence_a sentence_b segment phrase
    document documents title body content review comment tweet question answer premise hypothesis label
    labels class category tag tags sentiment polarity stars rating lang language
    en eng english de deu ger german fr fra fre french es spa spanish it ita italian pt por portuguese nl
    dutch sv swedish da danish no norwegian fi finnish pl polish cs cz czech ru rus russian uk ukrainian
    tr turkish ar arabic he hebrew fa persian hi hindi ja jpn jp japanese ko kor kr korean zh cmn zho cn
    chinese zh_hans zh_hant vi vietnamese th thai el greek hu hungarian ro romanian
    deutsch englisch quelle ziel satz übersetzung französisch anglais français allemand traduction phrase
    中文 英文 英语 汉语 原文 译文 源语言 目标语言 标签 文本 句子 类别 德语 法语 日语
"""
_NAMES = frozenset(_NAMES_AS_TEXT.split())


@dataclass(frozen=True)
class QuoteMarks:
    """Fields in double quotes, counted."""

    fields: int
    """Fields that are not empty."""
    quoted: int
    """Fields that begin and end with a double quote and double it inside, as spreadsheets write them."""
    doubled: int
    """Quoted fields that have a doubled quote, a delimiter or a line end inside."""
    open: int
    """Fields that begin with a double quote and do not end in one."""

    @property
    def are_syntax(self) -> bool:
        """Whether the quotes are of the table and not of the text."""
        if self.doubled and self.doubled >= self.open / 4:
            return True
        return self.quoted > max(2, self.fields / 4) and self.open <= self.quoted / 10


def quote_marks(lines: Sequence[str], delimiter: str = "\t") -> QuoteMarks:
    r"""Count the fields of ``lines`` that stand in double quotes.

    >>> quote_marks(['"He said ""no""."\tEr sagte nein.', "Yes.\tJa."]).are_syntax
    True
    >>> quote_marks(['"No," he said.\t"Nein", sagte er.', '"Yes!"\t"Ja!"']).are_syntax
    False
    """
    fields = quoted = doubled = left_open = 0
    goes_on = False
    for line in lines:
        cells = _outer_fields(line, delimiter)
        if goes_on and '"' not in cells[0][:-1] and cells[0].endswith('"'):
            # The end of a field with a line end inside.
            quoted, doubled, left_open = quoted + 1, doubled + 1, left_open - 1
        goes_on = cells[-1].startswith('"') and not cells[-1].endswith('"')
        for cell in cells:
            fields += bool(cell)
            if not cell.startswith('"'):
                continue
            inside = cell[1:-1]
            if len(cell) > 1 and cell.endswith('"') and '"' not in inside.replace('""', ""):
                quoted += 1
                doubled += '""' in inside or delimiter in inside
            else:
                left_open += 1
    return QuoteMarks(fields, quoted, doubled, left_open)


def _outer_fields(line: str, delimiter: str) -> list[str]:
    """The fields of a line, quotes and all; a delimiter inside of well-formed quotes parts none."""
    mark = re.escape(delimiter)
    found = re.findall(rf'(?:^|{mark})((?:"(?:[^"]|"")*"(?={mark}|$))|[^{mark}]*)', line)
    return [str(field) for field in found]


def split_row(line: str, delimiter: str, *, quotes: bool) -> list[str]:
    """The cells of one line; with ``quotes`` those of well-formed quoted fields lose them."""
    if not quotes:
        return line.split(delimiter)
    return [
        cell[1:-1].replace('""', '"')
        if len(cell) > 1 and cell.startswith('"') and cell.endswith('"')
        else cell
        for cell in _outer_fields(line, delimiter)
    ]


def find_delimiter(lines: Sequence[str]) -> str | None:
    r"""The character that parts the columns of ``lines``, or None where nothing does so evenly.

    A tab wins wherever most lines have one, since text has none. The others stand in text, too: they must
    cut nearly all lines into the same number of columns, two or more.

    >>> (
    ...     find_delimiter(["a\tb", "c\td, e"]),
    ...     find_delimiter(["a,b", 'c,"d, e"']),
    ...     find_delimiter(["a", "b, c"]),
    ... )
    ('\t', ',', None)
    """
    filled = [line for line in lines[:SAMPLE] if line.strip()]
    if not filled:
        return None
    if sum("\t" in line for line in filled) > len(filled) / 2:
        return "\t"
    for delimiter in _DELIMITERS[1:]:
        rows = [_outer_fields(line, delimiter) for line in filled]
        # A comma of a sentence in quotes, whose columns are parted by another character, tears these.
        if sum(any(map(_is_torn, row)) for row in rows) > len(rows) / 2:
            continue
        widths = [len(row) for row in rows]
        usual = max(set(widths), key=widths.count)
        if usual > 1 and widths.count(usual) >= 0.95 * len(widths):
            return delimiter
    return None


def _is_torn(field: str) -> bool:
    """Whether a field has a quote at one of its ends and none at the other."""
    return field.startswith('"') != field.endswith('"')


def has_commas_for_tabs(lines: Sequence[str]) -> bool:
    """Whether lines that should have tabs have none, but commas or semicolons nearly everywhere."""
    filled = [line for line in lines if line.strip()]
    if not filled or any("\t" in line for line in filled):
        return False
    return sum("," in line or ";" in line for line in filled) >= 0.9 * len(filled)


def has_header(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first of ``rows`` (cells of each line) names the columns, so far as the others tell.

    It does where all its cells are like names and the other rows are not: known names such as ``en`` or
    ``label``; single words above sentences; Latin words above columns in another script; words above numbers.

    >>> has_header([["en", "zh"], ["Hi there.", "你好。"]])
    True
    >>> has_header([["Hello", "Hallo"], ["Good morning", "Guten Morgen"]])
    False
    """
    if len(rows) < 2 or not all(cell.strip() for cell in rows[0]):
        return False
    first, rest = rows[0], [row for row in rows[1:SAMPLE] if len(row) == len(rows[0])]
    if not rest or not all(map(_is_like_name, first)):
        return False
    known = [_plain(cell) in _NAMES for cell in first]
    if all(known) or (any(known) and len(first) > 2 and len(rest) >= _FEW):
        return True
    if len(rest) < _FEW:
        return False
    columns = list(zip(*rest, strict=True))
    if any(map(_is_unlike_column, first, columns)):
        return True
    alike = sum(all(map(_is_like_name, row)) for row in rest)
    return alike < 0.02 * len(rest)


def _plain(cell: str) -> str:
    return cell.strip().strip('"#').strip().casefold().replace(" ", "_").replace("-", "_")


def _is_like_name(cell: str) -> bool:
    """Whether a cell is one or two words without any of the points that end sentences."""
    cell = cell.strip().strip('"')
    return 0 < len(cell) <= 30 and len(cell.split()) <= 2 and not re.search(r"[.!?,;。！？，…]", cell)


def _is_unlike_column(name: str, column: Sequence[str]) -> bool:
    """Whether nearly all of a column are numbers, or in a script that ``name`` is not in."""
    numbers = sum(_is_number(cell) for cell in column)
    if numbers > 0.95 * len(column):
        return not _is_number(name)
    script = script_of(name)
    if script is None:
        return False
    scripts = [script_of(cell) for cell in column]
    other = sum(each is not None and each != script for each in scripts)
    return other > 0.95 * len(column)


def _is_number(cell: str) -> bool:
    return re.fullmatch(r"[+-]?\d+([.,]\d+)*", cell.strip()) is not None
