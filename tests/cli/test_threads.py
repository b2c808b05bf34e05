"""How the program's threads wait for each other."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(("given", "told"), [({}, "PASSIVE"), ({"OMP_WAIT_POLICY": "active"}, "ACTIVE")])
def test_threads_sleep_unless_somebody_says_otherwise(given, told):
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    done = subprocess.run(
        [sys.executable, "-c", "import asr.cli.main, torch"],
        env=environment | {"OMP_DISPLAY_ENV": "true"} | given,
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"OMP_WAIT_POLICY = '{told}'" in done.stderr  # the runtime that torch has loaded says so itself
