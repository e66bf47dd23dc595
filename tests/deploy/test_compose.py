"""docker-compose.yml: all in it is pinned, bounded and guarded, and the application knows the words it is given."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import pytest
import typer

from api.__main__ import main
from api.app import VERSION
from api.cli.serve import Role
from api.settings import Settings, read_settings
from tests.architecture.tree import ROOT
from tests.deploy import compose, image

SECRETS = {"POSTGRES_PASSWORD", "REDIS_PASSWORD", "ELASTIC_PASSWORD"}
OTHER_PEOPLES = re.compile(r"PYTHON[A-Z]+|MALLOC_[A-Z_]+|OPENBLAS_NUM_THREADS|PATH|HOME")
"""Environment variables that are no settings of ours."""

every_service = pytest.mark.parametrize("name", compose.services())
every_one_of_ours = pytest.mark.parametrize("name", compose.ours())


def test_it_is_a_compose_file() -> None:
    checked = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(compose.FILE)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


@every_service
def test_what_a_service_names_is_there(name: str) -> None:
    service, whole = compose.services()[name], compose.document()
    assert set(service["networks"]) <= set(whole["networks"])
    assert {volume.partition(":")[0] for volume in service.get("volumes", ())} <= set(whole["volumes"])
    assert set(service.get("secrets", ())) <= set(whole["secrets"])
    for other, how in service.get("depends_on", {}).items():
        waited_for = compose.services()[other]
        if how["condition"] == "service_healthy":
            assert "test" in waited_for["healthcheck"], f"{name} waits for {other}, of which nobody knows how it is"
        if how["condition"] == "service_completed_successfully":
            assert waited_for["restart"] == "no"


@every_service
def test_an_image_has_a_whole_version(name: str) -> None:
    service = compose.services()[name]
    _, _, tag = service["image"].rpartition(":")
    assert re.match(r"\d+\.\d+", tag), f"{service['image']}: name a version"
    if "build" in service:
        assert tag == VERSION
        assert ROOT / service["build"]["context"] / service["build"]["dockerfile"] == image.FILE


@every_service
def test_a_service_is_bounded_and_has_no_powers(name: str) -> None:
    service = compose.services()[name]
    assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}, "a log must not fill the disk"
    assert service["restart"] == ("no" if name == "migrate" else "unless-stopped")
    assert {"privileged", "cap_add", "pid", "network_mode", "devices"}.isdisjoint(service)
    assert not any("docker.sock" in text for text in compose.texts(service))


@every_one_of_ours
def test_one_of_ours_writes_nowhere_but_where_it_says(name: str) -> None:
    service = compose.services()[name]
    assert service["read_only"] is True
    assert [entry.partition(":")[0] for entry in service["tmpfs"]] == ["/tmp"]
    mounted = [volume.split(":")[1] for volume in service.get("volumes", ())]
    assert mounted in ([], [service["environment"]["OUTPUT_DIR"]])
    assert service["init"] is True


def test_who_sends_batches_has_the_folder_of_files() -> None:
    senders = {name for name, role in compose.roles().items() if role in {"http", "commands", "worker"}}
    assert {
        name for name in senders if "files:/var/lib/foliolog/files" in compose.services()[name]["volumes"]
    } == senders


@every_service
def test_a_service_is_looked_after(name: str) -> None:
    service = compose.services()[name]
    if name not in compose.ours():
        assert service["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}
    elif "ports" in service:
        assert "healthcheck" not in service, "the image's looks at /readyz"
    else:
        assert service["healthcheck"] == {"disable": True}, "it has no port that the image's could ask"


def test_only_what_answers_is_published_and_only_here() -> None:
    published = {name: service["ports"] for name, service in compose.services().items() if "ports" in service}
    answering = {name for name, role in compose.roles().items() if role in {"http", "commands", "queries"}}
    assert published.keys() == answering
    for ports in published.values():
        assert all(re.fullmatch(r"127\.0\.0\.1:\d+:8080", compose.filled_in(port, {})) for port in ports)
    for name, service in compose.services().items():
        if name not in compose.ours():
            assert service["networks"] == ["data"]
    assert compose.document()["networks"]["data"]["internal"] is True


def test_what_answers_listens_where_it_is_published_whatever_the_settings_say() -> None:
    for service in compose.services().values():
        for published in service.get("ports", ()):
            assert service["environment"]["PORT"] == published.rpartition(":")[2]
    assert "os.environ.get('PORT')" in image.healthcheck()[-1]


def test_every_variable_is_explained_and_no_secret_has_a_default() -> None:
    told = (ROOT / "docs" / "production.md").read_text(encoding="utf-8")
    assert [name for name in compose.variables() if f"`{name}`" not in told] == []
    assert {name for name, defaults in compose.variables().items() if None in defaults} == SECRETS
    assert all(defaults == {None} for name, defaults in compose.variables().items() if name in SECRETS)


@every_one_of_ours
def test_the_application_knows_every_variable_that_it_is_given(name: str) -> None:
    given = compose.services()[name]["environment"].keys() | image.environment().keys()
    known = {field.upper() for field in Settings.model_fields}
    assert {each for each in given if not OTHER_PEOPLES.fullmatch(each)} - known == set()


@every_one_of_ours
def test_the_application_takes_what_it_is_given(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given = image.environment() | compose.environment(name, dict.fromkeys(SECRETS, "a1b2"))
    for field in Settings.model_fields:
        monkeypatch.delenv(field.upper(), raising=False)
    for variable, value in given.items():
        monkeypatch.setenv(variable, value)
    settings = read_settings()
    assert settings.database_url == "postgresql://foliolog:a1b2@postgres:5432/foliolog"
    assert None not in (settings.redis_url, settings.elasticsearch_url, settings.kafka_bootstrap_servers)
    assert settings.has_keys is ("ports" in compose.services()[name])


def test_every_role_has_a_service() -> None:
    assert set(compose.roles().values()) == set(Role) - {Role.ALL}


@every_one_of_ours
def test_the_application_knows_every_command(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed(compose.services()[name]["command"], monkeypatch)


def test_the_application_knows_the_command_of_the_image(monkeypatch: pytest.MonkeyPatch) -> None:
    assert image.the("ENTRYPOINT").words == ["python", "-m", "api"]
    parsed(image.the("CMD").words, monkeypatch)
    with pytest.raises(Exception, match="nonsense"):
        parsed(["serve", "--role", "nonsense"], monkeypatch)


def parsed(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Parse the words as the command line does, without running anything."""
    built: list[Any] = []
    monkeypatch.setattr(typer.Typer, "__call__", lambda app, **_: built.append(typer.main.get_command(app)))
    main()
    command, *rest = words
    built[0].commands[command].make_context(command, rest)
