"""Pin the newest version of everything: for pip, for uv, and with hashes for each image.

All hold the same versions, and no address: who installs chooses where from. Needs uv on the PATH. With `--locks` the
versions stay, and what the images install is written anew.
"""

import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

ROOT = Path(__file__).resolve().parent.parent
PYPROJECT = ROOT / "pyproject.toml"
CONSTRAINTS = ROOT / "constraints.txt"
LOCKS = ROOT / "locks"

PINS = re.compile(r'(?m)\n*^\[tool\.uv\]\nconstraint-dependencies = \[\n(?:  ".*",\n)*\]\n')

EXPORT = (
    *("uv", "export", "--quiet", "--all-extras", "--all-groups", "--no-emit-project"),
    *("--no-annotate", "--no-hashes", "--no-header"),
)
COMPILE = (
    *("uv", "pip", "compile", "--quiet", "--no-config", "--universal", "--python-version", "3.11"),
    *("--generate-hashes", "--no-annotate", "--no-header", "--constraint", str(CONSTRAINTS)),
)

OF_THE_COMMAND_LINE: Final = frozenset({"httpx2", "rich", "typer"})
LEFT_OUT: Final[Mapping[str, frozenset[str]]] = {
    "api": OF_THE_COMMAND_LINE | {"aiohttp"},
    "worker": OF_THE_COMMAND_LINE
    | {"alembic", "argon2-cffi", "fastapi", "fastapi-offline", "prometheus-client", "pyjwt", "python-multipart"}
    | {"sqlalchemy", "starlette", "uvicorn"},
}
"""What the project asks for and an image does without: nothing in it imports that. tests/journeys/test_images.py."""


def main() -> None:
    """Write the pins, unless they are to stay, and the locks."""
    if sys.argv[1:] != ["--locks"]:
        write_pins()
    write_locks()


def write_pins() -> None:
    """Resolve without the old pins, then write the new ones."""
    pyproject = PYPROJECT.read_text(encoding="utf-8")
    pins = resolved(pinned(pyproject, pins=[]))
    CONSTRAINTS.write_text("".join(f"{pin}\n" for pin in pins), encoding="utf-8")
    # Read again: resolving takes a while, in which somebody may have edited it.
    PYPROJECT.write_text(pinned(PYPROJECT.read_text(encoding="utf-8"), pins=pins), encoding="utf-8")


def write_locks() -> None:
    """Write what each image installs, at the versions of the constraints, and what builds it."""
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))
    wanted: dict[str, Sequence[str]] = {"build": project["build-system"]["requires"]}
    for image, left_out in LEFT_OUT.items():
        # Sentry too: whether crash reports are sent is a setting, which an image cannot be short of.
        dependencies = [*project["project"]["dependencies"], *project["project"]["optional-dependencies"]["sentry"]]
        wanted[image] = [dependency for dependency in dependencies if distribution(dependency) not in left_out]
    LOCKS.mkdir(exist_ok=True)
    for name, requirements in wanted.items():
        compiled = subprocess.run(
            [*COMPILE, "-"], input="\n".join(requirements), stdout=subprocess.PIPE, text=True, check=True
        )
        (LOCKS / f"{name}.txt").write_text(compiled.stdout, encoding="utf-8")


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


def distribution(requirement: str) -> str:
    """Name what a requirement asks for: `celery` of `celery[redis]>=5.7.0`."""
    return re.split(r"[^A-Za-z0-9._-]", requirement)[0].lower().replace("_", "-")


def locked(image: str) -> Iterator[str]:
    """Give the pins of what an image installs, without their hashes."""
    for line in (LOCKS / f"{image}.txt").read_text(encoding="utf-8").splitlines():
        if not line.startswith(" "):
            yield line.removesuffix(" \\")


if __name__ == "__main__":
    main()
