"""Keeps the host's CSRF protection away from endpoints that bring their own."""

from __future__ import annotations

from typing import Any

from flask import Flask, request_started


def exempt_from_host_csrf(app: Flask, *blueprints: str) -> None:
    """Exempt the named blueprints from Flask-WTF's ``CSRFProtect``, if the host has it.

    A host may attach it before us or after us. So the exemption is made when the first
    request begins, which is before any ``before_request`` function sees it.
    """

    def exempt(sender: Flask, **_: Any) -> None:
        exempt_in_host = getattr(sender.extensions.get("csrf"), "exempt", None)
        if callable(exempt_in_host):
            for name in sender.blueprints.keys() & set(blueprints):
                exempt_in_host(sender.blueprints[name])
        request_started.disconnect(exempt, sender)

    request_started.connect(exempt, app, weak=False)
