"""A new position scheme is a class, a member of a union and a row of the table; the rest is proven for it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[2]

FILE = '''\
"""A scheme that nobody needs."""

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from typing_extensions import override

from whyformer.position.layout import Layout
from whyformer.position.scheme import PositionScheme, SchemeSpec
from whyformer.position.attention_shape import AttentionShape


class ParitySpec(SchemeSpec):
    """A learned number a head for keys an odd number of positions away."""

    origin: ClassVar[str] = "a test"
    kind: Literal["parity"] = "parity"

    def build(self, shape: AttentionShape) -> PositionScheme:
        """The scheme for the heads of ``shape``."""
        return Parity(shape.heads)


class Parity(PositionScheme):
    """A table (H,)."""

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(heads))

    @override
    def logits(self, query: Tensor, key: Tensor, queries: Layout, keys: Layout) -> Tensor:
        odd = (keys.position[:, None, None, :] - queries.position[:, None, :, None]) % 2
        return odd * self.table[:, None, None]
'''
IMPORT = "from whyformer.position.parity import ParitySpec\n"
MEMBER = "    | ParitySpec\n"
ROW = """\
    "parity": (
        Scheme(ParitySpec(), logit=lambda pair: pair.offset % 2 * pair.module.get_parameter("table")),
    ),
"""


def inserted(path: Path, before: str, text: str) -> None:
    """Put ``text`` before the one line that begins with ``before``."""
    old = path.read_text(encoding="utf-8")
    assert old.count(before) == 1
    path.write_text(old.replace(before, text + before), encoding="utf-8")


def run(copy: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    """What ``command`` says, run on the ``copy`` of the project."""
    path = {"PYTHONPATH": str(copy / "src")}
    done = subprocess.run(command, cwd=copy, env={**os.environ, **path}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def test_a_new_scheme_touches_one_file_one_union_and_one_row(tmp_path: Path):
    for part in ("src", "tests/conformance", "pyproject.toml"):
        copy = shutil.copytree if (PROJECT / part).is_dir() else shutil.copy
        _ = copy(PROJECT / part, tmp_path / part)
    room, table = tmp_path / "src/whyformer/position", tmp_path / "tests/conformance/rows.py"
    (room / "parity.py").write_text(FILE, encoding="utf-8")
    union = room / "positions.py"
    inserted(union, "from whyformer.position.rotary", IMPORT)
    inserted(union, "    | TransformerXLSpec", MEMBER)
    inserted(table, '    "sinusoidal_and_shaw"', ROW)
    inserted(table, "from whyformer.position.rotary", IMPORT)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-m",
        "not slow",
        "-k",
        "parity",
    ]
    done = run(tmp_path, *command, "tests/conformance/test_product.py")
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) > 50
    program = [sys.executable, "-c", "from whyformer.cli.main import main; main()"]
    listed = run(tmp_path, *program, "parts").stdout
    assert re.search(r"^  parity +A learned number a head for keys", listed, re.MULTILINE)
