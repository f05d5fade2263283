"""Who may report: pages of the host, by what the browser says of itself."""

from __future__ import annotations

import pytest
from flask import Flask, request

from flask_engage.widget.origin import is_same_origin

HOST = "https://app.example.com"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Origin": "https://app.example.com"}, True),
        ({"Origin": "https://APP.example.com:443"}, True),
        ({"Origin": "http://app.example.com"}, True),  # a proxy may hide the scheme
        ({"Origin": "https://public.example.com"}, True),  # ENGAGE_BASE_URL
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "https://hidden.example.com"}, True),
        ({}, False),
        ({"Origin": "null"}, False),
        ({"Origin": "null", "Sec-Fetch-Site": "same-origin"}, False),
        ({"Origin": ""}, False),
        ({"Origin": "https://app.example.com.evil.example"}, False),
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": "https://app.example.com:8443"}, False),
        ({"Origin": "https://app.example.com@evil.example"}, False),
        ({"Origin": "https://user@app.example.com"}, False),
        ({"Origin": "https://app.example.com:port"}, False),
        ({"Origin": "https://[app"}, False),
        ({"Origin": "app.example.com"}, False),
        ({"Origin": "https://app.example.com", "Sec-Fetch-Site": "same-site"}, False),
        ({"Origin": "https://app.example.com", "Sec-Fetch-Site": "cross-site"}, False),
        ({"Origin": "https://app.example.com", "Sec-Fetch-Site": "none"}, False),
    ],
)
def test_only_pages_of_the_host_may_report(headers: dict[str, str], expected: bool) -> None:
    with Flask("host").test_request_context("/", base_url=HOST, headers=headers):
        assert is_same_origin(request, "https://public.example.com") is expected
