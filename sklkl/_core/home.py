"""Where the project is at home: ``project.urls`` of pyproject.toml, which alone has addresses.

There are none before it is published; then nothing links to them.
"""

from importlib.metadata import metadata


def addresses():
    """Return the addresses by their names, as "Documentation"."""
    lines = metadata("sklkl").get_all("Project-URL") or []
    return dict(line.split(", ", 1) for line in lines)


DOCUMENTATION = addresses().get("Documentation", "").rstrip("/")
