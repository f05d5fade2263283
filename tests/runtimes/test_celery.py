"""A Celery worker whose tasks track: forked processes with a writer each, and no scheduler."""

from __future__ import annotations

import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests._databases import migrated
from tests._services import listens, unavailable
from tests.runtimes._server import PATIENCE, running, stored

BROKER = "amqp://guest:guest@127.0.0.1:5672//"


@pytest.fixture
def queue() -> Iterator[str]:
    """A queue of the test's own on RabbitMQ; gone afterwards."""
    if not listens(5672):
        unavailable("RabbitMQ on 127.0.0.1:5672", start="rabbitmq-server -detached")
    from kombu import Connection

    name = f"engage-test-{uuid.uuid4().hex[:12]}"
    yield name
    with Connection(BROKER) as connection:
        connection.channel().queue_delete(name)


def test_a_celery_worker_stores_what_its_tasks_track(queue: str, tmp_path: Path) -> None:
    from celery import Celery

    command = (sys.executable, "-m", "celery", "-A", "tests.runtimes._tasks:worker", "worker")
    command += ("--pool", "prefork", "--concurrency", "2", "-Q", queue, "-n", f"{queue}@test")
    command += ("--without-gossip", "--without-mingle", "--without-heartbeat")
    with Celery("shop", broker=BROKER) as sender, migrated("sqlite", tmp_path) as database:
        env = {"SERVED_BROKER": BROKER, "SERVED_QUEUE": queue}
        with running(command, tmp_path, database, **env) as worker:
            for number in range(30):
                sender.send_task("tests.runtimes._tasks.act", (number,), queue=queue)
            deadline = time.monotonic() + PATIENCE
            while len(done := list(tmp_path.glob("done-*"))) < 30:
                assert worker.process.poll() is None, worker.log()
                assert time.monotonic() < deadline, worker.log()
                time.sleep(0.05)
            worker.stop()
        found = stored(tmp_path, database, range(30))
    assert set(found) == set(range(30)), worker.log()
    assert set(found.values()) == {1}
    for path in done:
        accepted, *threads = path.read_text().split()
        assert accepted == "1"
        assert threads.count("engage-writer") == 1
        assert "APScheduler" not in threads
