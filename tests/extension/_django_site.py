"""A small site in Django as its owner would write it, with accounts, sessions and CSRF checks."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

PAGE = "<!doctype html><html><head><title>Site</title></head><body>{}</body></html>"


def make_site(folder: Path, act: Callable[[], bool]) -> Any:
    """Return the site's WSGI app, with its data in `folder`; once a process, as Django wants it.

    :param act: called by the site's own view, which knows nothing of who is here.
    """
    import django
    from django.conf import settings
    from django.core.management import call_command
    from django.core.wsgi import get_wsgi_application

    urls = ModuleType("site_urls")
    sys.modules["site_urls"] = urls
    settings.configure(
        SECRET_KEY="the site's own secret, of fifty characters and a few more",
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF="site_urls",
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
        ],
        MIDDLEWARE=[
            "django.middleware.security.SecurityMiddleware",
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.common.CommonMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
        ],
        DATABASES={
            "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": folder / "site.sqlite3"}
        },
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        LOGGING_CONFIG=None,
        USE_TZ=True,
    )
    django.setup()
    urls.urlpatterns = _patterns(act)  # type: ignore[attr-defined]
    call_command("migrate", verbosity=0)
    return get_wsgi_application()


def _patterns(act: Callable[[], bool]) -> list[Any]:
    from django.contrib.auth import authenticate, login
    from django.http import (
        FileResponse,
        HttpRequest,
        HttpResponse,
        HttpResponseRedirect,
        JsonResponse,
        StreamingHttpResponse,
    )
    from django.middleware.csrf import get_token
    from django.urls import path

    def home(request: HttpRequest) -> HttpResponse:
        who = request.user.get_username() or "nobody"
        return HttpResponse(PAGE.format(who))

    def enter(request: HttpRequest) -> HttpResponse:
        if request.method == "GET":
            field = f'<input name="csrfmiddlewaretoken" value="{get_token(request)}">'
            return HttpResponse(PAGE.format(field))
        user = authenticate(request, username=request.POST["name"], password="secret")
        login(request, user)
        return HttpResponseRedirect("/")

    def do(request: HttpRequest) -> HttpResponse:
        return JsonResponse({"accepted": act()})

    def stream(request: HttpRequest) -> HttpResponse:
        return StreamingHttpResponse(iter([PAGE[:40], PAGE[40:]]))

    def file(request: HttpRequest) -> HttpResponse:
        return FileResponse(Path(__file__).open("rb"), filename="page.html")

    return [
        path("", home),
        path("enter", enter),
        path("do", do),
        path("stream", stream),
        path("file", file),
    ]


def add_user(name: str, **values: Any) -> Any:
    """Make an account of the site."""
    from django.contrib.auth import get_user_model

    return get_user_model().objects.create_user(name, f"{name}@example.com", "secret", **values)


def load_user(environ: dict[str, Any]) -> Any:
    """Return the account that Django's session names: what a host's own `load_user` would do."""
    from django.conf import settings
    from django.contrib.auth import get_user
    from django.contrib.sessions.backends.db import SessionStore
    from django.core.handlers.wsgi import WSGIRequest

    request = WSGIRequest(environ)
    request.session = SessionStore(request.COOKIES.get(settings.SESSION_COOKIE_NAME))
    return get_user(request)
