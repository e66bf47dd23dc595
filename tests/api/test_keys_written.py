"""API keys as they are written down: lines, entries, and one sentence for each that does not fit."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from api.security.keys import Key, Keys, Scope, Unfit, entry_of, made, read_item, read_line
from api.settings import Misconfigured, Settings, read_settings

A, B = "a" * 64, "b" * 64


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def refused() -> str:
    with pytest.raises(Misconfigured) as error:
        read_settings().read_keys()
    return str(error.value)


def known() -> Keys:
    keys = read_settings().read_keys()
    assert keys is not None
    return keys


def test_a_key_is_256_random_bits_behind_a_prefix() -> None:
    keys = {made() for _ in range(100)}
    assert len(keys) == 100
    assert all(key.startswith("flk_") and len(key) == 4 + 43 for key in keys)
    assert all(set(key) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") for key in keys)


def test_what_is_written_down_is_read_again_and_does_not_hold_the_key() -> None:
    key = made()
    entry = entry_of(key, "desk:eu-1", ["write", "read"])
    digest = sha256(key.encode()).hexdigest()
    assert entry.line == f"desk:eu-1 {digest} read,write"
    assert entry.item == f"desk:eu-1:{digest}:read+write"
    assert read_line(entry.line) == read_item(entry.item) == entry
    assert read_line(f" desk:eu-1\t{digest.upper()}   write,read ") == entry
    assert key[4:] not in entry.line + entry.item


def test_a_name_may_have_all_its_characters() -> None:
    name = "A:z_0.9-:" + "x" * 91
    assert read_item(f"{name}:{A}:admin").key == Key(name, frozenset({Scope.ADMIN}))


@pytest.mark.parametrize(
    ("line", "right"),
    [
        ("desk", "has 1 part: write `name sha256hex read,write`"),
        (f"desk {A}", "has 2 parts: write"),
        (f"desk {A} read, write", "has 4 parts: write"),
        (f"dösk {A} read", "has the name 'd\\xf6sk': give 1 to 100 of A-Z a-z 0-9 _ . : -"),
        (f"{'x' * 101} {A} read", "has the name 'xxxxxxxxxxxx'...: give 1 to 100"),
        (f"desk {A[1:]} read", "has 63 characters where the SHA-256 of the key belongs: 64 hexadecimal digits"),
        (f"desk {'g' * 64} read", "has 64 characters where the SHA-256"),
        ("desk flk_secret read", "has a key itself where its SHA-256 belongs: it is no secret any more"),
        (f"desk {A} wirte", "has the scope 'wirte': say read, write or admin, several with ',' between them"),
        (f"desk {A} read+write", "has the scope 'read+write': say read, write or admin, several with ','"),
        (f"desk {A} READ", "has the scope 'READ': say"),
        (f"desk {A} read,", "has the scope '': say"),
        (f"desk read {A}", "has 4 characters where the SHA-256"),
        (f"{A[:64]} {A} flk_secret", "has the scope that is a key itself: say"),
    ],
)
def test_a_line_that_does_not_fit_says_what_is_right(line: str, right: str) -> None:
    with pytest.raises(Unfit) as error:
        read_line(line)
    assert str(error.value).startswith(right)
    assert "secret read" not in str(error.value)
    assert "flk_secret" not in str(error.value)
    assert A not in str(error.value)


def test_without_any_there_are_none() -> None:
    assert read_settings().read_keys() is None


def test_variable_and_file_come_together(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"# the desk\n\ndesk {A} read,write  # old\r\n desk {B} read\n")
    monkeypatch.setenv("API_KEYS_FILE", str(file))
    digest = sha256(b"flk_ops").hexdigest()
    monkeypatch.setenv("API_KEYS", f" ops:{digest}:admin ,\n")
    keys = known()
    assert (len(keys), keys.names) == (3, ("desk", "ops"))
    assert keys.of(b"flk_ops") == Key("ops", frozenset({Scope.ADMIN}))
    assert keys.of(b"flk_other") is None
    assert keys.of(digest.encode()) is None


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "API_KEYS_FILE {file!r} has no key: add one with `./run keys create NAME --scope read --file {file}`."),
        ("# none\n", "API_KEYS_FILE {file!r} has no key: add one with"),
        (
            f"a {A} read\n\nb {A} write\n",
            "line 3 of API_KEYS_FILE {file!r} has the same key as line 1 of API_KEYS_FILE",
        ),
        (f"# a\na {A} read\nb {B} all\n", "line 3 of API_KEYS_FILE {file!r} has the scope 'all': say read, write or"),
    ],
)
def test_a_wrong_file_is_one_sentence_with_its_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, sentence: str
) -> None:
    file = tmp_path / "keys"
    file.write_text(text)
    monkeypatch.setenv("API_KEYS_FILE", str(file))
    said = refused()
    assert said.startswith(sentence.format(file=str(file)))
    assert said.endswith(".")
    assert A not in said


def test_a_file_that_cannot_be_read_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("API_KEYS_FILE", str(tmp_path / "none"))
    assert refused().startswith(f"API_KEYS_FILE '{tmp_path}/none' cannot be read (No such file or directory): name")
    monkeypatch.setenv("API_KEYS_FILE", str(tmp_path))
    assert "cannot be read (Is a directory)" in refused()
    (tmp_path / "binary").write_bytes(b"\xff\xfe\0")
    monkeypatch.setenv("API_KEYS_FILE", str(tmp_path / "binary"))
    assert "is no text in UTF-8" in refused()


def test_a_file_is_read_by_who_lets_callers_in_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("API_KEYS_FILE", str(tmp_path / "of the service alone"))
    assert read_settings().has_keys


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (" , ", "API_KEYS has no key: write name:sha256hex:read+write, or unset it."),
        (f"a:{A}:read,b:{A}:write", "entry 2 of API_KEYS has the same key as entry 1 of API_KEYS: leave one of them"),
        (f"a:{A}:read,{A}", "entry 2 of API_KEYS has 1 part: write `name:sha256hex:read+write`, with colons between"),
        ("a:flk_secret:read", "entry 1 of API_KEYS has a key itself where its SHA-256 belongs: it is no secret any"),
    ],
)
def test_a_wrong_variable_is_one_sentence(monkeypatch: pytest.MonkeyPatch, value: str, sentence: str) -> None:
    monkeypatch.setenv("API_KEYS", value)
    said = refused()
    assert said.startswith(sentence)
    assert len(said.splitlines()) == 1
    assert A not in said
    assert "flk_secret" not in said


def test_the_same_key_in_variable_and_file_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(f"a {A} read\n")
    monkeypatch.setenv("API_KEYS_FILE", str(tmp_path / "keys"))
    monkeypatch.setenv("API_KEYS", f"a:{A}:read")
    assert refused().endswith("has the same key as entry 1 of API_KEYS: leave one of them out.")


def test_settings_do_not_show_the_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEYS", f"a:{A}:read")
    assert A not in repr(read_settings())


@pytest.mark.parametrize("name", ["API_KEYS", "API_KEYS_FILE"])
def test_with_keys_any_address_is_listened_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    (tmp_path / "keys").write_text(f"a {A} read\n")
    monkeypatch.setenv("HOST", "0.0.0.0")  # noqa: S104
    assert "there are no API keys" in refused()
    monkeypatch.setenv(name, "")
    assert "there are no API keys" in refused()
    monkeypatch.setenv(name, f"a:{A}:read" if name == "API_KEYS" else str(tmp_path / "keys"))
    assert known().names == ("a",)


@pytest.mark.parametrize("name", ["API_KEYS", "API_KEYS_FILE"])
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])  # noqa: S104
def test_keys_and_allow_anonymous_contradict_each_other(monkeypatch: pytest.MonkeyPatch, name: str, host: str) -> None:
    monkeypatch.setenv("HOST", host)
    monkeypatch.setenv("ALLOW_ANONYMOUS", "1")
    monkeypatch.setenv(name, f"a:{A}:read")
    assert refused() == (
        "ALLOW_ANONYMOUS is 1 and there are API keys: unset it, or API_KEYS and API_KEYS_FILE; with keys nobody is "
        "anonymous."
    )
