"""How Sphinx builds the documentation: sphinx-build -W -b html docs docs/_build/html."""

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.errors import ExtensionError

import sklkl
from sklkl._core.home import DOCUMENTATION

project = "sklkl"
author = copyright = "The sklkl developers"
version = release = sklkl.__version__

extensions = [
    "matplotlib.sphinxext.plot_directive",
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build"]
templates_path = ["_templates"]

html_theme = "pydata_sphinx_theme"
html_title = "sklkl"
html_baseurl = DOCUMENTATION
html_static_path = ["_static"]
html_css_files = ["sklkl.css"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "header_links_before_dropdown": 7,
    "navigation_with_keys": False,  # arrow keys move the sliders of the playground
    "secondary_sidebar_items": ["page-toc"],
    "show_prev_next": True,
}
html_sidebars = {"index": [], "playground": [], "install": [], "tour": []}
html_context = {"default_mode": "auto"}
html_math_renderer = "mathml"

myst_enable_extensions = ["amsmath", "colon_fence", "dollarmath"]
myst_heading_anchors = 3

autosummary_imported_members = True
autosummary_ignore_module_all = False
autodoc_typehints = "none"
toc_object_entries_show_parents = "hide"
numpydoc_show_class_members = False

copybutton_exclude = ".linenos, .gp, .go"  # prompts and output stay behind

plot_formats = ["svg"]
plot_html_show_formats = False
plot_html_show_source_link = False
plot_rcparams = {"figure.constrained_layout.use": True, "svg.hashsalt": "sklkl"}
plot_apply_rcparams = True

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "doc_module": ("sklkl",),
    "backreferences_dir": "generated/backreferences",
    "abort_on_example_error": True,
    "show_memory": False,
    "show_signature": False,
    "write_computation_times": False,
    "min_reported_time": 1e9,  # times of a build say nothing to readers
    "copyfile_regex": "",
}


def _math(display):
    """Return the visitor of a formula: MathML, which browsers draw without a script."""

    def visit(translator, node):
        formula = convert(node.astext(), display=display)
        if "<mi>&</mi>" in formula or "<mi>\\" in formula:  # what it does not know, it copies
            raise ExtensionError(f"latex2mathml cannot convert {node.astext()}")
        block = display == "block"
        translator.body.append(f'<div class="math">{formula}</div>' if block else formula)
        raise nodes.SkipNode

    return visit, None


def _skip(app, what, name, obj, skip, options):
    """Leave out what estimators inherit from scikit-learn, which documents it."""
    module = getattr(obj, "__module__", None) or getattr(
        getattr(obj, "fget", None), "__module__", None
    )
    return skip or not (module or "").startswith("sklkl")


def setup(app):
    """Register what is our own."""
    app.add_html_math_renderer("mathml", _math("inline"), _math("block"))
    app.connect("autodoc-skip-member", _skip)
