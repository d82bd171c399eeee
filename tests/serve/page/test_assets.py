"""The page's files: what names and headers promise, and words in both languages."""

import json
import re
from collections.abc import Iterator
from http.client import HTTPResponse
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from browser.javascript import needs_node, run_script
from whyformer.browser.bundle import MODULES
from whyformer.serve.page.assets import page_assets

pytest.importorskip("fastapi", reason="needs the extra serve")
pytest.importorskip("uvicorn", reason="needs the extra serve")

from serve.page.toy_service import running, toy_service

SCRIPTS = Path(MODULES).parent / "serve" / "page" / "scripts"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with running(toy_service()) as found:
        yield found


def answer(url: str, method: str = "GET", **headers: str) -> HTTPResponse | HTTPError:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        return urlopen(Request(url, method=method, headers=named))
    except HTTPError as error:
        return error


def names(address: str) -> list[str]:
    """The files that the document names."""
    return re.findall(r'"(assets/[^"]+)"', answer(address).read().decode())


def test_files_are_kept_for_good_under_names_that_change_with_them(address: str):
    found = names(address)
    assert len(found) == 3
    for name in found:
        sent = answer(address + name)
        assert sent.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert sent.headers["ETag"].strip('"') in name
        assert sent.read()
    assert answer(address).headers["Cache-Control"] == "no-cache"
    stem, digest, ending = found[0].split(".")
    assert answer(f"{address}{stem}.{digest[::-1]}.{ending}").status == 404
    assert answer(f"{address}assets/..%2Frouter.py").status == 404


def test_what_the_browser_has_is_not_sent_again(address: str):
    for path in ("", *names(address)):
        tag = answer(address + path).headers["ETag"]
        for asked in (tag, f"W/{tag}", f'"other", {tag}', "*"):
            again = answer(address + path, If_None_Match=asked)
            assert (again.status, again.read()) == (304, b"")
            assert again.headers["ETag"] == tag
        assert answer(address + path, If_None_Match='"other"').status == 200
        head = answer(address + path, "HEAD")
        assert (head.status, head.read(), head.headers["ETag"]) == (200, b"", tag)


def test_the_policy_allows_only_the_service_itself(address: str):
    for path in ("", *names(address)):
        headers = answer(address + path).headers
        parts = map(str.split, headers["Content-Security-Policy"].split(";"))
        policy = {name: values for name, *values in parts}
        assert policy["default-src"] == ["'none'"]
        sources = {value for values in policy.values() for value in values}
        assert sources <= {"'self'", "'none'", "data:", "'script'"}
        assert policy["frame-ancestors"] == policy["form-action"] == policy["base-uri"] == ["'none'"]
        assert headers["X-Content-Type-Options"] == "nosniff"
    document = answer(address).read().decode()
    assert not re.search(r"<script(?! src=)|<style| style=| on\w+=", document)


def test_the_page_stands_in_no_schema(address: str):
    paths = json.loads(answer(f"{address}openapi.json").read())["paths"]
    assert "/v1/explain" in paths
    assert not {"/", "/assets/{name}"} & {*paths}


def test_the_script_takes_up_neither_engine_nor_worker():
    _, assets = page_assets()
    script = next(asset.content.decode() for name, asset in assets.items() if name.startswith("script."))
    assert "WebAssembly." not in script
    assert "new Worker" not in script
    assert "innerHTML" not in script


@needs_node
def test_both_languages_have_the_same_words(tmp_path: Path):
    scripts = tmp_path / "whyformer"
    (scripts / "serve" / "page").mkdir(parents=True)
    for source, place in ((SCRIPTS, "serve/page/scripts"), (MODULES / "components", "browser/components")):
        (scripts / place).mkdir(parents=True)
        for path in source.glob("*.js"):
            (scripts / place / path.name).write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "package.json").write_text('{"type": "module"}', encoding="utf-8")
    program = tmp_path / "program.js"
    program.write_text(
        'import { WORDS } from "./whyformer/browser/components/words.js";\n'
        'import { addServedWords } from "./whyformer/serve/page/scripts/words.js";\n'
        "const parts = structuredClone(WORDS);\n"
        "for (const words of Object.values(WORDS)) for (const key of Object.keys(words)) delete words[key];\n"
        "addServedWords();\n"
        "process.stdout.write(JSON.stringify({ parts, page: WORDS }));\n",
        encoding="utf-8",
    )
    told = run_script(program)
    english, chinese = told["page"]["en"], told["page"]["zh"]
    assert set(english) == set(chinese)
    for key in english:
        holes = [sorted(re.findall(r"\{\w+\}", text)) for text in (english[key], chinese[key])]
        assert holes[0] == holes[1], key
    assert {key for key in english if key in told["parts"]["en"] and not key.startswith("fault_")} == set()
    sources = {path.name: path.read_text(encoding="utf-8") for path in SCRIPTS.glob("*.js")}
    together = "\n".join(text for name, text in sources.items() if name != "words.js")
    said = set(re.findall(r'say\(\s*"(\w+)"', together))
    assert said <= {*english, *told["parts"]["en"]}
    faults = {f"fault_{code}" for code in re.findall(r'new Fault\(\s*"(\w+)"', together)}
    assert faults <= {*english}
    plain = {key for key in english if not re.match("(task|fault)_", key)}
    assert [
        key for key in plain if f'"{key}"' not in together and key not in ("max_tokens", "temperature")
    ] == []
