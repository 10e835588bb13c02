"""Hold the package to what it exports: every name is there, and importing it costs the commands nothing."""

import subprocess
import sys

import pytest

import hishab


@pytest.mark.parametrize("name", hishab.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(hishab, name).__name__ == name


@pytest.mark.parametrize("name", ["nonsense", "httpx2"])
def test_no_other_name_is(name: str) -> None:
    with pytest.raises(AttributeError, match=name):
        getattr(hishab, name)


def test_importing_the_package_loads_no_client() -> None:
    program = "import sys, hishab; print(sorted(sys.modules.keys() & {'httpx2', 'pydantic', 'asyncio'}))"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert said == "[]\n"
