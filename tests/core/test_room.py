"""What the room gives: all of its public names, and nothing heavy with them."""

import subprocess
import sys

CODE = """
import sys
import attnas.core as core

loaded = [getattr(core, name) for name in core.__all__]
assert len(loaded) > 50
heavy = {"torch", "optuna", "ray", "pandas"}
print(sorted(heavy & set(sys.modules)), [n for n in sys.modules if n.startswith("attnas.")
      and not n.startswith("attnas.core")])
"""


def test_every_name_loads_without_torch_and_without_another_room():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert done.stdout == "[] []\n"
