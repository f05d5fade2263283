"""A filter as something to take apart: find a part by its path, change it, get a new filter.

A path is a row of positions, from the whole to the part. A group that is negated is one
place, not two: ``~(a | b)`` has the parts ``a`` and ``b``.
"""

from __future__ import annotations

from ..errors import InvalidFilter
from ..segments.filter import AllOf, AnyOf, Everyone, Filter, Not, all_of, any_of

Path = tuple[int, ...]

DEEPEST = 4
"""Groups within each other that the builder makes; nobody reads more."""
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


def added_at(node: Filter, path: Path, new: Filter, is_all: bool) -> Filter:
    """Return `node` with `new` beside the part at `path`: all of them or any of them.

    A group takes it in, whatever joins its parts; a condition becomes a group with it.
    """
    part = part_at(node, path)
    group = group_of(part)
    if group is None:
        made = all_of((part, new)) if is_all else any_of((part, new))
    else:
        made = _like(part, group, (*group.parts, new))
    return check_levels(_whole(replaced(node, path, made)))


def grouped(node: Filter, paths: list[Path], is_all: bool) -> Filter:
    """Return `node` with the parts at `paths`, which stand beside each other, as one group.

    :raises InvalidFilter: if there are fewer than two, or they stand in different groups.
    """
    paths = sorted(set(paths))
    if len(paths) < 2:
        raise InvalidFilter("pick: choose two or more conditions that are to be one group.")
    above = paths[0][:-1]
    if any(not path or path[:-1] != above for path in paths):
        raise InvalidFilter("pick: choose conditions that stand in one and the same group.")
    picked = tuple(part_at(node, path) for path in paths)
    group = part_at(node, above)
    around = group_of(group)
    assert around is not None
    made = all_of(picked) if is_all else any_of(picked)
    first, others = paths[0][-1], {path[-1] for path in paths[1:]}
    parts = tuple(
        made if number == first else part
        for number, part in enumerate(around.parts)
        if number not in others
    )
    return check_levels(_whole(replaced(node, above, _like(group, around, parts))))


def levels(node: Filter) -> int:
    """Return how many groups stand within each other in `node` at most."""
    group = group_of(node)
    return 0 if group is None else 1 + max(levels(part) for part in group.parts)


def check_levels(node: Filter) -> Filter:
    """Return `node`, if the builder makes groups as deep.

    :raises InvalidFilter: if not, naming the way out.
    """
    if levels(node) > DEEPEST:
        raise InvalidFilter(
            f"into: groups stand at most {DEEPEST} deep within each other here; save the inner "
            "part as a segment and ask for that."
        )
    return node


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
