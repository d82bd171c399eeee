"""Every reader refuses text that is not UTF-8, with its likely encoding and the command that converts."""

import gzip
import os
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from shutil import which

import pytest

from whyformer.data.corpora.detection.encoding import guess_encoding, is_encoded_twice, wide_encoding
from whyformer.data.corpora.documents import DocumentsSpec
from whyformer.data.corpora.labelled import LabelledSpec
from whyformer.data.corpora.lines import encoding_of, read_lines, read_sound_lines
from whyformer.data.corpora.pair_files import CsvPairs, JsonlPairs, TextPairs, TsvPairs
from whyformer.data.corpora.pairs.cleaning import Cleaning
from whyformer.errors import DataError

TEXTS = {
    "German": "Die Tür ist geöffnet, sagte der größere Bär.",
    "French": "Où êtes-vous allés hier après-midi ? À l’école, ça va.",
    "Spanish": "¿Dónde está la niña? Mañana será otro día.",
    "Swedish": "Flickan på ön äter fårkött och blåbär.",
    "Chinese": "我们明天要去看他，你知道他在哪里吗？",
    "Traditional": "昨天下午你們去哪裡了？我們想知道。",
    "Japanese": "昨日の午後はどこに行きましたか。とても良い天気ですね。",
    "Korean": "어제 오후에 어디 갔습니까? 아주 좋은 날씨입니다.",
    "Russian": "Мальчик уже ушёл в школу. Где вы были вчера вечером?",
    "Polish": "Chłopiec już poszedł, a gdzie byliście wczoraj? Zażółć gęślą jaźń.",
    "Greek": "Το αγόρι έχει ήδη πάει σχολείο, πού ήσασταν χθες;",
    "Hebrew": "הילד כבר הלך לבית הספר, איפה הייתם אתמול בערב?",
    "Thai": "เด็กผู้ชายไปโรงเรียนแล้ว เมื่อวานคุณอยู่ที่ไหน",
    "Arabic": "ذهب الولد إلى المدرسة، أين كنتم مساء أمس؟",
    "contract": "甲方应当按照合同约定支付货款。",
    "catalogue": "红色棉质衬衫，均码，包邮到家",
    "farm": "老狗打找绿马。",
    "history": "患者主訴腹痛三天，伴發熱、噁心。",
    "Turkish": "Çocuk çoktan okula gitti, öğretmen ağlıyor ve gülüyor.",
}
ENCODED = [
    ("German", "cp1252", "CP1252"),
    ("German", "latin-1", "CP1252"),
    ("German", "mac_roman", "MACINTOSH"),
    ("French", "cp1252", "CP1252"),
    ("Spanish", "latin-1", "CP1252"),
    ("Swedish", "latin-1", "CP1252"),
    ("Chinese", "gb18030", "GB18030"),
    ("Chinese", "gbk", "GB18030"),
    ("Traditional", "big5", "BIG5"),
    ("Japanese", "shift_jis", "CP932"),
    ("Japanese", "euc_jp", "EUC-JP"),
    ("Korean", "euc_kr", "CP949"),
    ("Russian", "cp1251", "CP1251"),
    ("Russian", "koi8_r", "KOI8-U"),
    ("Polish", "cp1250", "CP1250"),
    ("Polish", "iso8859_2", "ISO-8859-2"),
    ("Greek", "cp1253", "CP1253"),
    ("Turkish", "cp1254", "CP1254"),
    ("Hebrew", "cp1255", "CP1255"),
    ("Thai", "cp874", "CP874"),
    ("Arabic", "cp1256", "CP1256"),
    ("contract", "gb18030", "GB18030"),
    ("catalogue", "gbk", "GB18030"),
    ("farm", "gb18030", "GB18030"),
    ("history", "big5", "BIG5"),
]


@pytest.mark.parametrize(("language", "codec", "named"), ENCODED)
@pytest.mark.parametrize("lines", [3, 40])
def test_the_encoding_of_sentences_is_told(language: str, codec: str, named: str, lines: int) -> None:
    text = TEXTS[language].replace("’", "'") if codec == "latin-1" else TEXTS[language]
    found = guess_encoding([f"A plain sentence.\t{text}".encode(codec)] * lines)
    assert found is not None
    assert found.iconv == named


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("language", TEXTS)
def test_utf16_without_a_mark_is_told(language: str, codec: str) -> None:
    found = wide_encoding(f"{TEXTS[language]}\nYes.\n".encode(codec))
    assert found is not None
    assert found.codec == codec


@pytest.mark.parametrize("text", ["a\0b\nc\n", "plain\n" * 9, "你好\0\n" * 9, "\0" * 20])
def test_text_with_a_nul_is_not_utf16(text: str) -> None:
    assert wide_encoding(text.encode()) is None


READERS: dict[str, Callable[[Path], object]] = {
    "lines": read_lines,
    "sound lines": read_sound_lines,
    "two files": lambda path: TextPairs(source=path, target=path).training(Cleaning()),
    "two files, held out": lambda path: TextPairs(source=path, target=path).held_out(),
    "tsv": lambda path: TsvPairs(path=path).training(Cleaning()),
    "tsv, held out": lambda path: TsvPairs(path=path).references(),
    "csv": lambda path: CsvPairs(path=path).training(Cleaning()),
    "json lines": lambda path: JsonlPairs(path=path).training(Cleaning()),
    "documents": lambda path: DocumentsSpec(train=(path,)).load(),
    "labelled": lambda path: LabelledSpec(train=(path,)).load(),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(("language", "codec", "named"), ENCODED[::4])
def test_every_reader_refuses_it_and_says_how_to_convert(
    reader: str, language: str, codec: str, named: str, tmp_path: Path
) -> None:
    path = tmp_path / "text.tsv"
    path.write_bytes(b"".join(f"Line {n}.\t{TEXTS[language]}\n".encode(codec) for n in range(400)))
    with pytest.raises(DataError, match=rf"text\.tsv: 400 of 400 lines are not UTF-8 .* iconv -f {named} -t"):
        READERS[reader](path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("Tür\n".encode("utf-16"), r"this is UTF-16, .* iconv -f UTF-16 -t UTF-8"),
        ("Tür\n".encode("utf-32"), r"this is UTF-32, .* iconv -f UTF-32 -t UTF-8"),
        (("Eine Tür.\n" * 9).encode("utf-16-le"), r"iconv -f UTF-16LE -t UTF-8"),
        (("门在哪里？\n" * 9).encode("utf-16-be"), r"iconv -f UTF-16BE -t UTF-8"),
        (b"one\rtwo\rthree\r", r"its lines end in CR alone, .* tr '\\r' '\\n' < "),
        (b"\xff\x10\xa6\xac\x99\x0e\n" * 9, "no encoding known here fits"),
        ("größer\n".encode() * 50 + "Tür\n".encode("cp1252") * 20, "mixes two encodings"),
    ],
)
def test_each_case_has_its_sentence(content: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes(content)
    with pytest.raises(DataError, match=said) as caught:
        read_lines(path)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(which("iconv") is None, reason="iconv is not installed")
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(("language", "codec", "named"), ENCODED[::3])
def test_the_command_converts(packed: bool, language: str, codec: str, named: str, tmp_path: Path) -> None:
    content = f"{TEXTS[language]}\n".encode(codec) * 20
    path = tmp_path / ("my train.de.gz" if packed else "my train.de")
    path.write_bytes(gzip.compress(content) if packed else content)
    assert named in encoding_of(path).command
    subprocess.run(["sh", "-c", encoding_of(path).command], check=True)
    assert read_lines(tmp_path / "my train.utf8.de") == [TEXTS[language]] * 20


def test_a_few_damaged_lines_are_no_other_encoding(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes("gut und schön\n".encode() * 300 + b"\xff\n\xfe\n\xfd\n")
    sound, bad = read_sound_lines(path)
    assert len(sound) == 300
    assert [line.number for line in bad] == [301, 302, 303]


def test_a_pipe_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=lambda: path.write_bytes(b"one\ntwo\n"))
    writer.start()
    assert read_lines(path) == ["one", "two"]
    writer.join()


@pytest.mark.parametrize("text", TEXTS.values())
def test_text_encoded_twice_is_told_from_text(text: str) -> None:
    assert not is_encoded_twice(text)


@pytest.mark.parametrize("text", ["für die Tür", "côté", "señor", "größte Äpfel", "naïve"])
def test_text_encoded_twice_is_told(text: str) -> None:
    assert is_encoded_twice(text.encode().decode("cp1252"))
