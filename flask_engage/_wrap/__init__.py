"""Any WSGI app with capture, widget and dashboard around it, though it knows nothing of Flask.

A Flask app of our own holds the extension. What is below our prefix goes to it; every other
request goes to the wrapped app as it came, and what that answers comes back as it is, but for
the widget's tag where a Flask host would get one.
"""

from __future__ import annotations

from .beside import given_environ, make_flask_app, plain
from .wrapped import WrappedApp

__all__ = ["WrappedApp", "given_environ", "make_flask_app", "plain"]
