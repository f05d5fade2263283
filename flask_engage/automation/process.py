"""Which processes may run the scheduler: those that serve requests, and no others."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import PurePath

_SERVERS = ("gunicorn", "uwsgi", "waitress", "hypercorn", "granian", "mod_wsgi")
_OPTIONS_WITH_VALUE = ("-A", "--app", "-e", "--env-file")


def serves(argv: Sequence[str] | None = None, environ: Mapping[str, str] | None = None) -> bool:
    """Tell whether this process may start threads of ours at its first request.

    Of Flask's own commands only ``run`` serves: in ``shell`` and the like a request comes
    from a test client. The parent of Werkzeug's reloader never gets a request at all.
    """
    argv = sys.argv if argv is None else argv
    environ = os.environ if environ is None else environ
    if environ.get("FLASK_RUN_FROM_CLI") != "true":
        return True
    program = PurePath(argv[0]).name if argv else ""
    if program.startswith(_SERVERS):  # started by a command of Flask's, whose mark it inherits
        return True
    return _command(argv[1:]) == "run"


def _command(arguments: Sequence[str]) -> str | None:
    words = iter(arguments)
    for word in words:
        if word in _OPTIONS_WITH_VALUE:
            next(words, None)
        elif not word.startswith("-"):
            return word
    return None
