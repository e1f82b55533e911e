"""Print what pyproject.toml says, for scripts: an extra's tools, "lowest" or "version".

``python tools/requirements.py dev`` prints the tools of the extra without the package itself,
``lowest`` the dependencies at their lowest versions.
"""

import sys
import tomllib
from pathlib import Path

project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
if sys.argv[1] == "version":
    print(project["version"])
elif sys.argv[1] == "lowest":
    print(*(line.replace(">=", "==") + ".*" for line in project["dependencies"]), sep="\n")
else:
    tools = project["optional-dependencies"][sys.argv[1]]
    print(*(tool for tool in tools if not tool.startswith("sklkl")), sep="\n")
