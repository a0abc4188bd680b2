"""Ray as this project uses it: started or joined, quiet, and gone afterwards."""

import logging
import math
import os
import signal
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from attnas.core import AttnasError, InputError

from ..engine_config import RayConfig

KEY = "engine.ray"
MEASURING = "latency"
"""The custom resource of the node that latencies are measured on, if the cluster has one."""

_OBJECT_STORE_BYTES = 100 * 2**20  # records of trials are small
_ENVIRONMENT = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # paths of the config are relative to the working directory
    "RAY_worker_niceness": "0",  # as a search in one process; Ray's own is 15
    "RAY_enable_worker_prestart": "0",  # only our workers are started
    "RAY_USAGE_STATS_ENABLED": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C is the live view's
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000",  # the state that counts is in the run
    "TUNE_WARN_INSUFFICENT_RESOURCE_THRESHOLD_S": "1000000",
}


def ray_installed() -> None:
    """Looks for Ray without loading it.

    Raises:
        AttnasError: it is not installed.
    """
    if find_spec("ray") is None or find_spec("ray.tune") is None:
        raise AttnasError(
            "the engine 'ray' needs Ray, which is not installed: pip install 'attnas[ray]'."
        )


@contextmanager
def ray_session(config: RayConfig) -> Iterator[None]:
    """Ray is there while the block runs; one that was there before stays.

    Raises:
        AttnasError: there is no cluster at the address.
        InputError: no machine has room for a worker.
    """
    pending = {"TUNE_MAX_PENDING_TRIALS_PG": str(config.workers)}  # actors that start at once
    with _environment(_ENVIRONMENT | pending), _signals_kept():
        import ray

        mine = not ray.is_initialized()
        if mine:
            _start(config)
        try:
            check_room(config)
            yield
        finally:
            if mine:
                ray.shutdown()


@contextmanager
def logged(file: Path) -> Iterator[None]:
    """Ray's messages and warnings go to the file instead of the screen."""
    handler = logging.FileHandler(file, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s: %(message)s"))
    names = {"ray", "py.warnings"}
    names |= {name for name in logging.root.manager.loggerDict if name.startswith("ray.")}
    loggers = [logging.getLogger(name) for name in sorted(names)]
    before = [(log.handlers, log.propagate, log.level) for log in loggers]
    for log in loggers:
        top = log.name in ("ray", "py.warnings")
        log.handlers, log.propagate = ([handler], False) if top else ([], True)
        log.setLevel(logging.INFO if log.name == "ray" else logging.NOTSET)
    try:
        with warnings.catch_warnings():
            logging.captureWarnings(True)
            yield
    finally:
        logging.captureWarnings(False)
        for log, (handlers, propagate, level) in zip(loggers, before, strict=True):
            log.handlers, log.propagate = handlers, propagate
            log.setLevel(level)
        handler.close()


@contextmanager
def scratch() -> Iterator[str]:
    """A folder for what Ray writes of its own; nothing in it is ever needed again."""
    with tempfile.TemporaryDirectory(prefix="attnas-ray-", ignore_cleanup_errors=True) as folder:
        yield folder


def _start(config: RayConfig) -> None:
    import ray

    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if config.address is not None:
        try:
            ray.init(address=config.address, **quiet)
        except (ConnectionError, ValueError, RuntimeError, OSError) as error:
            said = (str(error).strip().splitlines() or [""])[0].rstrip(".")
            raise AttnasError(
                f"{KEY}.address: cannot join Ray at '{config.address}': {said}. Start it with "
                "`ray start --head`, or leave out the address."
            ) from error
        return
    cpus = max(os.cpu_count() or 1, math.ceil(config.workers * config.cpus))
    ray.init(
        num_cpus=cpus,
        include_dashboard=False,
        object_store_memory=_OBJECT_STORE_BYTES,
        **quiet,
    )


def check_room(config: RayConfig) -> None:
    """Sees whether one of Ray's machines has what a worker takes.

    Raises:
        InputError: none has; the message says what the most is.
    """
    import ray

    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    for resource, wanted, key in (("CPU", config.cpus, "cpus"), ("GPU", config.gpus, "gpus")):
        most = max((node.get(resource, 0) for node in nodes), default=0)
        if wanted > most:
            raise InputError(
                f"a worker cannot have {wanted:g}: no machine of Ray has more than {most:g} "
                f"{resource}s.",
                key=f"{KEY}.{key}",
            )


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """The variables, where they are not set already, while the block runs."""
    added = {name: value for name, value in values.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Ray takes over handlers of signals and of uncaught exceptions; they are given back."""
    try:
        before = {s: signal.getsignal(s) for s in (signal.SIGTERM, signal.SIGUSR1)}
        hook = sys.excepthook
        yield
    finally:
        sys.excepthook = hook
        for number, handler in before.items():
            try:
                signal.signal(number, handler)
            except ValueError:  # not in the main thread: none was taken over
                break
