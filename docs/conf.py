"""How Sphinx builds the documentation: sphinx-build -W -b html docs docs/_build/html."""

import json
from pathlib import Path
from urllib.parse import quote

from docutils import nodes
from latex2mathml.converter import convert
from sphinx import addnodes
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
    "check_switcher": False,  # it holds its list of versions itself
    "header_links_before_dropdown": 7,
    "navbar_end": ["version-switcher", "theme-switcher", "navbar-icon-links"],
    "navigation_with_keys": False,  # arrow keys move the sliders of the playground
    "secondary_sidebar_items": ["page-toc"],
    "show_prev_next": True,
    "switcher": {
        # The one version is the page that is shown. As data this also works without a server.
        "json_url": "data:," + quote(json.dumps([{"version": version, "url": "#"}])),
        "version_match": version,
    },
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

copybutton_prompt_text = r">>> |\.\.\. "  # where there are some, only their lines are copied
copybutton_prompt_is_regexp = True
copybutton_selector = "div:not(.highlight-none, .highlight-text) > div.highlight > pre"

plot_formats = ["svg"]
plot_html_show_formats = False
plot_html_show_source_link = False
plot_rcparams = {"figure.constrained_layout.use": True, "svg.hashsalt": "sklkl"}
plot_apply_rcparams = True

LESSONS = [
    "plot_two_coins.py",
    "plot_scorer_grid_search.py",
    "plot_decomposition_intervals.py",
    "plot_votes.py",
    "distill_digits.py",
    "plot_distill_pool.py",
    "plot_temperature.py",
    "plot_deferral.py",
    "plot_forward_reverse_student.py",
    "plot_language_model.py",
    "plot_drift.py",
    "plot_drift_dashboard.py",
    "plot_gaussian_vae.py",
    "plot_policy_penalty.py",
]
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "doc_module": ("sklkl",),
    "backreferences_dir": "generated/backreferences",
    "abort_on_example_error": True,
    "filename_pattern": "",  # all are run
    "within_subsection_order": LESSONS.index,
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


def _llms_txt(app, exception):
    """Write llms.txt, the pages and what each is about, for language models."""
    if exception or app.builder.name != "html":
        return

    def about(page):
        for paragraph in app.env.get_doctree(page).findall(nodes.paragraph):
            if isinstance(paragraph.parent, nodes.section | addnodes.desc_content):
                return " ".join(paragraph.astext().split())

    def write(page, indent):
        for child in app.env.toctree_includes.get(page, []):
            title, text = app.env.titles[child].astext(), about(child)
            link = f"[{title}]({app.config.html_baseurl}{child}.html)"
            lines.append(f"{indent}- {link}" + (f": {text}" if text else ""))
            write(child, indent + "  ")

    lines = [f"# {project}", "", f"> {about('index')}", "", "## Documentation", ""]
    write("index", "")
    Path(app.outdir, "llms.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def setup(app):
    """Register what is our own."""
    app.add_html_math_renderer("mathml", _math("inline"), _math("block"))
    app.connect("autodoc-skip-member", _skip)
    app.connect("build-finished", _llms_txt)
