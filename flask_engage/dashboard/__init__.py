"""The operator's browser: what we know, shown, and what can be said, written.

An edge: each view reads the request, calls a room and renders. No SQL in here. To the left of
it stand all the rooms, to the right only the extension that mounts it.
"""

from .blueprint import make_blueprint as make_blueprint
