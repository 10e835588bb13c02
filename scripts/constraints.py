"""Pin the newest version of everything: in constraints.txt for pip, in pyproject.toml for uv.

Both hold the same lines, and no address: who installs chooses where from. Needs uv on the PATH.
"""

import re
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYPROJECT = ROOT / "pyproject.toml"
CONSTRAINTS = ROOT / "constraints.txt"

PINS = re.compile(r'(?m)\n*^\[tool\.uv\]\nconstraint-dependencies = \[\n(?:  ".*",\n)*\]\n')

EXPORT = (
    *("uv", "export", "--quiet", "--all-extras", "--all-groups", "--no-emit-project"),
    *("--no-annotate", "--no-hashes", "--no-header"),
)


def main() -> None:
    """Resolve without the old pins, then write the new ones."""
    pyproject = PYPROJECT.read_text(encoding="utf-8")
    pins = resolved(pinned(pyproject, pins=[]))
    CONSTRAINTS.write_text("".join(f"{pin}\n" for pin in pins), encoding="utf-8")
    # Read again: resolving takes a while, in which somebody may have edited it.
    PYPROJECT.write_text(pinned(PYPROJECT.read_text(encoding="utf-8"), pins=pins), encoding="utf-8")


def resolved(pyproject: str) -> Sequence[str]:
    """Return a pin for every distribution that the project needs on any platform, with any extra."""
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / "pyproject.toml").write_text(pyproject, encoding="utf-8")
        exported = subprocess.run(EXPORT, cwd=directory, stdout=subprocess.PIPE, text=True, check=True)
    return exported.stdout.splitlines()


def pinned(pyproject: str, *, pins: Sequence[str]) -> str:
    """Return the description of the project with these pins instead of those that it has."""
    without = PINS.sub("\n", pyproject).rstrip("\n") + "\n"
    lines = "".join(f'  "{pin}",\n' for pin in pins)
    return f"{without}\n[tool.uv]\nconstraint-dependencies = [\n{lines}]\n" if pins else without


if __name__ == "__main__":
    main()
