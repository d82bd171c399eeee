"""What is installed from a wheel, or from a source distribution, works away from the checkout.

It needs the network, as every installation does.
"""

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
CONSTRAINTS = ROOT / "constraints.txt"
PIP = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile", "-c", CONSTRAINTS)
SCRIPTS = "Scripts" if os.name == "nt" else "bin"
# What would let an installed package find the checkout, or the data beside it.
LEADS = ("PYTHONPATH", "PYTHONHOME", "PYTHONPYCACHEPREFIX", "VIRTUAL_ENV", "WHYFORMER_SHARED")
COMPILED = "engines/native/decode.so"
BROWSER = "engines/webassembly/engine.wasm"


def call(*command: object, folder: Path) -> str:
    """What a command prints that ends well, away from the checkout."""
    environment = {name: value for name, value in os.environ.items() if name not in LEADS}
    done = subprocess.run(
        [*map(str, command)], cwd=folder, env=environment, capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def refused(*command: object, folder: Path) -> str:
    """What a command complains of that ends with code 2."""
    environment = {name: value for name, value in os.environ.items() if name not in LEADS}
    done = subprocess.run(
        [*map(str, command)], cwd=folder, env=environment, capture_output=True, encoding="utf-8", check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    return done.stderr


def fresh(folder: Path) -> Path:
    """The Python of a new environment."""
    call(sys.executable, "-m", "venv", folder, folder=folder.parent)
    return folder / SCRIPTS / "python"


def of_the_package(names: Iterable[str]) -> set[str]:
    """Files of whyformer, as seen from its folder, but for those that Python or a compiler made."""
    paths = [PurePosixPath(name) for name in names]
    kept = [
        path for path in paths if path.suffix not in {".pyc", ".so", ".wasm"} and "whyformer" in path.parts
    ]
    return {"/".join(path.parts[path.parts.index("whyformer") + 1 :]) for path in kept}


def files_in(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A folder that is gone afterwards: two environments with torch take gigabytes."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def made(place: Path) -> dict[str, Path]:
    """A wheel and a source distribution of the checkout."""
    python, dist = fresh(place / "builder"), place / "dist"
    call(python, *PIP, "hatchling", "ziglang", folder=place)
    call(python, "-m", "hatchling", "build", "-t", "sdist", "-t", "wheel", "-d", dist, folder=ROOT)
    return {"wheel": next(dist.glob("*.whl")), "sdist": next(dist.glob("*.tar.gz"))}


def test_both_carry_every_file_of_the_package(made: dict[str, Path]):
    expected = of_the_package(files_in(ROOT / "src"))
    assert {
        "py.typed",
        "recipes/demo.yaml",
        "why/prose/q03.zh.md",
        "engines/native/source/decode.cpp",
    } <= expected
    # A wheel has the published results of the questions too.
    results = {f"why/published/{name}" for name in files_in(ROOT / "docs" / "why") if name.startswith("q")}
    with zipfile.ZipFile(made["wheel"]) as wheel:
        carried = of_the_package(name for name in wheel.namelist() if ".dist-info/" not in name)
        assert any(name.endswith(BROWSER) for name in wheel.namelist())
    assert carried == expected | results
    with tarfile.open(made["sdist"]) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert of_the_package(name for name in names if name.startswith("src/")) == expected
    # Whoever unpacks it can build, check and measure.
    beside = {"LICENSE", "Makefile", "README.zh.md", "constraints.txt", "hatch_build.py", "tests/conftest.py"}
    assert beside | {"benchmarks/training.py", "docs/log.md"} <= names
    assert not any(name.endswith((".so", ".pyc")) for name in names)


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_what_is_installed_works(kind: str, made: dict[str, Path], place: Path):
    environment, home = place / kind, place / f"home-{kind}"
    home.mkdir()
    python = fresh(environment)
    call(python, *PIP, made[kind], folder=home)

    def whyformer(*arguments: object) -> str:
        return call(python.with_name("whyformer"), *arguments, folder=home)

    where = Path(call(python, "-c", "import whyformer; print(whyformer.__file__)", folder=home).strip())
    assert where.is_relative_to(environment)
    assert made[kind].name.startswith(whyformer("--version").strip().replace(" ", "-"))
    assert "torch" in whyformer("doctor")
    assert "reverse" in whyformer("recipes")
    assert "√dₖ" in whyformer("why")
    few = ("training.steps=3", "training.validation.every=3", "data.pairs=200", "training.precision=fp32")
    whyformer("train", "reverse", *few, "--run", "toy")
    assert whyformer("translate", "toy", "1 2 3").endswith("\n")
    if any(map(shutil.which, ("c++", "g++", "clang++"))):
        assert (where.parent / COMPILED).is_file()
        assert whyformer("translate", "toy", "1 2 3", "--engine", "native").endswith("\n")
    if kind == "wheel":  # it was built where the compiler for browsers is
        assert "MB in all" in whyformer("page", "toy", "--to", "page")
        assert (home / "page" / "index.html").is_file()
    else:
        told = refused(python.with_name("whyformer"), "page", "toy", "--to", "page", folder=home)
        assert "the engine for browsers was not compiled when whyformer was packaged; run `pip" in told
        assert not (home / "page").exists()
        assert whyformer("why", "--site", "book").endswith("index.html\n")
    # The prose of the questions is read from Markdown files.
    read = "from whyformer.why.book.prose import read_prose; print(read_prose('q03', 'zh').parts['Answer'])"
    assert call(python, "-c", read, folder=home).strip()
    shutil.rmtree(environment)
