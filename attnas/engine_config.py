"""The part of the config that says what runs the trials."""

from typing import Any

from pydantic import (
    Field,
    GetJsonSchemaHandler,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from attnas.core import Section


class RayConfig(Section):
    """Ray Tune runs the trials, in many processes and on many machines."""

    workers: int = Field(2, ge=1, description="trials in flight at once")
    cpus: float = Field(1, gt=0, description="of a worker; it trains with as many threads")
    gpus: float = Field(0, ge=0, description="of a worker; 0.25 lets four share one")
    address: str | None = Field(
        None, description="of a running Ray cluster; one of this machine is started if not given"
    )

    @field_validator("gpus")
    @classmethod
    def _a_share_or_whole(cls, value: float) -> float:
        if value > 1 and not value.is_integer():
            raise ValueError(f"a worker gets a share of one GPU or whole ones, not {value:g}")
        return value


class EngineConfig(Section):
    """What runs the trials: `local`, this process, or `ray`."""

    ray: RayConfig | None = Field(None, description="many workers: `pip install 'attnas[ray]'`")

    @model_validator(mode="before")
    @classmethod
    def _by_name(cls, value: Any) -> Any:
        if isinstance(value, str):
            if value not in ("local", "ray"):
                raise ValueError(f"'{value}' is no engine. Write `local` or `ray: {{workers: 2}}`")
            return {} if value == "local" else {"ray": {}}
        return value

    @model_serializer(mode="wrap")
    def _named(self, handler: SerializerFunctionWrapHandler) -> Any:
        return "local" if self.ray is None else handler(self)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: Any, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        names = {"type": "string", "enum": ["local", "ray"]}
        return {"anyOf": [names, handler(core_schema)]}
