"""How Sphinx builds these pages: ``python -m sphinx -W -b html docs docs/_build/html``, from packages alone."""
import re
import shutil
from importlib.metadata import files
from inspect import ismodule
from pathlib import Path

from docutils import nodes
from sphinx import addnodes

import fastreg

project = "fastreg"
author = "The fastreg developers"
copyright = author
release = version = fastreg.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
    "myst_parser",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "_templates", "gallery", "examples/*.ipynb", "examples/*.py"]
nitpicky = False

myst_enable_extensions = ["dollarmath", "amsmath", "attrs_inline"]
myst_heading_anchors = 3

# What a class says of itself is in its docstring; scikit-learn's own methods are said there.
autosummary_generate = True
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
autodoc_typehints = "none"

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "examples",
    "filename_pattern": r".*\.py$",
    "download_all_examples": False,
    "show_memory": False,
    "write_computation_times": False,
    "show_signature": False,
    "thumbnail_size": (500, 220),
    "remove_config_comments": True,
    "within_subsection_order": "FileNameSortKey",
    "image_scrapers": ("matplotlib",),
    "image_srcset": ["2x"],
    "matplotlib_animations": False,
    "abort_on_example_error": True,
}

html_theme = "pydata_sphinx_theme"
html_title = "fastreg"
html_static_path = ["_static"]
html_css_files = ["fastreg.css"]
html_show_sourcelink = False
html_context = {"default_mode": "auto"}
html_theme_options = {
    "show_prev_next": True,
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "navbar_end": ["theme-switcher"],
    "navbar_persistent": ["search-button"],
    "header_links_before_dropdown": 6,
}
# Pages without others below them have no navigation of their section.
html_sidebars = {page: [] for page in ("index", "getting_started", "choose", "command_line")}

# Formulas are drawn in the browser by a MathJax that travels with the pages: no page asks another server.
MATHJAX = "tex-svg-full.js"
mathjax_path = f"mathjax/{MATHJAX}"


def copy_mathjax(app):
    """MathJax in one file, fonts included, from the package that carries it."""
    (source,) = (path for path in files("sphinx-mathjax-offline") if path.name == MATHJAX)
    target = Path(app.outdir, "_static", "mathjax")
    target.mkdir(parents=True, exist_ok=True)
    shutil.copy(source.locate(), target / MATHJAX)


def links_of_included(app, relative, parent, content):
    """Pages that include a file of the repository's root: its links lead to the pages that include the others."""
    content[0] = re.sub(r"\]\((?:docs/)?([A-Za-z_]+\.md)\)", lambda at: f"]({at[1].lower()})", content[0])


def polish(app, what, name, obj, options, lines):
    """What numpydoc leaves: a name that ends with an underscore is no link, and each reference is a paragraph."""
    text = "\n".join(lines).replace("(n_features_in_,)", r"(n_features_in\_,)")
    above, heading, below = text.partition(".. rubric:: References\n")
    lines[:] = (above + heading + re.sub(r"\.\n(?=[A-Z][a-z]+(?:,| and) )", ".\n\n", below)).split("\n")


def link_names(app, doctree):
    """Public names in code, with arguments or without, lead to their pages of the reference."""
    names = {name: f"fastreg.{name}" for name in fastreg.__all__ if not ismodule(getattr(fastreg, name))}
    for code in list(doctree.findall(nodes.literal)):
        target = names.get(code.astext().removeprefix("fastreg.").partition("(")[0])
        held = isinstance(code.parent, (nodes.reference, nodes.title, addnodes.pending_xref))
        if target and not held and app.env.docname != f"generated/{target}":
            link = addnodes.pending_xref("", refdomain="py", reftype="obj", reftarget=target, refexplicit=True,
                                         refwarn=False, refdoc=app.env.docname)
            code.replace_self(link)
            link += code


def both_looks(app, doctree):
    """Pictures that are there in a light and a dark version: the theme shows the one of its look."""
    for light in list(doctree.findall(nodes.image)):
        folder = Path(app.env.doc2path(app.env.docname)).parent
        dark = light["uri"].replace("-light.", "-dark.")
        if dark != light["uri"] and (folder / dark).is_file():
            other = light.deepcopy()
            other["uri"] = dark
            light["classes"].append("only-light")
            other["classes"].append("only-dark")
            light.parent.insert(light.parent.index(light) + 1, other)


def setup(app):
    app.connect("doctree-read", both_looks, priority=400)                # before pictures are gathered
    app.connect("doctree-read", link_names)
    app.connect("autodoc-process-docstring", polish, priority=600)       # after numpydoc
    app.connect("builder-inited", copy_mathjax)
    app.connect("include-read", links_of_included)
