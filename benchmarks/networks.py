"""Which networks of other libraries can be searched without describing them?

Question: of more than 40 architectures of timm, torchvision and transformers, with random weights,
in how many are stages, units and sites found; do they compute at the near-identity start what they
computed before; do gradients reach every block; and is the network the same after it was written
and read? Goal: all of that in 38 of 40.

    python -m benchmarks.networks [--quick] [--only PART] [--onnx] [--out FILE]

About five minutes on two cores. `--only TEXT` takes those whose name has it and writes nothing.
`--onnx` writes each as ONNX too (12 seconds each) and compares what ONNX Runtime computes, of one
image and of three where the file was traced with two; `onnx_reason` says why one cannot be written.

A gate (SE at ratio 16, else ECA) is placed in every stage that has `residual`, else at `post`.
Weights that start all alike, as zero scales of branches and zero heads do, are drawn anew, as if
trained. `difference` is the greatest one of an output over the greatest output, on two random
images; `blocks` counts those that are inserted, `gradients` those with a finite gradient that is
not zero. `rebuilt`: the architecture as JSON and back gives the same weights and outputs.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from attnas.core import AttnasError, first_line
from attnas.evaluator import export_onnx
from attnas.search_space import (
    Architecture,
    Backbone,
    build,
    decision_from_dict,
    make_backbone,
    stage_decisions,
)

from .provenance import RESULTS, print_table, provenance, write_json
from .timm_blocks import declare_operators

LIBRARIES = ("timm", "torchvision", "transformers")
SIDE, CLASSES = 64, 10
SIDES = {"timm/efficientformer_l1": 224, "transformers/swin": 128}
"""Of those that take no image of 64 pixels."""
OPTIONS = ("se:r16@residual", "se:r16@post", "eca@residual", "eca@post")
SAME = 1e-4
QUICK = ("torchvision/squeezenet1_1", "timm/mobilenetv3_small_100", "transformers/vit")

_SMALL_SWIN = {"window_size": 4}
_TINY = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
_TINY |= {"intermediate_size": 128}

NETWORKS: dict[str, dict[str, Any]] = {
    "torchvision/resnet18": {},
    "torchvision/resnext50_32x4d": {},
    "torchvision/regnet_y_400mf": {},
    "torchvision/densenet121": {},
    "torchvision/mobilenet_v2": {},
    "torchvision/mobilenet_v3_small": {},
    "torchvision/efficientnet_b0": {},
    "torchvision/efficientnet_v2_s": {},
    "torchvision/mnasnet0_5": {},
    "torchvision/shufflenet_v2_x0_5": {},
    "torchvision/squeezenet1_1": {},
    "torchvision/googlenet": {},
    "torchvision/vgg11_bn": {},
    "torchvision/alexnet": {},
    "torchvision/convnext_tiny": {},
    "torchvision/swin_t": {},
    "torchvision/vit_b_16": {},
    "timm/resnet18d": {},
    "timm/resnet26t": {},
    "timm/regnetx_002": {},
    "timm/regnety_002": {},
    "timm/mobilenetv3_small_100": {},
    "timm/mobilenetv4_conv_small": {},
    "timm/efficientnet_lite0": {},
    "timm/ghostnet_100": {},
    "timm/repvit_m0_9": {},
    "timm/convnext_atto": {},
    "timm/convnextv2_atto": {},
    "timm/poolformer_s12": {},
    "timm/caformer_s18": {},
    "timm/maxvit_rmlp_pico_rw_256": {},
    "timm/coatnet_nano_rw_224": {},
    "timm/swin_tiny_patch4_window7_224": _SMALL_SWIN,
    "timm/swinv2_tiny_window8_256": _SMALL_SWIN,
    "timm/vit_tiny_patch16_224": {},
    "timm/deit_tiny_distilled_patch16_224": {},
    "timm/pvt_v2_b0": {},
    "timm/efficientformer_l1": {},
    "timm/efficientformerv2_s0": {},
    "timm/mobilevit_xxs": {},
    "timm/fastvit_t8": {},
    "timm/edgenext_xx_small": {},
    "timm/hrnet_w18_small": {},
    "timm/dla34": {},
    "timm/cspresnet50": {},
    "timm/res2net50_14w_8s": {},
    "timm/mixer_s16_224": {},
    "timm/xcit_nano_12_p16_224": {},
    "timm/levit_128s": {},
    "timm/inception_next_atto": {},
    "transformers/resnet": {},
    "transformers/convnext": {},
    "transformers/mobilenet_v2": {},
    "transformers/swin": {"window_size": 4},
    "transformers/vit": _TINY,
    "transformers/dinov2": {**_TINY, "patch_size": 16, "mlp_ratio": 2},
}


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    declare_operators()
    rows = []
    for name, given in NETWORKS.items():
        if options.only in name and (name in QUICK or not options.quick):
            rows.append(_row(name, given, onnx=options.onnx))
            print(_summary(rows[-1]), flush=True)
    _show(rows)
    if not options.only:
        content = provenance(arguments, "benchmarks.networks")
        libraries = {name: version(name) for name in LIBRARIES}
        write_json(options.out, {**content, "libraries": libraries, "networks": rows})
    return 0


def _row(name: str, arguments: dict[str, Any], *, onnx: bool) -> dict[str, Any]:
    """What one network shows; where it fails, the reason."""
    began = time.perf_counter()
    library, _, model = name.partition("/")
    side = SIDES.get(name, SIDE)
    row: dict[str, Any] = {"network": name, "side": side}
    try:
        backbone = make_backbone(
            libraries={library: model},
            arguments=arguments,
            input_shape=(3, side, side),
            output_shape=(CLASSES,),
        )
        row |= _sites(backbone)
        row |= _with_blocks(backbone, onnx=onnx)
        good = row["difference"] < SAME and row["rebuilt"]
        row["passed"] = good and row["gradients"] == row["blocks"] > 0
    except AttnasError as error:
        row |= {"passed": False, "reason": str(error)}
    return row | {"seconds": round(time.perf_counter() - began, 1)}


def _sites(backbone: Backbone) -> dict[str, Any]:
    units = [unit for stage in backbone.stage_names for unit in backbone.units(stage)]
    placed = [(placement, site) for unit in units for placement, site in unit.sites.items()]
    names = sorted({placement for placement, _ in placed})
    return {
        "stages": len(backbone.stage_names),
        "units": len(units),
        "sites": {name: sum(placement == name for placement, _ in placed) for name in names},
        "layouts": sorted({str(site.layout) for _, site in placed}),
    }


def _with_blocks(backbone: Backbone, *, onnx: bool) -> dict[str, Any]:
    """The network with gates beside the one without."""
    decisions = stage_decisions(backbone)
    texts = []
    for decision in decisions:
        fitting = (o for o in OPTIONS if decision.placed(o, backbone))  # type: ignore[attr-defined]
        texts.append(next(fitting, decision.plain(backbone)))
    plain = Architecture.plain(backbone, decisions)
    changed = Architecture.read(backbone, decisions, texts)
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(2, *backbone.input_shape, generator=generator)
    weights = _spread(build(plain, seed=0), generator)
    before = build(plain, seed=0, weights=weights).eval()
    network = build(changed, seed=0, weights=weights).eval()
    with torch.no_grad():
        expected = before(images)
    own = {id(network.get_submodule(p)) for p in _blocks(changed)}
    given = network(images)
    (given * torch.randn(given.shape, generator=generator)).sum().backward()
    reached = [_is_reached(m) for m in network.modules() if id(m) in own]
    scale = float(expected.abs().max()) or 1.0
    return {
        **(_as_onnx(network, images) if onnx else {}),
        "options": sorted(set(texts)),
        "blocks": len(reached),
        "gradients": sum(reached),
        "difference": float((given.detach() - expected).abs().max()) / scale,
        "rebuilt": _is_rebuilt(changed, weights, network, images),
    }


def _spread(network: nn.Module, generator: torch.Generator) -> dict[str, Tensor]:
    """The state, with parameters that are all alike (zero scales and heads) drawn anew: as those
    of a trained network, they let every branch count."""
    state = network.state_dict()
    for name, parameter in network.named_parameters():
        if (parameter.max() - parameter.min()).item() < 1e-8:
            drawn = torch.rand(parameter.shape, generator=generator)
            state[name] = 0.5 + drawn if parameter.dim() == 1 else 0.2 * drawn - 0.1
    return state


def _blocks(architecture: Architecture) -> list[str]:
    """The paths of the blocks in the built network; sites wrap a module each."""
    changed = {edit.path for edit in architecture.edits}
    network = build(architecture, seed=0)
    return [
        f"{path}.block"
        for path, module in network.named_modules()
        if type(module).__name__ == "After" and _original(path) in changed
    ]


def _original(path: str) -> str:
    """The path in the network without blocks."""
    return ".".join(part for part in path.split(".") if part != "module")


def _is_reached(block: nn.Module) -> bool:
    gradients = [p.grad for p in block.parameters() if p.grad is not None]
    finite = all(bool(g.isfinite().all()) for g in gradients)
    return finite and any(bool(g.any()) for g in gradients)


def _is_rebuilt(
    architecture: Architecture, weights: dict[str, Tensor], network: nn.Module, images: Tensor
) -> bool:
    written = json.dumps(
        {
            "backbone": architecture.backbone.to_dict(),
            "decisions": [decision.to_dict() for decision in architecture.decisions],
            "options": architecture.options,
        }
    )
    read = json.loads(written)
    again = Architecture.read(
        Backbone.from_dict(read["backbone"]),
        [decision_from_dict(decision) for decision in read["decisions"]],
        read["options"],
    )
    rebuilt = build(again, seed=0, weights=weights).eval()
    one, other = network.state_dict(), rebuilt.state_dict()
    same = one.keys() == other.keys() and all(torch.equal(one[n], other[n]) for n in one)
    with torch.no_grad():
        return same and torch.equal(rebuilt(images), network(images))


def _as_onnx(network: nn.Module, images: Tensor) -> dict[str, Any]:
    """The greatest difference of what ONNX Runtime computes over the greatest output, of a batch
    of one and of one more than there are images; where it cannot be written or run, the reason."""
    batches = (images[:1], torch.cat((images, images[:1])))
    try:
        with tempfile.TemporaryDirectory() as folder:
            file = export_onnx(network, tuple(images.shape[1:]), Path(folder) / "network.onnx")
            differences = [_onnx_difference(network, file, batch) for batch in batches]
    except Exception as error:  # exporter and runtime raise many kinds
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        return {"onnx_reason": f"{type(cause).__name__}: {first_line(cause)}"}
    return {"onnx": max(differences)}


def _onnx_difference(network: nn.Module, file: Path, images: Tensor) -> float:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    [found] = session.run(None, {"images": images.numpy()})
    with torch.no_grad():
        expected = network(images)
    scale = float(expected.abs().max()) or 1.0
    return float((torch.from_numpy(found) - expected).abs().max()) / scale


def _summary(row: dict[str, Any]) -> str:
    if "reason" in row:
        return f"{row['network']}: {row['reason']}"
    return f"{row['network']}: {'passed' if row['passed'] else row}, {_onnx(row)}".rstrip(", ")


def _onnx(row: dict[str, Any]) -> str:
    return f"{row['onnx']:.1e}" if "onnx" in row else row.get("onnx_reason", "")


def _show(rows: Sequence[dict[str, Any]]) -> None:
    head = [
        "network",
        "stages",
        "units",
        "layouts",
        "blocks",
        "gradients",
        "difference",
        "rebuilt",
        "onnx",
    ]
    shown = [
        [
            row["network"],
            *(row.get(name, "") for name in ("stages", "units")),
            " ".join(row.get("layouts", ())),
            *(row.get(name, "") for name in ("blocks", "gradients")),
            f"{row['difference']:.1e}" if "difference" in row else "",
            row.get("rebuilt", ""),
            _onnx(row),
        ]
        for row in rows
    ]
    print_table(head, shown)
    print(f"{sum(row['passed'] for row in rows)} of {len(rows)} passed")
    if any("onnx" in row or "onnx_reason" in row for row in rows):
        equal = sum(row.get("onnx", SAME) < SAME for row in rows)
        print(f"{equal} of {len(rows)} equal in ONNX Runtime")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Which networks can be searched as they are?")
    parser.add_argument("--only", default="", help="part of the names of the networks to try")
    parser.add_argument("--quick", action="store_true", help="three networks, one a library")
    parser.add_argument("--onnx", action="store_true", help="write each as ONNX too")
    parser.add_argument("--out", type=Path, default=RESULTS / "networks.json")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    raise SystemExit(main())
