"""The fresh process of `processes`: reads a request, waits for its turn, measures, answers.

    python -m attnas.evaluator.latency.worker

A line of JSON each way and time: the request, `{"ready": true}`; any line, the answer; or
`{"error": ...}` in place of one that cannot be given.
"""

import json
import os
import sys
from typing import Any, TextIO

import numpy as np

from attnas.core import import_plugins
from attnas.search_space import build

from ..devices import device
from .interval import interval
from .measurement import Samples, sample
from .processes import read


def main() -> None:
    # what a user's own modules print is no answer
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    try:
        _serve(sys.stdin, answers)
    except KeyboardInterrupt:  # it goes to the whole group; the parent says what follows
        sys.exit(130)
    except (Exception, SystemExit) as error:  # whatever a user's own modules raise
        _say(answers, {"error": f"{type(error).__name__}: {error}"})


def _serve(requests: TextIO, answers: TextIO) -> None:
    request = json.loads(requests.readline())
    sys.path += [entry for entry in request["path"] if entry not in sys.path]
    import_plugins(request["plugins"])
    on = device(**request["device"])
    plain, *others = [
        build(read(content), seed=request["seed"]).eval()
        for content in (request["plain"], *request["architectures"])
    ]
    shape = read(request["plain"]).backbone.input_shape
    _say(answers, {"ready": True})
    if not requests.readline():
        return  # nobody waits any more
    found = sample(
        on,
        others,
        plain,
        shape,
        rng=np.random.default_rng((request["seed"], request["number"])),
        settled=lambda *_: False,  # other processes tell more than more instances in this one
        max_seconds=request["seconds"],
        least_instances=1,
    )
    _say(answers, _answer(found))


def _answer(found: Samples) -> dict[str, Any]:
    """The logarithm of each ratio, as a mean over the instances, and how many there were."""
    return {
        "ratios": [
            {
                "log": interval(ratios).centre,
                "pairs": len(ratios) * found.pairs,
                "instances": len(ratios),
            }
            for ratios in found.ratios
        ]
    }


def _say(answers: TextIO, content: dict[str, Any]) -> None:
    answers.write(json.dumps(content) + "\n")
    answers.flush()


if __name__ == "__main__":
    main()
