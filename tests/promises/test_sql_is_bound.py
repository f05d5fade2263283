"""No statement is text that a value was put into: values are bound, always.

Where text of SQL is put together at all, it is of words and names of ours, and stands in
:data:`PUT_TOGETHER` with the reason why nothing of it is anybody else's.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tests.promises._source import modules

_TAKES_SQL = frozenset({"text", "literal_column", "DDL", "TextClause", "exec_driver_sql"})
_OF_A_DRIVER = frozenset({"cursor", "raw", "_raw", "driver_connection"})
_SQL = re.compile(
    r"\b(?:SELECT|INSERT INTO|UPDATE|DELETE FROM|CREATE|DROP|ALTER|TRUNCATE|PRAGMA|ANALYZE|WHERE"
    r"|ORDER BY|GROUP BY|VALUES|SET|SAVEPOINT|RELEASE|ROLLBACK|ON CONFLICT|ON DUPLICATE|COLLATE"
    r"|CAST|INTERVAL|(?<!MAIL )FROM|JOIN)\b"
)

_NUMBER = "a number that is a constant of ours"
_RENDERED = "what SQLAlchemy has rendered already, its values bound"
_NAMES = "names of our tables and columns, quoted; the values are the statement's one parameter"
_SPAN = "a length of time in whole numbers, of ours"
_SAVEPOINT = "the name of our savepoint, a constant"
_EXPRESSION = "an attribute's expression, its quotes doubled: an index can't have parameters"
PUT_TOGETHER = {
    "segments.text_sql._key_text": _RENDERED,
    "segments.text_sql._by_code_point": _RENDERED,
    "store.bulk._Bulk._many.run": _NAMES,
    "store.bulk._Bulk._whole.run": _NAMES,
    "store.bulk._Insertion._head": _NAMES,
    "store.bulk._run_objects.run": _NAMES,
    "store.bulk.InsertNew._tail": _NAMES,
    "store.bulk.Upsert._tail": _NAMES,
    "store.bulk.Upsert._tail.incoming": _NAMES,
    "store.engine._limit_sqlite": _NUMBER,
    "store.engine._limit_postgresql": _NUMBER,
    "store.engine._limit_mysql": _NUMBER,
    "store.engine.refresh_statistics": "the name of a table of ours, from our code",
    "store.hot_index.keep_hot": "the name of an index of ours: a prefix and a hash",
    "store.hot_index._existing": "one of two literals above",
    "store.hot_index._create": _EXPRESSION,
    "store.hot_index._of_postgresql": _EXPRESSION,
    "store.hot_index._do": "what the two above have made",
    "store.migrate._waiting_longer": _NUMBER,
    "store.migrate._lock": _NUMBER,
    "store.moment._postgresql": _SPAN,
    "store.moment._mysql": _SPAN,
    "store.person_activity._sqlite": _SPAN,
    "store.person_activity._postgresql": _SPAN,
    "store.shared._SharedConnection.begin": _SAVEPOINT,
    "store.shared._SharedConnection.commit": _SAVEPOINT,
    "store.shared._SharedConnection.rollback": _SAVEPOINT,
    "store.time_limit.statements_within": "a number of seconds, of ours",
    "store.time_limit._reset": "what the one above says",
}


def _texts(tree: ast.AST, place: str = "") -> Iterator[tuple[str, int, str]]:
    """Yield where SQL is made of more than one text: function, line and what stands there."""
    for node in ast.iter_child_nodes(tree):
        inner = place
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            inner = f"{place}.{node.name}"
        found = _is_made_sql(node) or (isinstance(node, ast.Call) and _is_given_sql(node))
        if found:
            yield inner or ".", getattr(node, "lineno", 0), ast.unparse(node)[:100]
        yield from _texts(node, inner)


def _is_given_sql(call: ast.Call) -> bool:
    """Tell whether text that isn't a literal is given to what takes it for SQL."""
    name = _last_name(call.func)
    of_driver = name in ("execute", "executemany") and isinstance(call.func, ast.Attribute)
    if of_driver and isinstance(call.func, ast.Attribute):
        of_driver = _last_name(call.func.value) in _OF_A_DRIVER
    if not (name in _TAKES_SQL or of_driver) or not call.args:
        return False
    return not isinstance(call.args[0], ast.Constant)


def _is_made_sql(node: ast.AST) -> bool:
    """Tell whether this puts something into a text that reads like SQL."""
    parts: list[ast.expr] = []
    if isinstance(node, ast.JoinedStr):
        if all(isinstance(part, ast.Constant) for part in node.values):
            return False
        parts = node.values
    elif isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Mod, ast.Add)):
        parts = [node.left, node.right]
    elif isinstance(node, ast.Call) and _last_name(node.func) in ("format", "replace"):
        parts = [node.func.value] if isinstance(node.func, ast.Attribute) else []
    held = [part.value for part in parts if isinstance(part, ast.Constant)]
    return any(isinstance(text, str) and _SQL.search(text) for text in held)


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else ""


def _found() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for module in modules():
        name = module.name.removeprefix("flask_engage.")
        for place, line, text in _texts(ast.parse(module.path.read_text("utf-8"))):
            found.setdefault(f"{name}{place}", []).append(f"{name}:{line} {text}")
    return found


def test_no_sql_is_made_of_values() -> None:
    found = _found()
    new = [one for place, texts in found.items() if place not in PUT_TOGETHER for one in texts]
    assert not new, "bind these values, or say in PUT_TOGETHER why none is foreign:\n" + "\n".join(
        new
    )
    assert not set(PUT_TOGETHER) - set(found), "these put no text together any more"


def test_the_look_at_the_source_finds_what_it_looks_for() -> None:
    wrong = {
        "session.execute(text(f'DELETE FROM x WHERE n = {name}'))",
        "connection.exec_driver_sql(query)",
        "query = 'SELECT * FROM person WHERE name = %s' % name",
        "query = 'SELECT * FROM person WHERE name = ' + name",
        "query = 'SELECT * FROM {}'.format(name)",
        "literal_column(name)",
        "cursor.execute(query)",
    }
    right = {
        "session.execute(select(Row).where(Row.name == name))",
        "session.execute(text('SELECT :name'), {'name': name})",
        "f'{name} is not among {names}'",
        "'%s people' % number",
    }
    for source in wrong:
        assert list(_texts(ast.parse(source))), source
    for source in right:
        assert not list(_texts(ast.parse(source))), source
