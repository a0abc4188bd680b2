"""Linear algebra on one thread: of small matrices several threads wait more than they compute."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from threadpoolctl import ThreadpoolController

_LOCK = threading.Lock()  # of two at once, the last to end would leave the other's limit


@contextmanager
def one_thread() -> Iterator[None]:
    """The BLAS of NumPy and SciPy takes one thread inside, and as many as before afterwards.

    So sums round alike whatever the number of cores. Where other programs want the cores, a
    thread that waits for another spins: with 2 threads on 2 busy cores a fit to 200 trainings
    took 1.3 to 12 s, with one 0.03 s.
    """
    with _LOCK, _controller().limit(limits=1, user_api="blas"):
        yield


@cache
def _controller() -> ThreadpoolController:
    """Of the libraries that are loaded when it is first asked for."""
    return ThreadpoolController()
