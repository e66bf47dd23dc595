"""Settings that are addresses or paths: what does not fit is a sentence without passwords; paths are the caller's."""

from __future__ import annotations

from pathlib import Path

import pytest

from api.settings import CALLED_FROM, Misconfigured, Settings, masked, placed, read_settings

HTTP = ["PORTFOLIO_ACCOUNTING_URL", "TRADE_SERVICE_URL", "ELASTICSEARCH_URL"]
PATHS = ["DATA_DIR", "OUTPUT_DIR", "API_KEYS_FILE", "KAFKA_CA_FILE"]
ENCODED = "with a port from 1 to 65535, and % # / ? @ in a password written as %25 %23 %2F %3F %40."


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*Settings.model_fields, CALLED_FROM]:
        monkeypatch.delenv(name.upper(), raising=False)


def _refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> str:
    monkeypatch.setenv(name, value)
    with pytest.raises(Misconfigured) as refused:
        read_settings()
    return str(refused.value)


@pytest.mark.parametrize("name", HTTP)
@pytest.mark.parametrize(
    "value",
    [
        "http://",
        "http://[",
        "http://[x]",
        "http://:9200",
        "http://h:abc",
        "http://h:0",
        "http://h:99999",
        "http://h#x",
        "http://h?x=1",
        "http://a b",
        "http://a..b",
        "http://1.2.3.999",
        "http://" + "a" * 64,
    ],
)
def test_an_address_that_cannot_be_one_is_a_sentence(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    said = _refused(monkeypatch, name, value)
    shown = value.replace("?x=1", "?***").replace("://:9200", "://:***")
    assert said.startswith(f"{name} is '{shown}': say http://host:")
    assert said.endswith(ENCODED)


@pytest.mark.parametrize(
    "value",
    [
        "http://h",
        "https://h-1.x_y.:9200/path/",
        "http://[::1]:80",
        "http://10.0.0.1:1",
        "http://ü.example",
        "http://u:g%23%2F%40@h",
    ],
)
@pytest.mark.parametrize("name", HTTP)
def test_every_other_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    assert getattr(read_settings(), name.lower()) == value


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("ELASTICSEARCH_URL", "http://elastic:geh#eim/pw@es.local:9200", "http://elastic:***@es.local:9200"),
        ("ELASTICSEARCH_URL", "http://u:1/geheim@h", "http://u:***@h"),
        ("ELASTICSEARCH_URL", "http://u:1?geheim@h", "http://u:***@h"),
        ("ELASTICSEARCH_URL", "http://u://geheim@h:1#", "http://u:***@h:1#"),
        ("ELASTICSEARCH_URL", "http://u:geh@eim@h", "http://u:***@h"),
        ("REDIS_URL", "redis://:geh#eim@localhost:6379/0", "redis://:***@localhost:6379/0"),
        ("DATABASE_URL", "postgres+psycopg://u:geh/eim@h:5432/db", "postgres+psycopg://u:***@h:5432/db"),
        ("DATABASE_URL", "postgresql://u:geh/eim@h:5432/db", "postgresql://u:***@h:5432/db"),
        ("DATABASE_URL", "postgresql://u:1/geheim@h:5432/db", "postgresql://u:***@h:5432/db"),
        ("DATABASE_URL", "postgresql://u:geh@eim@h/db", "postgresql://u:***@h/db"),
        ("DATABASE_URL", "postgresql://u:geheim%zz@h/db", "postgresql://u:***@h/db"),
        ("DATABASE_URL", "postgresql://h:x/db?password=geheim", "postgresql://h:x/db?password=***"),
        ("DATABASE_URL", "host=h password = 'geh eim' port=1", "host=h password = *** port=1"),
        ("KAFKA_BOOTSTRAP_SERVERS", "u:geh:eim@h:9092", "u:***@h:9092"),
        ("REDIS_URL", "redis://:geheim", "redis://:***"),
        ("DATABASE_URL", "postgresql://u:geh#eim/db", "postgresql://u:***"),
        ("ELASTICSEARCH_URL", "http://h:9200?api_key=geheim", "http://h:9200?***"),
    ],
)
def test_no_password_is_shown_whatever_stands_in_it(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, shown: str
) -> None:
    said = _refused(monkeypatch, name, value)
    assert said.startswith(f"{name} is {shown!r}: say ")
    assert "eim" not in said


def test_texts_of_others_keep_what_they_say_and_lose_passwords() -> None:
    assert (
        masked('no "me@db" at postgresql://u:geh/eim@h:1, they say') == 'no "me@db" at postgresql://u:***@h:1, they say'
    )
    assert masked("password=geheim failed: FATAL") == "password=*** failed: FATAL"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, " ") for name in (*HTTP, "REDIS_URL", "DATABASE_URL", "KAFKA_BOOTSTRAP_SERVERS")),
        ("REDIS_URL", "redis://"),
        ("REDIS_URL", "redis://localhost:abc"),
        ("REDIS_URL", "redis://localhost/first"),
        ("REDIS_URL", "unix://"),
        ("DATABASE_URL", "postgresql://h:abc/db"),
        ("DATABASE_URL", "postgresql://h:1,g:99999/db"),
        ("DATABASE_URL", "postgresql://h/db?nonsense=1"),
        ("KAFKA_BOOTSTRAP_SERVERS", "a:99999"),
        ("KAFKA_BOOTSTRAP_SERVERS", "a:0"),
        ("KAFKA_BOOTSTRAP_SERVERS", "a:1,"),
        ("KAFKA_BOOTSTRAP_SERVERS", "a b:1"),
        ("KAFKA_TOPIC", "."),
        ("KAFKA_TOPIC", ".."),
    ],
)
def test_servers_too(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    said = _refused(monkeypatch, name, value)
    assert said.startswith(f"{name} is '{value}': ")
    assert " say " in said


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REDIS_URL", "rediss://u:g%23h@[::1]:6379/0?ssl_cert_reqs=none"),
        ("REDIS_URL", "unix://u:g@/run/redis@1.sock?db=1"),
        ("DATABASE_URL", "postgresql:///foliolog?host=/a/.data/run&user=foliolog"),
        ("DATABASE_URL", "postgresql://u:p%2F@h:1,[::1]:2/db?target_session_attrs=read-write"),
        ("DATABASE_URL", "postgres://u:p#?@h/db"),
        ("KAFKA_BOOTSTRAP_SERVERS", "a-1.b:9092, [::1]:9092,10.0.0.1:65535"),
        ("KAFKA_TOPIC", "..."),
    ],
)
def test_what_their_clients_read_is_taken(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    assert getattr(read_settings(), name.lower()) == value


def test_every_path_is_looked_at() -> None:
    found = [name.upper() for name, field in Settings.model_fields.items() if "Path" in str(field.annotation)]
    assert sorted(found) == sorted(PATHS)


@pytest.mark.parametrize("name", PATHS)
def test_a_path_begins_at_home_or_where_the_caller_stands(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    for folder, told, meant in [
        ("", "~/x", "/home/somebody/x"),
        ("", "x/y", "x/y"),
        ("/where he stands", "x/y", "/where he stands/x/y"),
        ("/where he stands", "~/x", "/home/somebody/x"),
        ("/where he stands", "/x", "/x"),
    ]:
        monkeypatch.setenv(CALLED_FROM, folder)
        monkeypatch.setenv(name, told)
        assert getattr(read_settings(), name.lower()) == Path(meant) == placed(Path(told))


def test_a_path_that_nobody_gave_is_in_the_folder_of_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CALLED_FROM, "/where he stands")
    assert read_settings().data_dir == Path(".data")


@pytest.mark.parametrize("name", PATHS)
def test_the_home_of_nobody_is_a_sentence(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    assert _refused(monkeypatch, name, "~no-such-user/x") == (
        f"{name} is '~no-such-user/x': name a folder without ~, the home of that user is not known."
    )
