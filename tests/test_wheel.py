"""The wheel works where a user's own modules have the names of our rooms."""

import json
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).parent.parent


def run(*command, cwd):
    done = subprocess.run(list(map(str, command)), cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_installed_wheel_ignores_a_hostile_folder(tmp_path):
    wheels, environment, hostile = (tmp_path / n for n in ("wheels", "environment", "hostile"))
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    run(*pip, "wheel", ROOT, "--no-deps", "--no-build-isolation", "-w", wheels, cwd=tmp_path)
    run(sys.executable, "-m", "venv", "--without-pip", environment, cwd=tmp_path)
    python = environment / "bin" / "python"
    run(*pip, "--python", python, "install", "--no-deps", *wheels.glob("*.whl"), cwd=tmp_path)
    # The dependencies come from the environment of the tests: by path, so that its editable
    # install of attnas stays out.
    site = Path(
        run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd="/").strip()
    )
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))

    for name in ("core", "evaluator", "search_space", "strategies"):
        (hostile / "results").mkdir(parents=True, exist_ok=True)
        (hostile / f"{name}.py").write_text("raise RuntimeError('the user\\'s own module')\n")
    (hostile / "results" / "__init__.py").write_text("raise RuntimeError('the user\\'s own')\n")

    origin = run(python, "-c", "import attnas; print(attnas.__file__)", cwd=hostile).strip()
    assert Path(origin).is_relative_to(environment)
    listed = json.loads(run(environment / "bin" / "attnas", "blocks", "--json", cwd=hostile))
    assert {"none", "se", "eca", "cbam"} <= {row["block"] for row in listed}
    assert "name: my-search" in run(
        python, "-c", "from attnas.reference import commented_config as c; print(c())", cwd=hostile
    )
