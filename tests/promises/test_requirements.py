"""The pins name versions and no addresses, agree with each other and cover the package."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tests.promises._source import ROOT

FOLDER = ROOT / "requirements"
PIN = re.compile(r"^(?P<name>[a-z0-9][a-z0-9.-]*)==(?P<version>[\w.+!-]+)(?P<when> ; .+)?$")


def pins(path: Path) -> dict[str, set[tuple[str, str]]]:
    found: dict[str, set[tuple[str, str]]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        pin = PIN.match(line)
        assert pin, f"{path.name}: {line!r} is no pin"
        found.setdefault(pin["name"], set()).add((pin["version"], pin["when"] or ""))
    return found


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.txt")), ids=lambda path: path.name)
def test_a_file_of_pins_holds_pins_only(path: Path) -> None:
    assert pins(path)


def test_the_pins_agree() -> None:
    versions: dict[str, set[str]] = {}
    for path in FOLDER.glob("*.txt"):
        for name, found in pins(path).items():
            plain = {version for version, when in found if "python" not in when}
            versions.setdefault(name, set()).update(plain)
    assert not {name: found for name, found in versions.items() if len(found) > 1}


@pytest.mark.parametrize(
    ("extra", "file"), [(None, "run.txt"), ("example", "run.txt"), ("test", "test.txt")]
)
def test_every_declared_dependency_is_pinned(extra: str | None, file: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = project["optional-dependencies"][extra] if extra else project["dependencies"]
    names = {re.split(r"[<>=!~\[; ]", line)[0].lower() for line in lines} - {"flask-engage"}
    assert names <= pins(FOLDER / file).keys()
