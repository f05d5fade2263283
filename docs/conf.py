"""How the documentation is built: Markdown pages, Sphinx, the furo theme."""

from __future__ import annotations

import sys
from importlib.metadata import version as version_of
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "flask_engage"
author = "the flask_engage authors"
copyright = "the flask_engage authors"
version = release = version_of("flask-engage")

extensions = ["myst_parser", "sphinx.ext.autodoc", "from_the_code"]
exclude_patterns = ["_build", "_ext"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"

html_theme = "furo"
html_title = "flask_engage"
html_show_copyright = False
