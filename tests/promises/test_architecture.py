"""The house stays as it is drawn: rooms in one direction, each thing in its one place."""

from __future__ import annotations

import ast
import re
import sys
import tomllib

import pytest

from tests.promises._source import PACKAGE, ROOT, Module, modules, where

#: In the order in which data flows: a room imports only from rooms before it.
ORDER: tuple[frozenset[str], ...] = tuple(
    frozenset(names.split())
    for names in (
        (
            "settings _setting_checks errors signals types _clock _ending _fork _guard _language "
            "_state"
        ),
        "store",
        "capture",
        "people",
        "segments",
        "messages",
        "automation",
        "delivery",
        "conversations",
        "reports",
        "_symptoms",
        (
            "_advice _databases _migrate_guard _operations _sending _custom_data _enrichment "
            "_progress _relationship _membership _transfer _runner _jobs"
        ),
        "_check",
        "cli_people cli_check",
        "widget dashboard api cli",
        "_registrations _wiring _wrap",
        "extension",
        "__init__",
        "testing",
    )
)
EDGES = frozenset({"widget", "dashboard", "api", "cli", "cli_check", "cli_people"})
#: The state is where all is wired together: it names the types of later rooms, no more.
NAMES_LATER_TYPES = frozenset({"flask_engage._state"})

#: What an app does with the rooms, and how they are put together for it.
APP = frozenset(
    {
        "_advice",
        "_check",
        "_custom_data",
        "_databases",
        "_enrichment",
        "_jobs",
        "_membership",
        "_migrate_guard",
        "_operations",
        "_progress",
        "_relationship",
        "_runner",
        "_sending",
        "_transfer",
    }
)

WITH_FLASK = EDGES | APP | {"_wiring", "_wrap", "_state", "extension", "testing", "__init__"}
#: Capture meets the request in these; its other modules are given what they need.
CAPTURE_WITH_FLASK = frozenset(
    {
        "flask_engage.capture.hooks",
        "flask_engage.capture.identity",
        "flask_engage.capture.tracked",
    }
)

ONE_PLACE = {
    "apscheduler": ("flask_engage.automation.scheduler",),
    "alembic": ("flask_engage.store.migrate", "flask_engage.store.migrations"),
    "nh3": ("flask_engage.messages",),
    "urllib3": ("flask_engage.people.enrich.outbound",),
    "mistune": ("flask_engage.messages",),
}

MAX_LINES = 500
EMPTY_NAMES = {"utils", "helpers", "core", "manager", "common", "misc"}


def level(room: str) -> int:
    for number, names in enumerate(ORDER):
        if room in names:
            return number
    pytest.fail(f"flask_engage/{room} is in no place of ORDER")


def room_of(dotted: str) -> str:
    parts = dotted.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def test_every_room_has_its_place() -> None:
    for module in modules():
        level(module.room)


def test_imports_flow_one_way() -> None:
    wrong = []
    for module in modules():
        for found in module.imports():
            if found.module.split(".")[0] != "flask_engage":
                continue
            other = room_of(found.module)
            if other == module.room or module.room == "__init__":
                continue
            if found.for_types and module.name in NAMES_LATER_TYPES:
                continue
            here, there = level(module.room), level(other)
            together = here == there and {module.room, other} <= ORDER[0] | APP
            if there >= here and not together:
                wrong.append(f"{where(module, found.line)} imports {found.module}")
    assert not wrong, "\n".join(wrong)


def test_flask_stays_out_of_the_inner_rooms() -> None:
    wrong = [
        f"{where(module, found.line)} imports {found.module}"
        for module in modules()
        if module.room not in WITH_FLASK and module.name not in CAPTURE_WITH_FLASK
        for found in module.imports()
        if re.match(r"flask($|\.|_(?!engage))", found.module)
    ]
    assert not wrong, "\n".join(wrong)


def test_edges_hold_no_sql() -> None:
    wrong = [
        f"{where(module, found.line)} imports {found.module}"
        for module in modules()
        if module.room in EDGES
        for found in module.imports()
        if found.module.split(".")[0] == "sqlalchemy" and not found.for_types
    ]
    assert not wrong, "\n".join(wrong)


def test_tables_are_declared_in_the_store_only() -> None:
    wrong = [
        where(module, node.lineno)
        for module in modules()
        if module.room != "store"
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Assign)
        and any(isinstance(name, ast.Name) and name.id == "__tablename__" for name in node.targets)
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("package", ONE_PLACE)
def test_a_library_is_used_in_its_one_place(package: str) -> None:
    wrong = [
        f"{where(module, found.line)} imports {found.module}"
        for module in modules()
        if not module.name.startswith(ONE_PLACE[package])
        for found in module.imports()
        if found.module.split(".")[0] == package and not found.for_types
    ]
    assert not wrong, "\n".join(wrong)


def test_modules_stay_small() -> None:
    sizes = {m.path: len(m.path.read_text(encoding="utf-8").splitlines()) for m in modules()}
    wrong = [f"{path.relative_to(ROOT)}: {n}" for path, n in sizes.items() if n > MAX_LINES]
    assert not wrong, "\n".join(wrong)


def test_every_room_says_what_it_is_for() -> None:
    wrong = [
        str(module.path.relative_to(ROOT))
        for module in modules()
        if module.tree.body and not ast.get_docstring(module.tree)
    ]
    assert not wrong, "\n".join(wrong)


def test_no_module_has_a_name_that_says_nothing() -> None:
    names = {path.stem.strip("_") for path in PACKAGE.rglob("*")}
    assert not names & EMPTY_NAMES


# --- no work at import -----------------------------------------------------------------------

_WORK = re.compile(
    r"\b(create_engine|sessionmaker|scoped_session|Thread|Timer|BackgroundScheduler|open|connect"
    r"|getenv|environ|read_text|read_bytes|mkdir|run|Popen|getLogger\(\)\.setLevel)\b"
)


def _import_time_code(module: Module) -> list[ast.AST]:
    """Return what runs when the module is imported: calls outside of function bodies."""
    found: list[ast.AST] = []

    def visit(node: ast.AST) -> None:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            for decorator in node.decorator_list:
                visit(decorator)
            return
        if isinstance(node, ast.Lambda):
            return
        if isinstance(node, (ast.Call, ast.Attribute)):
            found.append(node)
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(module.tree)
    return found


def test_importing_does_no_work() -> None:
    wrong = []
    for module in modules():
        if module.name == "flask_engage.store.migrations.env":
            continue  # Alembic runs it as a script
        for node in _import_time_code(module):
            called = ast.unparse(node.func if isinstance(node, ast.Call) else node)
            if _WORK.search(called.split(".")[-1]):
                wrong.append(f"{where(module, node.lineno)}: {called}")  # type: ignore[attr-defined]
        wrong += [
            f"{where(module, node.lineno)}: a call whose result nobody keeps"
            for node in module.tree.body
            if isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Call)
            and module.name != "flask_engage.store.migrations.env"
        ]
    assert not wrong, "\n".join(wrong)


# --- broad excepts, dependencies -------------------------------------------------------------

#: Where a broad `except` is the point, each with its reason.
MAY_CATCH_ALL = {
    "flask_engage._guard": "the one boundary between our errors and the host",
    "flask_engage._custom_data": "a provider that fails leaves the others their turn",
    "flask_engage.capture.hooks": "asks the guard itself: each request passes here",
    "flask_engage.capture.recorder": "asks the guard itself: each request passes here",
    "flask_engage.capture.tracked": "asks the guard itself: each event of a page passes here",
    "flask_engage.capture.writer_thread": "says that the thread has ended, then raises again",
    "flask_engage.automation.evaluate": "a rule that fails leaves the others",
    "flask_engage.automation.jobs": "a job that fails leaves the others and its next turn",
    "flask_engage.cli": "the doctor reports whatever it meets; refresh runs code of the host's",
    "flask_engage.people.enrich.work": "an enricher that fails costs one person's turn",
    "flask_engage.people.host_users": "identify() that fails for one user leaves the others",
    "flask_engage.people.providers": "a host function that fails for one user leaves the others",
    "flask_engage.people.relationship": "why a run was given up is written down, then raised again",
    "flask_engage.people.refresh": "why a run was given up is written down, then raised again",
    "flask_engage.people.watch": "what a watched thread raises is raised again by the watcher",
}


def test_only_the_guard_catches_everything() -> None:
    wrong = [
        where(module, node.lineno)
        for module in modules()
        if module.name not in MAY_CATCH_ALL
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or ast.unparse(node.type) in ("Exception", "BaseException"))
    ]
    assert not wrong, "\n".join(wrong)


def test_every_imported_library_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {re.split(r"[<>=!~\[; ]", line)[0] for line in project["dependencies"]}
    optional = {"flask_login", "flask_migrate", "maxminddb", "urllib3"}  # used if the host has them
    imported = {
        found.module.split(".")[0]
        for module in modules()
        for found in module.imports()
        if not found.for_types
    }
    ours = imported - set(sys.stdlib_module_names) - {"flask_engage", "pytest"} - optional
    assert ours <= declared, f"not in pyproject.toml: {ours - declared}"
