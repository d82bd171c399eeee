"""Assets of the page: one document, and files that a browser may keep, as their names change with them."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from string import Template
from typing import Final

from whyformer.browser.bundle import script

ASSETS: Final = "assets"
"""Where the files lie, seen from the document."""
_HERE = Path(__file__).parent
_STYLES = (_HERE.parents[1] / "browser" / "templates" / "style.css", _HERE / "templates" / "style.css")


@dataclass(frozen=True)
class Asset:
    """A file as it is sent."""

    content: bytes
    media_type: str
    """As the header Content-Type has it."""

    @property
    def digest(self) -> str:
        """Half of the SHA-256 of its content, in hexadecimal digits."""
        return sha256(self.content).hexdigest()[:32]


def page_assets() -> tuple[Asset, Mapping[str, Asset]]:
    """Return the document and the files that it names, by their names, which hold their digests."""
    scripts = _HERE / "scripts"
    made = {
        "style.css": Asset(_joined_styles(), "text/css; charset=utf-8"),
        "script.js": _script(script(["page.js"], folder=scripts)),
        # Sound has a thread of its own, which reads a file of its own.
        "microphone.js": _script((scripts / "microphone.js").read_text(encoding="utf-8")),
    }
    names = {name: _name_with_digest(name, asset) for name, asset in made.items()}
    places = {name.partition(".")[0]: f"{ASSETS}/{named}" for name, named in names.items()}
    text = (_HERE / "templates" / "index.html").read_text(encoding="utf-8")
    document = Template(text).substitute(places).encode("utf-8")
    return Asset(document, "text/html; charset=utf-8"), {names[name]: asset for name, asset in made.items()}


def _joined_styles() -> bytes:
    return b"\n".join(path.read_bytes() for path in _STYLES)


def _script(text: str) -> Asset:
    return Asset(text.encode("utf-8"), "text/javascript; charset=utf-8")


def _name_with_digest(name: str, asset: Asset) -> str:
    stem, _, ending = name.partition(".")
    return f"{stem}.{asset.digest}.{ending}"
