"""What every decision is: one named place where a space chooses."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from attnas.core import InputError, Registry, unknown

if TYPE_CHECKING:
    from ..backbone import Backbone
    from ..edits import Edit

Class = TypeVar("Class", bound="type[Decision]")
Part = tuple[str, ...]

DECISIONS: "Registry[type[Decision]]" = Registry(
    "kind of decision",
    package="attnas.search_space.decisions",
    registrars=("register_decision",),
)


class Decision(ABC):
    """One named place where a space chooses; a frozen dataclass, registered by its kind.

    Options are text, everywhere the same. A kind says what an option does: it gives `arguments`
    to the factory of the backbone, or `edits` of the built network, or both. An option that does
    nothing more on some backbone than another one is the same network there.

    `name`, a field or a property, is that by which configs, tables and messages know it, unique in
    a space. `create` makes it a field, together with what a config gives beside it.

    With `structural` the class says that an option may change what others do: it gives arguments
    to the factory, or removes modules. With `shared` it says that a supernet can hold all
    options on one set of weights.
    """

    kind: ClassVar[str]
    structural: ClassVar[bool] = False
    shared: ClassVar[bool] = False

    if TYPE_CHECKING:  # at runtime a property would be taken for the default of a field

        @property
        def name(self) -> str: ...

    @property
    def key(self) -> str:
        """Where it is in a config's `search_space`, for messages."""
        return f"decisions.{self.name}"

    @abstractmethod
    def plain(self, backbone: "Backbone") -> str:
        """The option that changes nothing."""

    def read(self, text: str) -> str:
        """The usual spelling of an option.

        Raises:
            InputError: it is no option of this kind.
        """
        return text

    def arguments(self, option: str) -> Mapping[str, Any]:
        """The arguments that the backbone's factory gets instead of its own."""
        return {}

    def edits(self, option: str, backbone: "Backbone") -> "tuple[Edit, ...]":
        """What is changed in the built network of a backbone; nothing where that cannot be."""
        return ()

    def parts(self, option: str, backbone: "Backbone") -> Mapping[Part, float]:
        """What the cost of an option consists of, and how much of each: options share parts."""
        plain = option == self.plain(backbone)
        return {} if plain else {("own", self.name, option): 1.0}

    def details(
        self, option: str, backbone: "Backbone", *, identity_start: bool
    ) -> Mapping[str, Any]:
        """What is worth showing of an option on a backbone, in plain types."""
        return {}

    def to_dict(self) -> dict[str, Any]:
        """Plain types for YAML or JSON, from which `decision_from_dict` makes an equal one."""
        given = {name: value for name, value in asdict(self).items() if value is not None}  # type: ignore[call-overload]
        return {"kind": self.kind, **given}

    def shares(self, options: Sequence[str], backbone: "Backbone") -> bool:
        """Whether a supernet of the backbone can hold these options on one set of weights."""
        return self.shared

    @classmethod
    def create(
        cls, name: str, settings: Mapping[str, Any], backbone: "Backbone"
    ) -> "tuple[Decision, tuple[str, ...]]":
        """The decision of that name with its options, as `search_space.decisions` has it.

        `settings` are the entries beside `kind`; `options`, a list, is one of them.

        Raises:
            InputError: a setting is unknown or missing; the key is relative to the entry.
        """
        names = [field.name for field in fields(cls)]  # type: ignore[arg-type]
        if "name" not in names:
            raise InputError(f"the kind '{cls.kind}' has a key of its own, beside this one.")
        known = [name for name in names if name != "name"]
        for setting in settings:
            if setting not in (*known, "options"):
                raise unknown("key", setting, [*known, "options"]).inside(key=setting)
        options = settings.get("options")
        if not isinstance(options, Sequence) or isinstance(options, str) or not options:
            raise InputError("must be a list of options, with one at least.", key="options")
        own = {key: _frozen(value) for key, value in settings.items() if key != "options"}
        try:
            made = cls(name=name, **own)  # type: ignore[call-arg]
        except TypeError as error:
            raise InputError(f"the kind '{cls.kind}' needs more: {error}.") from error
        read: list[str] = []
        for i, option in enumerate(options):
            try:
                read.append(made.read(str(option)))
            except InputError as error:
                raise error.inside(key=f"options[{i}]") from error
        return made, tuple(dict.fromkeys(read))


def register_decision(kind: str) -> Callable[[Class], Class]:
    """Class decorator that makes a kind of decision known under a name.

    Raises:
        ValueError: the name is taken by another class, or the class is no frozen dataclass.
    """

    def register(cls: Class) -> Class:
        if not is_dataclass(cls) or cls.__hash__ is None:
            raise ValueError(
                f"kind of decision {kind!r}: {cls.__module__}.{cls.__qualname__} must be a frozen "
                "dataclass"
            )
        DECISIONS.add(kind, cls)
        cls.kind = kind
        return cls

    return register


def decision_from_dict(plain: Mapping[str, Any]) -> Decision:
    """The decision that `to_dict` wrote.

    Raises:
        InputError: it is not of that form, or its kind is unknown.
    """
    try:
        given = {name: _frozen(value) for name, value in plain.items() if name != "kind"}
        return DECISIONS[str(plain["kind"])](**given)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"is no decision: {error!r}.") from error


def _frozen(value: Any) -> Any:
    """Lists as tuples, as the fields of a frozen dataclass."""
    return tuple(_frozen(item) for item in value) if isinstance(value, list | tuple) else value
