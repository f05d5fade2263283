"""A Celery app of a host that has us: its tasks track outside of any request."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from celery import Celery

from tests.runtimes._served import app, engage, what_runs_here

worker = Celery("shop", broker=os.environ["SERVED_BROKER"])
worker.conf.task_default_queue = os.environ["SERVED_QUEUE"]
worker.conf.broker_connection_retry_on_startup = True
worker.conf.worker_hijack_root_logger = False


@worker.task
def act(number: int) -> dict[str, Any]:
    """Track as a host's task does, in an app context."""
    with app.app_context():
        accepted = engage.track("acted", {"number": number}, user=f"user{number % 5}")
    done = Path(os.environ["SERVED_FOLDER"]) / f"done-{number}"
    written = done.with_name(f"doing-{number}")
    written.write_text(f"{int(accepted)} {' '.join(what_runs_here()['threads'])}")
    written.rename(done)
    return {"accepted": accepted}
