"""Let schemathesis loose on everything that is specified: no answer that is not, and no defect of ours."""

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.callers import log_in, signed_up
from tests.running_system import System

SCHEMATHESIS: Final = str(Path(sys.executable).with_name("schemathesis"))
"""Beside the Python that runs the tests: nobody has to have it on the PATH."""

RUN_SECONDS_MAX: Final = 500
CASES_AN_OPERATION: Final = 5
# Links that the tool infers from names are left out: they would take the place of those that we specify.
CONFIGURATION: Final = f"""
[generation]
max-examples = {CASES_AN_OPERATION}

[phases.stateful]
max-steps = 8
generation.max-examples = 300
inference.algorithms = []
"""
SEED: Final = "1"
"""So that a run fails for what was changed, and not for what was dealt."""

CHECKS: Final = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "allow_header_conformance",
    "use_after_free",
)


@pytest.mark.timeout(RUN_SECONDS_MAX + 100)
@pytest.mark.parametrize("caller", ["a person", "an operator"])
def test_nothing_answers_otherwise_than_is_specified(system: System, caller: str, tmp_path: Path) -> None:
    with signed_up(system) as person:
        credentials = log_in(system, person.email) if caller == "a person" else system.operator_key
    (tmp_path / "schemathesis.toml").write_text(CONFIGURATION)
    run = subprocess.run(
        [
            *(SCHEMATHESIS, "run", f"{system.url}/openapi.json", "--header", f"Authorization: Bearer {credentials}"),
            *("--checks", ",".join(CHECKS), "--phases", "examples,coverage,fuzzing,stateful"),
            *("--continue-on-failure", "--no-shrink", "--seed", SEED),
            # How fast cases are made says how busy this machine is.
            *("--suppress-health-check", "all"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS_MAX,
        check=False,
    )
    assert run.returncode == 0, run.stdout
    assert "Stateful" in run.stdout
