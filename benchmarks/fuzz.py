"""Hostile configs, bytes, run folders and kills, in numbers: what does not end as it should.

    python -m benchmarks.fuzz [--configs 10000] [--folders 1000] [--kills 200] [--quick]
                              [--out FILE]

Each case is made from its number alone. It fails with a traceback, an internal error, another
exit code than 0, 1 or 2, a message of more than 2 kB, more than `SECONDS` of processor time, or
where figures changed and nothing was said.
"""

import argparse
import contextlib
import copy
import io
import itertools
import json
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

import attnas
from attnas.entry import LONGEST, run_command
from attnas.results import Remeasured, Run

from .provenance import RESULTS, print_table, provenance, write_json

SECONDS = 10.0
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 10**30, -(10**30), 0.5, -0.0, 1e308, float("nan"),
    float("inf"), "", " ", "none", "se", "se:r4@residual", "@", ":", "se:r@", "é漢\u202e",
    "a" * 3000, "../../x", "/dev/null", "sys:exit", "nosuch:thing", "$HOME", "${NO_SUCH}",
    "<= 1.0x", ">=", "1e999", "postgresql://u:secret@h/d", "%s{}", "\x00", [], {}, [[]], [None],
    {"": None}, {"a": {"b": []}},
    list(range(300)), {str(i): i for i in range(300)}, "latency_ms", "max", "min", "2026-13-45",
)  # fmt: skip
SPACE = {
    "backbone": {"name": "resnet_cifar", "depth": 8},
    "blocks": ["none", "se", "eca"],
    "ratios": [4, 8],
    "placements": ["residual", "post"],
}


def base(table: Path) -> dict[str, Any]:
    """An honest config of a small search on a table, with most sections."""
    return {
        "name": "fuzzed",
        "search_space": {**SPACE, "stages": {"layer1": {"blocks": ["none", "se"]}}},
        "objectives": {"accuracy": "max", "latency_ms": "min"},
        "constraints": {"latency_ms": "<= 1.6x"},
        "baselines": ["se:r4@residual"],
        "metrics": [],
        "device": {"name": "torch-cpu", "threads": 1, "batch_size": 1},
        "data": {"source": "digits", "train": 100, "validation": 50},
        "training": {"epochs": 6, "batch_size": 32, "learning_rate": 0.1},
        "strategy": {"name": "random"},
        "budget": {"trials": 3},
        "seed": 0,
        "evaluator": {"table": str(table)},
    }


def write_table(path: Path) -> None:
    """Made-up figures for every architecture of `SPACE`."""
    options = ["none", "eca@residual", "eca@post"]
    options += [f"se:r{r}@{p}" for r in (4, 8) for p in ("residual", "post")]
    lines = ["layer1,layer2,layer3,epochs,accuracy,latency_ms,params,seconds"]
    for option in itertools.product(options, repeat=3):
        written = ",".join(option)
        i = zlib.crc32(re.sub(":r[48]", "", written).encode())  # ratios may give one width
        lines.append(f"{written},6,{0.5 + i % 97 / 300},{1 + i % 53 / 100},{1000 + i % 991},1")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def hostile_config(rng: random.Random, table: Path) -> dict[str, Any]:
    """The honest config with one to three entries changed, added or taken away."""
    content = copy.deepcopy(base(table))
    for _ in range(rng.randint(1, 3)):
        places = list(_places(content))
        container, key = rng.choice(places)
        change = rng.random()
        if change < 0.7:
            container[key] = copy.deepcopy(rng.choice(VALUES))
        elif change < 0.85 and isinstance(container, dict):
            container[rng.choice([f"{key}s", "x", "", "é", 5, None])] = rng.choice(VALUES)
        elif isinstance(container, dict):
            del container[key]
        else:
            container.append(copy.deepcopy(rng.choice(VALUES)))
    return content


def _places(content: Any) -> Iterator[tuple[Any, Any]]:
    keys = content if isinstance(content, dict) else range(len(content))
    for key in list(keys):
        yield content, key
        if isinstance(content[key], dict | list) and len(content[key]) < 20:
            yield from _places(content[key])


def hostile_bytes(rng: random.Random, honest: bytes) -> bytes:
    """The bytes with some flipped, left out, doubled or put in; or none that are honest."""
    if rng.random() < 0.1:
        return rng.randbytes(rng.randint(0, 300))
    content = bytearray(honest)
    for _ in range(rng.randint(1, 8)):
        at = rng.randrange(len(content) + 1)
        change = rng.randrange(5)
        if change == 0 and at < len(content):
            content[at] ^= 1 << rng.randrange(8)
        elif change == 1:
            del content[at : at + rng.randint(1, 30)]
        elif change == 2:
            content[at:at] = content[at : at + rng.randint(1, 30)]
        elif change == 3:
            content[at:at] = rng.choice(
                [b"[", b"{", b"&a ", b"*a", b": ", b"- ", b"!!", b"\t", b"|"]
            )
        else:
            content[at:at] = rng.randbytes(rng.randint(1, 4))
    return bytes(content)


def honest_run(folder: Path, table: Path) -> Path:
    """A run of 12 trials whose front was measured again."""
    content = {**base(table), "name": "honest", "budget": {"trials": 12}}
    with attnas.search(content, runs=folder, observer=attnas.Observer()) as run:
        trial = run.front()[0]
        again = Remeasured(0.9 * trial.metrics["latency_ms"], 0.5, 2.0, {})
        run.remeasure({trial.number: again}, {"ms": 1.0, "low": 1.0, "high": 1.0})
        return run.folder


def damage(rng: random.Random, folder: Path) -> str:
    """Changes one file of a run; its name."""
    names = ["run.json", "config.yaml", "environment.json", "front_latency.json"]
    name = rng.choice([*names, *["trials.db"] * 4])
    file = folder / name
    content = bytearray(file.read_bytes())
    change = rng.random()
    if change < 0.05:
        file.unlink()
        return name
    if change < 0.15:
        del content[rng.randrange(len(content)) :]
    elif change < 0.4:
        digits = [m.start() for m in re.finditer(rb"[0-9]", content)]
        at = rng.choice(digits)
        content[at] = ord(rng.choice("0123456789".replace(chr(content[at]), "")))
    else:
        for _ in range(rng.choice([1, 1, 3, 20])):
            content[rng.randrange(len(content))] = rng.randrange(256)
    file.write_bytes(content)
    return name


class TooLong(BaseException):
    """A case took more processor time than it may; no handler of errors hears of it."""


def _stop(*_: object) -> None:
    raise TooLong


def said_by(arguments: Sequence[str]) -> tuple[int | str, str, str]:
    """Exit code, output and messages of a command; "hang" or "traceback" for the code."""
    out, err = io.StringIO(), io.StringIO()
    code: int | str
    before = signal.signal(signal.SIGVTALRM, _stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run_command(list(arguments))
    except TooLong:
        code = "hang"
    except BaseException as error:
        code = f"traceback of {type(error).__name__}"
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
    return code, out.getvalue(), err.getvalue()


def fault_of(code: int | str, err: str) -> str:
    """What is wrong with how a command ended; "" if nothing is."""
    if code not in (0, 1, 2):
        return str(code)
    if "internal error" in err or "Traceback" in err:
        return "internal error"
    messages = [line for line in err.splitlines() if line.startswith("attnas:")]
    if code and max((len(m.encode()) for m in messages), default=0) > LONGEST + 10:
        return "long message"
    if "secret" in err:
        return "password in a message"
    return "" if code == 0 or messages else "no message"


def try_config(number: int, work: Path, table: Path, *, as_bytes: bool = False) -> tuple[str, str]:
    """The fault of the config of that number, "" if it ends as it should, and how it ends."""
    rng = random.Random(number)
    path = work / "config.yaml"
    if as_bytes:
        path.write_bytes(hostile_bytes(rng, yaml.safe_dump(base(table)).encode()))
        command = "inspect"
    else:
        content = hostile_config(rng, table)
        path.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
        replayed = content.get("evaluator") == {"table": str(table)}
        known = {"engine", "plugins", "storage"}.isdisjoint(map(str, content))
        small = content.get("budget") == {"trials": 3}
        command = "search" if replayed and known and small else "inspect"
    runs = work / "runs"
    more = ["--runs", str(runs)] if command == "search" else []
    code, _, err = said_by([command, str(path), *more])
    shutil.rmtree(runs, ignore_errors=True)
    return fault_of(code, err), f"{command}: {code}"


LOOKS = (["pareto", "--json"], ["show", "3", "--json"])


def looked_at(folder: Path) -> list[tuple[int | str, str, str]]:
    """What the commands that only look say of a run."""
    return [said_by([name, str(folder), *more]) for name, *more in LOOKS]


def try_folder(number: int, work: Path, honest: Path, expected: Sequence[str]) -> tuple[str, str]:
    """The fault of the damaged run of that number, and how it was taken.

    `expected` is what an honest run prints.
    """
    folder = work / "honest"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(honest, folder)
    name = damage(random.Random(number), folder)
    looked = looked_at(folder)
    checked = said_by(["check", str(folder)])
    for code, _, err in looked:
        if fault := fault_of(code, err):
            return fault, name
    if fault := fault_of(checked[0], f"{checked[2]}attnas:"):  # it says "Looked at ..."
        return f"{fault} of check", name
    for (code, out, err), honestly in zip(looked, expected, strict=True):
        if code == 0 and out != honestly and not err.strip():
            return "silent change", name
        if code == 0 and out != honestly and checked[0] == 0:
            return "change that check does not see", name
    same = all(out == honestly for (_, out, _), honestly in zip(looked, expected, strict=True))
    refused = any(code for code, _, _ in looked)
    shown = "refused" if refused else "shown as it was" if same else "shown with a warning"
    return "", f"{shown}; check: {checked[0]}"


def kills(count: int, work: Path, table: Path) -> dict[str, int]:
    """So many kills at random moments: trials lost, doubled or other than of an unkilled run."""
    content = {**base(table), "strategy": {"name": "nsga2"}, "budget": {"trials": 60}}
    config = work / "killed.json"
    config.write_text(json.dumps(content), encoding="utf-8")
    whole = attnas.search(config, runs=work / "whole", observer=attnas.Observer())
    expected = [(t.number, str(t.architecture), t.state) for t in whole.trials]
    rng, found, runs = random.Random(0), Counter({"kills": 0, "lost": 0, "other": 0}), 0
    while found["kills"] < count:
        folder, seen, done = work / f"killed{runs}" / "fuzzed", 0, False
        while not done and found["kills"] < count:
            done = _killed(config, folder.parent, rng.uniform(0.0, 0.5))
            found["kills"] += not done
            if (folder / "run.json").exists():
                with Run.open(folder) as run:
                    kept = [(t.number, str(t.architecture), t.state) for t in run.trials]
                    found["other"] += kept != expected[: len(kept)] or bool(run.changes)
                found["lost"] += len(kept) < seen
                seen = len(kept)
        shutil.rmtree(folder.parent, ignore_errors=True)
        runs += 1
    return dict(found)


def _killed(config: Path, runs: Path, after: float) -> bool:
    """Forks a search and kills it so many seconds later; whether it was done before."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115
            code = run_command(["search", str(config), "--runs", str(runs)])
        finally:
            os._exit(code)
    until = time.monotonic() + after
    while time.monotonic() < until:
        if os.waitpid(child, os.WNOHANG) != (0, 0):
            return True
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def counted(name: str, count: int, attempt: Callable[[int], tuple[str, str]]) -> dict[str, Any]:
    """How many cases of a kind ended how, and which failed, by fault with the first's number."""
    faults: Counter[str] = Counter()
    ends: Counter[str] = Counter()
    first: dict[str, int] = {}
    began = time.monotonic()
    for number in range(count):
        fault, end = attempt(number)
        ends[end] += 1
        if fault:
            faults[fault] += 1
            if fault not in first:
                first[fault] = number
                print(f"{name} {number}: {fault} ({end})", flush=True)
    seconds = round(time.monotonic() - began, 1)
    told = {"ends": dict(ends), "faults": dict(faults), "first": first}
    return {"cases": count, **told, "seconds": seconds}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--configs", type=int, default=10_000)
    parser.add_argument("--folders", type=int, default=1_000)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--quick", action="store_true", help="a few of each")
    parser.add_argument("--out", type=Path, default=RESULTS / "fuzz.json")
    given = parser.parse_args(arguments)
    configs, folders, killed = (
        (20, 10, 3) if given.quick else (given.configs, given.folders, given.kills)
    )
    with tempfile.TemporaryDirectory() as made:
        work, table = Path(made), Path(made) / "table.csv"
        write_table(table)
        os.environ["ATTNAS_STATE"] = str(work / "state")
        honest = honest_run(work / "kept", table)
        expected = [out for _, out, _ in looked_at(honest)]
        found = {
            "configs": counted("config", configs // 2, lambda n: try_config(n, work, table)),
            "bytes": counted(
                "bytes", configs - configs // 2, lambda n: try_config(n, work, table, as_bytes=True)
            ),
            "folders": counted(
                "folder", folders, lambda n: try_folder(n, work / "damaged", honest, expected)
            ),
            "kills": kills(killed, work, table),
        }
    rows = [
        [name, row.get("cases", row.get("kills")), row.get("faults", f"{row}"), row.get("seconds")]
        for name, row in found.items()
    ]
    print_table(["what", "cases", "faults", "s"], rows)
    write_json(given.out, {**provenance(arguments, "benchmarks.fuzz"), **found})


if __name__ == "__main__":
    main()
