"""What the import rules in pyproject.toml cannot say: no cycles, what the domain may import, who names adapters."""

from __future__ import annotations

import subprocess
import sys
from graphlib import CycleError, TopologicalSorter

import grimp
import pytest

from tests.architecture.tree import PACKAGES, ROOT, existing_packages


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph(*existing_packages(), include_external_packages=True, cache_dir=None)


def test_every_layer_is_there() -> None:
    assert existing_packages() == list(PACKAGES)


def test_no_module_cycle_anywhere(graph: grimp.ImportGraph) -> None:
    order = TopologicalSorter({name: graph.find_modules_directly_imported_by(name) for name in graph.modules})
    try:
        order.prepare()
        cycle: list[str] = []
    except CycleError as error:
        cycle = error.args[1][::-1]
    assert " -> ".join(cycle) == ""


def test_the_domain_needs_only_the_standard_library_eventsourcing_and_msgspec(graph: grimp.ImportGraph) -> None:
    allowed = sys.stdlib_module_names | {"domain", "eventsourcing", "msgspec"}
    found = {
        f"{importer} imports {imported}"
        for importer in graph.modules
        if importer.split(".")[0] == "domain"
        for imported in graph.find_modules_directly_imported_by(importer)
        if imported.split(".")[0] not in allowed
    }
    assert found == set()


def test_queries_never_reach_the_write_side_not_even_through_others(graph: grimp.ImportGraph) -> None:
    if {"api.queries", "write_side"} <= graph.modules:
        assert graph.find_shortest_chains("api.queries", "write_side", as_packages=True) == set()


def test_only_bootstrap_names_adapters(graph: grimp.ImportGraph) -> None:
    found = {
        f"{importer} imports {adapter}"
        for adapter in graph.modules
        if ".adapters" in adapter
        for importer in graph.find_modules_that_directly_import(adapter)
        if not f"{importer}.".startswith("api.bootstrap.") and ".adapters" not in importer
    }
    assert found == set()


def test_the_import_rules_have_no_list_of_exceptions() -> None:
    rules = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert "ignore_imports" not in rules
    assert "as_packages = false" not in rules
    assert "allow_indirect_imports" not in rules


def test_a_process_loads_no_client_of_a_server_that_is_not_set_and_no_framework_that_it_does_not_need() -> None:
    modules = ("answering", "projecting", "working", "operating")
    loading = "\n".join(f"import api.bootstrap.{name}" for name in modules)
    assert _loaded(loading, "elasticsearch", "aiokafka") == ""
    for name in ("projecting", "working", "operating", "relaying"):
        needless = ["fastapi", "uvicorn", "elasticsearch", *(["numpy"] if name != "working" else [])]
        assert _loaded(f"import api.cli.serve, api.bootstrap.{name}", *needless) == "", name


def _loaded(statements: str, *packages: str) -> str:
    """Return which of the packages are loaded after these statements, with spaces between them."""
    program = f"{statements}\nimport sys\nprint(*(name for name in {packages!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()
