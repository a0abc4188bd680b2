"""The section of a config that names the network."""

from typing import Any

from pydantic import Field, model_validator

from attnas.core import OpenSection


class BackboneConfig(OpenSection):
    """The network that gets the attention. Further keys are options of the named backbone."""

    name: str | None = Field(None, description="one of ours: {backbones}")
    factory: str | None = Field(
        None, description="your own network: `package.module:function` that returns it"
    )
    timm: str | None = Field(None, description="a model of timm")
    torchvision: str | None = Field(None, description="a classifier of torchvision")
    transformers: str | None = Field(
        None, description="an image classifier of transformers: a kind (`vit`), hub name or folder"
    )
    pretrained: bool | None = Field(
        None, description="the library's trained weights; false if not given"
    )
    weights: str | None = Field(
        None, description="file with trained weights of the library's model, another head left out"
    )
    arguments: dict[str, Any] = Field(
        default_factory=dict, description="keyword arguments of the factory or model"
    )
    stages: dict[str, Any] | None = Field(
        None,
        description="where blocks can be placed in your network: units and sites by stage; found "
        "if not given (`attnas inspect`)",
    )
    input_shape: list[int] | None = Field(
        None,
        description="of one input, where there are no data: your own training has them",
    )

    @model_validator(mode="after")
    def _one_network(self) -> "BackboneConfig":
        if (self.name, self.factory, *self.libraries.values()).count(None) != 4:
            raise ValueError(
                "give one of 'name' (one of ours), 'factory' (your own network), 'timm', "
                "'torchvision', 'transformers'"
            )
        loaded = self.pretrained is not None or self.weights is not None
        if loaded and (self.name is not None or self.factory is not None):
            raise ValueError(
                "'pretrained' and 'weights' are for the models of libraries; `init: FILE` loads "
                "the weights of another network"
            )
        return self

    @property
    def libraries(self) -> dict[str, str | None]:
        """The model by its library."""
        return {
            "timm": self.timm, "torchvision": self.torchvision, "transformers": self.transformers
        }  # fmt: skip
