"""Where everything is supposed to be there, a skipped test is a failed one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests._processes import run_python

SKIPPED = """
import pytest

def test_that_skips():
    pytest.skip("the moon is not reachable")

@pytest.mark.xfail(reason="known", strict=True)
def test_that_fails_as_known():
    raise RuntimeError
"""

SKIPPED_WHOLE = """
import pytest
pytest.importorskip("no_such_module", exc_type=ImportError)
"""


@pytest.mark.parametrize(
    ("source", "named"),
    [
        (SKIPPED, "test_that_skips was skipped, and no skip is allowed here"),
        (SKIPPED_WHOLE, "test_it.py was skipped, and no skip is allowed here"),
    ],
    ids=["one test", "a whole module"],
)
@pytest.mark.parametrize("allowed", [True, False])
def test_a_skip_fails_where_none_is_allowed(
    tmp_path: Path, source: str, named: str, allowed: bool
) -> None:
    (tmp_path / "test_it.py").write_text(source)
    result = run_python(
        *("-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider"),
        *("--rootdir", tmp_path, tmp_path),
        cwd=tmp_path,
        ENGAGE_TEST_NO_SKIPS="0" if allowed else "1",
    )
    # 0: passed; 5: nothing was left to run; 1 and 2: failed, in a test or at collection.
    assert (result.returncode in (0, 5)) is allowed, result.stdout
    assert (named in result.stdout) is not allowed, result.stdout
