"""Every module can be imported where Python lacks what only POSIX systems have."""

import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src"

HIDDEN = ("fcntl", "resource", "termios", "tty", "pty", "pwd", "grp")
"""Modules of the standard library that Windows does not have."""

IMPORTING = """\
import importlib, sys

sys.modules |= dict.fromkeys({hidden})
for name in {names}:
    importlib.import_module(name)
"""


def test_every_module_is_imported_without_what_windows_lacks():
    files = [path.relative_to(SOURCE).with_suffix("") for path in SOURCE.rglob("*.py")]
    names = [".".join(file.parts).removesuffix(".__init__") for file in sorted(files)]
    assert {"whyformer", "whyformer.experiments.trial"} <= {*names}
    command = [sys.executable, "-c", IMPORTING.format(hidden=HIDDEN, names=names)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
