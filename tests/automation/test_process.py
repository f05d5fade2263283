"""Which processes may start the scheduler's thread."""

from __future__ import annotations

import pytest

from flask_engage.automation.process import serves

FROM_CLI = {"FLASK_RUN_FROM_CLI": "true"}


@pytest.mark.parametrize(
    ("argv", "environ", "expected"),
    [
        (["/usr/bin/gunicorn", "-w", "4", "app:app"], {}, True),
        (["/usr/bin/gunicorn", "-w", "4", "app:app"], FROM_CLI, True),
        (["serve.py"], {}, True),
        (["/usr/bin/flask", "run"], FROM_CLI, True),
        (["/usr/bin/flask", "--app", "shop", "--debug", "run", "--port", "80"], FROM_CLI, True),
        (["/usr/bin/flask", "-A", "run", "shell"], FROM_CLI, False),
        (["/usr/bin/flask", "--app=run", "shell"], FROM_CLI, False),
        (["/usr/bin/flask", "db", "upgrade"], FROM_CLI, False),
        (["/usr/bin/flask", "engage", "worker"], FROM_CLI, False),
        (["manage.py", "seed"], FROM_CLI, False),
        (["/usr/bin/flask"], FROM_CLI, False),
        ([], {}, True),
    ],
)
def test_process_serves_under_a_server_and_under_flask_run(argv, environ, expected) -> None:
    assert serves(argv, environ) is expected
