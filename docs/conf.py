"""Sphinx settings of the documentation site: `make site` writes it to build/site."""

from __future__ import annotations

import sys
from importlib.metadata import version as installed_version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

project = "risk_tasks"
author = "the risk_tasks authors"
release = installed_version("risk-tasks")
version = release

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx_copybutton",
    "sphinxcontrib.mermaid",
]
source_suffix = {".md": "markdown"}
root_doc = "index"
default_role = "literal"

myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist"]
myst_fence_as_directive = {"mermaid"}
myst_heading_anchors = 4

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88

html_theme = "pydata_sphinx_theme"
html_title = "risk_tasks"
html_static_path = ["_static"]
if (MERMAID := Path(__file__).parents[1] / "build" / "mermaid").is_dir():
    html_static_path.append(str(MERMAID))
html_favicon = "_static/favicon.svg"
html_copy_source = False
html_show_sourcelink = False
html_context = {"default_mode": "auto"}
html_theme_options = {
    "navbar_align": "left",
    "navigation_with_keys": False,
    "show_prev_next": True,
    "show_toc_level": 2,
    "header_links_before_dropdown": 8,
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
}
project_copyright = "risk_tasks, BSD-3-Clause"

mermaid_use_local = "mermaid/mermaid.esm.min.mjs"
mermaid_fullscreen = False
mermaid_light_theme = "neutral"

#: a link to a file outside docs/ works in the repository; the site shows its text only
suppress_warnings = ["myst.xref_missing.external"]
