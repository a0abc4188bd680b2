"""The register of devices and what each can do."""

import inspect
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

from attnas.core import InputError, Registry, import_own, unknown

if TYPE_CHECKING:
    from torch import nn

DEVICES: "Registry[type[Device]]" = Registry(
    "device",
    package="attnas.evaluator.devices",
    registrars=("register_device",),
    listing="attnas devices",
)


@runtime_checkable
class Device(Protocol):
    """What latency is measured on.

    Implementations are frozen dataclasses; their fields are the settings that a config may
    give. All have `threads` and `batch_size`.
    """

    @property
    def name(self) -> str: ...

    @property
    def threads(self) -> int: ...

    @property
    def batch_size(self) -> int: ...

    def prepare(self, network: "nn.Module", input_shape: tuple[int, ...]) -> Callable[[], None]:
        """A function that runs one inference of one batch and returns when it is done.

        The network (in eval mode) and its input (batch_size, *input_shape) are fixed here;
        `network` itself is not changed, and what happens to it later does not matter.
        """
        ...

    def measuring(self) -> AbstractContextManager[None]:
        """Holds what timings need (the number of threads), and gives it back."""
        ...

    def clock(self) -> int:
        """Nanoseconds on the clock that an inference is timed with."""
        ...

    def describe(self) -> dict[str, Any]:
        """Settings, hardware and versions that a measured latency belongs to."""
        ...


DeviceClass = TypeVar("DeviceClass", bound=type)


def register_device(name: str) -> Callable[[DeviceClass], DeviceClass]:
    """Class decorator that makes a device known under a name, which becomes its `name`.

    Raises:
        ValueError: the name is taken by another class.
    """

    def register(cls: DeviceClass) -> DeviceClass:
        DEVICES.add(name, cls)
        cls.name = name  # type: ignore[attr-defined]
        return cls

    return register


def device(name: str = "torch-cpu", **settings: Any) -> Device:
    """The device of that name with these settings.

    `name` is a registered name or `package.module:Class` of a class of one's own, which
    keeps the protocol `Device`.

    Raises:
        InputError: the name, a setting or its value is wrong, or the device is not there.
        AttnasError: the device needs a package that is not installed.
    """
    cls = device_class(name, settings)
    try:
        made = cls(**settings)
    except SystemExit as error:
        raise InputError(f"'{name}' ended the program (SystemExit).", key="device.name") from error
    if not isinstance(made, Device):
        lacking = [part for part in _PARTS if not hasattr(made, part)]
        raise InputError(f"{name} is no device: it lacks {', '.join(lacking)}.", key="device.name")
    return made


def device_class(name: str, settings: Iterable[str] = ()) -> Callable[..., Any]:
    """The class of that name, which knows these settings; nothing is made of it.

    Raises:
        InputError: there is none, or it lacks a setting.
    """
    cls = import_own(name, key="device.name", kind="Class") if ":" in name else _registered(name)
    try:
        known = inspect.signature(cls).parameters
    except (TypeError, ValueError) as error:  # written in C
        raise InputError(f"'{name}' is no class of Python.", key="device.name") from error
    for setting in settings:
        if setting not in known:
            wrong = unknown(f"setting of device {name}", setting, known)
            raise wrong.inside(key=f"device.{setting}")
    return cls


_PARTS = ("name", "threads", "batch_size", "prepare", "measuring", "clock", "describe")


def _registered(name: str) -> type[Device]:
    if name not in DEVICES:
        raise DEVICES.unknown(name).inside(key="device.name")
    return DEVICES[name]


def whole_number(value: Any, setting: str, *, most: int | None = None) -> None:
    """Checks a setting that counts something.

    Raises:
        InputError: it is no whole number, less than 1 or more than `most`.
    """
    upper = "" if most is None else f" to {most}"
    wrong = isinstance(value, bool) or not isinstance(value, int) or value < 1
    if wrong or (most is not None and value > most):
        raise InputError(
            f"{value!r} is not possible here. Write a whole number from 1{upper or ' up'}.",
            key=f"device.{setting}",
        )
