"""The package's source as the promise tests read it: modules, rooms and imports."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "flask_engage"


@dataclass(frozen=True)
class Import:
    """One imported module: where it is imported, and whether for its types only."""

    module: str
    """Absolute dotted name, with the imported name when that is a module of ours."""
    names: tuple[str, ...]
    line: int
    for_types: bool
    at_top: bool


@dataclass(frozen=True)
class Module:
    """One module of the package."""

    path: Path

    @property
    def name(self) -> str:
        """Such as ``flask_engage.store.person``."""
        parts = self.path.relative_to(ROOT).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @property
    def room(self) -> str:
        """Such as ``store``, or the module's own name for one that is no folder."""
        parts = self.name.split(".")
        return parts[1] if len(parts) > 1 else "__init__"

    @property
    def tree(self) -> ast.Module:
        return _parsed(self.path)

    def imports(self) -> Iterator[Import]:
        """Give every import, wherever it stands in the module."""
        typing_only = _lines_for_types(self.tree)
        top = set(map(id, self.tree.body))
        for node in ast.walk(self.tree):
            if not isinstance(node, (ast.Import, ast.ImportFrom)):
                continue
            for module, names in self._targets(node):
                yield Import(
                    module, names, node.lineno, node.lineno in typing_only, id(node) in top
                )

    def _targets(self, node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, tuple[str, ...]]]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, ()
            return
        base = self._absolute(node)
        names = tuple(alias.name for alias in node.names)
        if base == "flask_engage":  # from .. import store, from flask_engage import Engage
            for name in names:
                yield (f"{base}.{name}" if _is_module(name) else base), (name,)
            return
        yield base, names

    def _absolute(self, node: ast.ImportFrom) -> str:
        if node.level == 0:
            return node.module or ""
        package = self.name.split(".")
        if self.path.name != "__init__.py":
            package.pop()
        package = package[: len(package) - (node.level - 1)]
        return ".".join([*package, *([node.module] if node.module else [])])


def _is_module(name: str) -> bool:
    return (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").is_file()


def _lines_for_types(tree: ast.Module) -> set[int]:
    lines: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for inner in node.body:
                lines.update(range(inner.lineno, (inner.end_lineno or inner.lineno) + 1))
    return lines


@cache
def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def modules() -> list[Module]:
    """Return all modules of the package."""
    return [Module(path) for path in sorted(PACKAGE.rglob("*.py"))]


def where(module: Module, line: int) -> str:
    """Name a place as an editor understands it."""
    return f"{module.path.relative_to(ROOT)}:{line}"
