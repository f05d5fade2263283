"""A filter as something to take apart: find a part by its path, change it, get a new filter.

A path is a row of positions, from the whole to the part. A group that is negated is one
place, not two: ``~(a | b)`` has the parts ``a`` and ``b``.
"""

from __future__ import annotations

from ..errors import InvalidFilter
from ..segments.filter import AllOf, AnyOf, Everyone, Filter, Not, all_of, any_of

Path = tuple[int, ...]
_LONGEST_PATH = 20


def read_path(text: str) -> Path:
    """Return the path that `text` says, such as ``0.2``; the empty text is the whole.

    :raises InvalidFilter: if it is none.
    """
    if not text:
        return ()
    parts = text.split(".")
    if len(parts) > _LONGEST_PATH or not all(
        part.isascii() and part.isdigit() and len(part) < 4 for part in parts
    ):
        raise InvalidFilter(f"at: {text!r:.60} is no place in a filter, such as 0 or 1.2.")
    return tuple(int(part) for part in parts)


def path_text(path: Path) -> str:
    """Return `path` as :func:`read_path` reads it."""
    return ".".join(map(str, path))


def group_of(node: Filter) -> AllOf | AnyOf | None:
    """Return the group that `node` is, negated or not; None if it is a single condition."""
    inner = node.part if isinstance(node, Not) else node
    return inner if isinstance(inner, (AllOf, AnyOf)) else None


def part_at(node: Filter, path: Path) -> Filter:
    """Return the part of `node` at `path`.

    :raises InvalidFilter: if there is nothing.
    """
    for position in path:
        group = group_of(node)
        if group is None or position >= len(group.parts):
            raise InvalidFilter(f"at: the filter has no part {path_text(path)!r}.")
        node = group.parts[position]
    return node


def replaced(node: Filter, path: Path, new: Filter | None) -> Filter | None:
    """Return `node` with `new` at `path`; None takes the part out, and may leave nothing."""
    if not path:
        return new
    part_at(node, path[:1])
    group = group_of(node)
    assert group is not None
    position = path[0]
    inner = replaced(group.parts[position], path[1:], new)
    kept = () if inner is None else (inner,)
    parts = (*group.parts[:position], *kept, *group.parts[position + 1 :])
    if not parts:
        return None
    return _like(node, group, parts)


def added(node: Filter, new: Filter) -> Filter:
    """Return `node` with one more condition: beside the others, if it is a group."""
    if isinstance(node, Everyone):
        return new
    if isinstance(node, AnyOf):
        return any_of((*node.parts, new))
    return all_of((node, new))


def negated(node: Filter, path: Path) -> Filter:
    """Return `node` with the part at `path` turned into its opposite."""
    return _whole(replaced(node, path, ~part_at(node, path)))


def switched(node: Filter, path: Path) -> Filter:
    """Return `node` with all and any exchanged in the group at `path`."""
    part = part_at(node, path)
    group = group_of(part)
    if group is None:
        raise InvalidFilter(f"at: the part {path_text(path)!r} is no group.")
    other = any_of(group.parts) if isinstance(group, AllOf) else all_of(group.parts)
    return _whole(replaced(node, path, ~other if isinstance(part, Not) else other))


def _like(node: Filter, group: AllOf | AnyOf, parts: tuple[Filter, ...]) -> Filter:
    made = all_of(parts) if isinstance(group, AllOf) else any_of(parts)
    return ~made if isinstance(node, Not) else made


def _whole(found: Filter | None) -> Filter:
    return Everyone() if found is None else found
