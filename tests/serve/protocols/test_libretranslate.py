"""LibreTranslate's dialect, spoken by its own client, by curl, and by whoever sends rubbish."""

import json
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("fastapi", reason="needs fastapi: the extra [serve]")
pytest.importorskip("libretranslatepy", reason="needs libretranslatepy")

from libretranslatepy import LibreTranslateAPI
from starlette.requests import Request
from typing_extensions import override

from serve.protocols.serving import running, small_application
from whyformer.decoding.greedy import GreedySpec
from whyformer.decoding.search import SearchSpec
from whyformer.runs.load import load_as
from whyformer.serve.asking import Asking
from whyformer.serve.languages import LanguagePair
from whyformer.serve.protocols.libretranslate.request import TranslationLimits
from whyformer.serve.protocols.libretranslate.router import libretranslate_router
from whyformer.serve.refusals import OverloadedError, UnauthorizedError
from whyformer.serve.service import HostedRun, Service
from whyformer.tasks.output import TextOutput
from whyformer.tasks.translation.translator import Translator

pytestmark = pytest.mark.filterwarnings("ignore::whyformer.errors.WhyformerNote")

LANGUAGES = {"mirror": LanguagePair("en", "zh"), "mirror-de": LanguagePair("de", "fr")}
LIMITS = TranslationLimits(characters=3_000, texts=20, alternatives=6)


def hosted(name: str, translator: Translator, task: str = "translation") -> HostedRun:
    return HostedRun(name, task, translator, "0" * 64, 0)


def service_of(translator: Translator) -> Service:
    greedy = Translator(translator.model, translator.tokenizers, GreedySpec())
    return Service(
        [
            hosted("mirror", translator),
            hosted("mirror-de", greedy),
            hosted("unknown", translator),
            hosted("other", translator, "masked_lm"),
        ]
    )


@pytest.fixture(scope="module")
def translator(reverse_run: Path) -> Translator:
    return load_as(Translator, reverse_run)


@pytest.fixture(scope="module")
def address(translator: Translator) -> Iterator[str]:
    router = libretranslate_router(service_of(translator), LANGUAGES, limits=LIMITS)
    with running(small_application(router)) as found:
        yield found


@pytest.fixture(scope="module")
def direct(address: str) -> Iterator[httpx2.Client]:
    """A client that keeps its connection."""
    with httpx2.Client(base_url=address, timeout=60) as found:
        yield found


@pytest.fixture(scope="module")
def client(address: str) -> LibreTranslateAPI:
    return LibreTranslateAPI(address)


def post(direct: httpx2.Client, **asked: Any) -> httpx2.Response:
    return direct.post("/translate", json={"source": "en", "target": "zh", **asked})


def offline(translator: Translator, text: str) -> str:
    """The translation of one line as the command line makes it."""
    return translator.translate([text], split=True)[0][0].text


# The client that users have


def test_the_client_gets_what_is_translated_offline(client: LibreTranslateAPI, translator: Translator):
    for text in ("0 1 2", "4", "3 3 1 0 2", "0 1. 2 3.", "1 2 3"):
        assert client.translate(text, "en", "zh") == offline(translator, text)


@pytest.mark.parametrize("texts", [["0 1 2", "4 3"], ["1"], ["0\n1", 'it\'s "2"', "3 \\ 4", "你 0"]])
def test_the_clients_list_comes_back_as_a_list(
    texts: list[str], client: LibreTranslateAPI, translator: Translator
):
    found = client.translate(texts, "en", "zh")  # type: ignore[arg-type] # as its users do
    assert isinstance(found, list)
    assert found == ["\n".join(offline(translator, line) for line in text.split("\n")) for text in texts]


@pytest.mark.parametrize("text", ["[0, 1]", "['0'", "['0',  '1']", '["0"]', "[]", "['\\q']", "['0',]"])
def test_text_that_is_like_a_list_stays_text(text: str, client: LibreTranslateAPI):
    assert isinstance(client.translate(text, "en", "zh"), str)


def test_the_client_lists_languages(client: LibreTranslateAPI):
    listed = {each["code"]: each for each in client.languages()}
    assert listed["en"] == {"code": "en", "name": "English", "targets": ["zh"]}
    assert listed["de"] == {"code": "de", "name": "German", "targets": ["fr"]}
    assert listed["zh"] == {"code": "zh", "name": "Chinese", "targets": []}
    assert listed["unknown"] == {"code": "unknown", "name": "unknown", "targets": ["unknown"]}
    assert "other" not in listed


def test_nothing_claims_to_detect_languages(client: LibreTranslateAPI, direct: httpx2.Client):
    with pytest.raises(HTTPError, match="404"):
        client.detect("0 1 2")
    found = post(direct, q="0 1 2", source="auto").json()
    assert found == {"translatedText": "2 1 0"}


def test_the_client_hears_of_errors(client: LibreTranslateAPI):
    with pytest.raises(HTTPError, match="400") as raised:
        client.translate("0 1", "en", "es")
    raised.value.close()


# What the documentation shows


def curl(*arguments: str) -> Any:
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    done = subprocess.run(["curl", "-sS", *arguments], capture_output=True, text=True, check=True, timeout=60)
    return json.loads(done.stdout)


@pytest.mark.parametrize("form", ["json", "urlencoded", "encoded by curl", "multipart"])
def test_curl_as_in_the_documentation(form: str, address: str):
    fields = {
        "q": "0 1 2",
        "source": "en",
        "target": "zh",
        "format": "text",
        "alternatives": "2",
        "api_key": "",
    }
    match form:
        case "json":
            asked = json.dumps({**fields, "alternatives": 2})
            options = ["-d", asked, "-H", "Content-Type: application/json"]
        case "urlencoded":
            options = ["-d", "&".join(f"{name}={value}" for name, value in fields.items())]
        case "encoded by curl":
            options = [part for each in fields.items() for part in ("--data-urlencode", "=".join(each))]
        case _:
            options = [part for each in fields.items() for part in ("-F", "=".join(each))]
    found = curl("-X", "POST", f"{address}/translate", *options)
    assert found["translatedText"] == "2 1 0"
    assert 1 <= len(found["alternatives"]) <= 2


def test_curl_without_its_header_is_told_of_it(address: str):
    found = curl(f"{address}/translate", "-d", json.dumps({"q": "0", "source": "en", "target": "zh"}))
    assert "Content-Type: application/json" in found["error"]


def test_html_keeps_its_tags(direct: httpx2.Client):
    found = post(direct, q='<p class="green">0 1 2</p>', format="html").json()
    assert found == {"translatedText": '<p class="green">2 1 0</p>'}


def test_settings_of_a_page(direct: httpx2.Client):
    found = direct.get("/frontend/settings").json()
    assert found == {
        "apiKeys": False,
        "charLimit": 3_000,
        "filesTranslation": False,
        "frontendTimeout": 500,
        "keyRequired": False,
        "language": {
            "source": {"code": "en", "name": "English"},
            "target": {"code": "zh", "name": "Chinese"},
        },
        "suggestions": False,
        "supportedFilesFormat": [],
    }


# Texts


def test_paragraphs_keep_their_lines(direct: httpx2.Client, translator: Translator):
    text = "0 1 2\n\n  3 4 0 \r\n\t\n1 2. 3 4!\n"
    found = post(direct, q=text).json()["translatedText"]
    lines = [offline(translator, line) for line in ("0 1 2", "3 4 0", "1 2. 3 4!")]
    assert found == f"{lines[0]}\n\n  {lines[1]} \r\n\t\n{lines[2]}\n"


@pytest.mark.parametrize("text", [" ", "\n\n", "😀", "…", "\u3000", "\u200b", "!?\n-"])
def test_what_says_nothing_comes_back_as_it_is(text: str, direct: httpx2.Client):
    assert post(direct, q=text).json() == {"translatedText": text}
    assert post(direct, q=[text, "0 1 2", ""]).json() == {"translatedText": [text, "2 1 0", ""]}


def test_one_field_of_a_form_again_and_again_is_a_list(direct: httpx2.Client):
    found = direct.post("/translate", data={"q": ["0 1 2", "2 3 4"], "source": "en", "target": "zh"})
    assert found.json() == {"translatedText": ["2 1 0", "4 3 2"]}


@pytest.mark.parametrize("languages", [("en", "zh"), ("de", "fr")])
@pytest.mark.parametrize("form", ["text", "html"])
def test_alternatives_change_nothing_but_themselves(
    languages: tuple[str, str], form: str, direct: httpx2.Client
):
    source, target = languages
    asked = {"q": ["0 1 2 3", "0 1. 2 3.", "!"], "source": source, "target": target, "format": form}
    plain = post(direct, **asked).json()
    for count in (1, 3, 6):
        found = post(direct, **asked, alternatives=count).json()
        assert found["translatedText"] == plain["translatedText"]
        for best, others in zip(found["translatedText"], found["alternatives"], strict=True):
            assert len(others) <= count
            assert len({best, *others}) == 1 + len(others)
        assert found["alternatives"][0]
        assert found["alternatives"][-1] == []
    assert "alternatives" not in plain


def test_a_form_that_is_not_percent_encoded_is_utf8(direct: httpx2.Client):
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    body = "q=… 「！」&source=en&target=zh".encode()
    assert direct.post("/translate", content=body, headers=kind).json() == {"translatedText": "… 「！」"}


# Languages


@pytest.mark.parametrize(
    ("source", "target", "name"),
    [
        ("en", "zh-Hans", "mirror"),
        ("en-US", "ZH_cn", "mirror"),
        ("auto", "zh", "mirror"),
        ("de", "fr", "mirror-de"),
        ("en", "unknown", "unknown"),
        ("auto", "unknown", "unknown"),
        ("unknown", "unknown", "unknown"),
        ("en", "mirror", "mirror"),
        ("mirror", "mirror", "mirror"),
    ],
)
def test_a_run_is_found_by_languages_or_its_name(source: str, target: str, name: str, translator: Translator):
    from whyformer.serve.protocols.libretranslate.served import ServedLanguages

    served = ServedLanguages(service_of(translator), LANGUAGES)
    assert served.choose(source, target).name == name


# Refusals

TOO_LONG = " ".join("01234"[place % 5] for place in range(40))


@pytest.mark.parametrize(
    ("fields", "status", "told"),
    [
        ({"q": None}, 400, "q is missing"),
        ({"q": ""}, 400, "q is missing"),
        ({"q": []}, 400, "q is missing"),
        ({"q": 5}, 400, "q has to be text"),
        ({"q": {"a": "b"}}, 400, "q has to be text"),
        ({"q": ["0", None]}, 400, "q[1] has to be text"),
        ({"q": "0\0"}, 400, "NUL"),
        ({"q": "0\ud800"}, 400, "surrogate"),
        ({"source": ""}, 400, "source is missing"),
        ({"target": None}, 400, "target is missing"),
        ({"target": "zt"}, 400, "'zt'"),
        ({"target": "es"}, 400, "'es'"),
        ({"source": "fr"}, 400, "'fr'"),
        ({"source": "auto", "target": "other"}, 400, "'other'"),
        ({"target": "x" * 5_000}, 400, "xxx…"),
        ({"target": "a\nb"}, 400, "a\\nb"),
        ({"source": ["en"]}, 400, "source has to be text"),
        ({"format": "xml"}, 400, "'xml'"),
        ({"format": 1}, 400, "format has to be text"),
        ({"alternatives": "abc"}, 400, "whole number"),
        ({"alternatives": 1.5}, 400, "whole number"),
        ({"alternatives": True}, 400, "whole number"),
        ({"alternatives": 10_000}, 413, "more than 6"),
        ({"alternatives": 10**30}, 400, "alternatives: the integer 1000"),
        ({"api_key": 1}, 400, "api_key has to be text"),
        ({"q": ["0"] * 21}, 413, "21 texts"),
        ({"q": "0 " * 1_501}, 413, "3,002 characters"),
        ({"q": TOO_LONG}, 413, "more tokens than the 15"),
    ],
)
def test_refusals_are_one_sentence(fields: dict[str, Any], status: int, told: str, direct: httpx2.Client):
    asked = {"q": "0 1", "source": "en", "target": "zh", **fields}
    found = direct.post("/translate", content=json.dumps(asked), headers={"Content-Type": "application/json"})
    refused(found, status)
    assert told in found.json()["error"]


def refused(found: httpx2.Response, status: int | None = None) -> None:
    assert 400 <= found.status_code < 500
    assert status in (None, found.status_code)
    (name, sentence) = found.json().popitem()
    assert name == "error"
    assert sentence
    assert "\n" not in sentence
    assert len(sentence) < 400


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"q"',
        b"null",
        b"\xff\xfe",
        b'{"q": NaN}',
        b'{"q": "0", "source": "en", "target": "zh", "alternatives": 1e400}',
        b'{"q": "0", "source": "en", "target": "zh", "alternatives": -Infinity}',
        b'{"q": "0", "source": "en", "target": "zh", "alternatives": ' + b"9" * 5_000 + b"}",
        '{"q": "0", "source": "en", "target": "zh"}'.encode("utf-16"),
        b"[" * 100_000,
        b'{"q": "\\ud800", "source": "\\udfff", "target": "zh"}',
    ],
)
def test_json_that_is_none_is_refused(body: bytes, direct: httpx2.Client):
    headers = {"Content-Type": "application/json; charset=utf-8"}
    refused(direct.post("/translate", content=body, headers=headers))


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/x-www-form-urlencoded", b"q=%ff&source=en&target=zh"),
        ("application/x-www-form-urlencoded", b"q=%ed%a0%80&source=en&target=zh"),
        ("application/x-www-form-urlencoded", b"q=\xff&source=en&target=zh"),
        ("application/x-www-form-urlencoded", b"&".join([b"q=0"] * 3_000)),
        ("application/x-www-form-urlencoded", b"alternatives=2.5&q=0&source=en&target=zh"),
        ("multipart/form-data", b"q"),
        ("multipart/form-data; boundary=a", b"--a\r\nrubbish"),
        ("multipart/form-data; boundary=a", b"--b\r\n\r\n\r\n--b--"),
        (
            "multipart/form-data; boundary=a",
            b'--a\r\nContent-Disposition: form-data; name="q"; filename="q.txt"\r\n\r\n0\r\n--a--\r\n',
        ),
        ("text/plain", b'{"q": "0"}'),
        ("", b"\xff"),
    ],
)
def test_forms_that_are_none_are_refused(kind: str, body: bytes, direct: httpx2.Client):
    refused(direct.post("/translate", content=body, headers={"Content-Type": kind}))


NAMES = st.sampled_from(["q", "source", "target", "format", "alternatives", "api_key", "x"])
WORDS = st.sampled_from(
    ["en", "zh", "auto", "unknown", "text", "html", "0 1 2", "<b>0 1</b>", "2", "1e400", ""]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
TEXTS = WORDS | st.text(st.sampled_from("01234 .\n<>&;/='\"ab你\x85\u2028\t"), max_size=60)


def answered(found: httpx2.Response) -> None:
    if found.status_code == 200:
        assert set(found.json()) <= {"translatedText", "alternatives"}
    else:
        refused(found)


@given(fields=st.dictionaries(NAMES, JSON, max_size=6) | JSON)
def test_any_json_has_an_answer(fields: Any, direct: httpx2.Client):
    kind = {"Content-Type": "application/json"}
    answered(direct.post("/translate", content=json.dumps(fields), headers=kind))


@given(
    q=TEXTS | st.lists(TEXTS, max_size=4), form=st.sampled_from(["text", "html"]), count=st.integers(-2, 7)
)
def test_any_text_has_an_answer(q: str | list[str], form: str, count: int, direct: httpx2.Client):
    asked = {"q": q, "source": "en", "target": "zh", "format": form, "alternatives": count}
    found = direct.post("/translate", json=asked)
    answered(found)
    if found.status_code == 200:
        assert isinstance(found.json()["translatedText"], type(q))


@given(
    body=st.binary(max_size=200)
    | st.dictionaries(NAMES, TEXTS).map(lambda fields: json.dumps(fields).encode()),
    kind=st.sampled_from(
        [
            "application/json",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "multipart/form-data",
            "application/json; charset=latin-1",
            "text/plain",
        ]
    ),
)
def test_any_bytes_have_an_answer(body: bytes, kind: str, direct: httpx2.Client):
    answered(direct.post("/translate", content=body, headers={"Content-Type": kind}))


@given(fields=st.dictionaries(NAMES, TEXTS, max_size=6), multipart=st.booleans())
def test_any_form_has_an_answer(fields: dict[str, str], multipart: bool, direct: httpx2.Client):
    if multipart:
        answered(direct.post("/translate", files={name: (None, value) for name, value in fields.items()}))
    else:
        answered(direct.post("/translate", data=fields))


# Overload, keys


class FullService(Service):
    @override
    async def translate(
        self, run: HostedRun, texts: Sequence[str], settings: SearchSpec | None, asking: Asking
    ) -> list[list[TextOutput]]:
        raise OverloadedError("the queue is full; come again.", retry_after=3)


def test_overload_says_when_to_come_again(translator: Translator):
    full = FullService([hosted("mirror", translator)])
    with (
        running(small_application(libretranslate_router(full, LANGUAGES))) as address,
        httpx2.Client(base_url=address) as direct,
    ):
        found = post(direct, q="0 1")
        assert (found.status_code, found.headers["Retry-After"]) == (429, "3")
        refused(found)
        # Where there is nothing to translate, nothing waits.
        assert post(direct, q="!").status_code == 200


def check(_request: Request, key: str | None) -> None:
    if key != "open sesame":
        raise UnauthorizedError("the key is unknown.")


def test_keys_stand_among_the_fields(translator: Translator):
    router = libretranslate_router(service_of(translator), LANGUAGES, check_key=check)
    with running(small_application(router)) as address, httpx2.Client(base_url=address) as direct:
        assert LibreTranslateAPI(address, "open sesame").translate("0 1", "en", "zh") == offline(
            translator, "0 1"
        )
        assert post(direct, q="0 1", api_key="open sesame").status_code == 200
        for given_key in ({}, {"api_key": "x"}, {"api_key": ""}):
            refused(post(direct, q="0 1", **given_key), 403)
        assert direct.get("/frontend/settings").json()["keyRequired"] is True
        assert direct.get("/languages").status_code == 200
