"""Freezing and learning rates by pattern, on plain networks and on such with blocks."""

import pytest
import torch
from torch import nn

from attnas.core import InputError
from attnas.evaluator import Recipe, load_data, make_optimizer, make_task, set_rate, train
from attnas.evaluator.fine_tuning import check_patterns, freeze, frozen, learning_rate_scales
from attnas.search_space import Architecture, Backbone, build, stage_decisions

BACKBONE = Backbone("resnet_cifar", (("depth", 8), ("width", 8)), (1, 8, 8), (10,))
DECISIONS = stage_decisions(BACKBONE)
TASK = make_task("classification", {})


def network(*options: str) -> nn.Module:
    plain = Architecture.plain(BACKBONE, DECISIONS)
    chosen = Architecture.read(BACKBONE, DECISIONS, options) if options else plain
    return build(chosen, seed=0)


WITH_BLOCKS = ("se:r4@post", "se:r4@residual", "eca@pre")


def names(made: nn.Module) -> list[str]:
    return [name for name, _ in made.named_parameters()]


def test_what_a_pattern_names_is_frozen_with_its_batch_norms():
    made = network()
    found = frozen(made, ["layer1", "stem"])
    assert set(found.parameters) == {n for n in names(made) if n.startswith(("layer1.", "stem."))}
    norms = {n for n, m in made.named_modules() if isinstance(m, nn.BatchNorm2d)}
    assert set(found.norms) == {n for n in norms if n.startswith(("layer1.", "stem."))}
    assert len(found.norms) >= 2


def test_a_batch_norm_is_kept_in_eval_where_all_of_it_is_frozen_and_not_where_a_part_is():
    made = nn.Sequential(nn.BatchNorm2d(1), nn.BatchNorm2d(1), nn.BatchNorm2d(1, affine=False))
    assert frozen(made, ["0.weight"]).norms == ()
    assert frozen(made, ["re:0.(weight|bias)"]).norms == ("0",)
    assert frozen(made, ["2"]).norms == ("2",)
    assert frozen(made, ["[12]"]).norms == ("1", "2")


def test_blocks_are_not_frozen_with_what_they_are_in():
    made = network(*WITH_BLOCKS)
    new = {name for name in names(made) if ".block." in name or "_slot" in name}
    held = freeze(made, ["layer1", "layer2", "layer3"])
    moved = {name for name, p in made.named_parameters() if p.requires_grad}
    assert held
    plain = {name for name in moved if name.startswith(("stem", "head"))}
    blocks = set(names(made)) - set(names(network()))
    assert moved - plain == blocks - {n for n in blocks if ".module." in n}
    assert new <= moved


def test_scales_are_by_pattern_and_new_is_the_blocks():
    made = network(*WITH_BLOCKS)
    scales = learning_rate_scales(made, {"new": 10.0, "layer1": 0.1, "re:head.*": 2.0})
    plain = set(names(network()))
    assert all(scale == 10.0 for name, scale in scales.items() if name not in plain)
    own = {name: scale for name, scale in scales.items() if name in plain}
    parts = {name.partition(".")[0]: scale for name, scale in own.items()}
    assert parts == {"layer1": 0.1, "head": 2.0}
    assert learning_rate_scales(made, {}) == {}


def test_the_optimizer_moves_by_the_scales_and_leaves_what_is_frozen():
    recipe = Recipe(freeze=["stem"], learning_rate_scale={"new": 10, "layer1": 0.1})
    made = network(*WITH_BLOCKS)
    freeze(made, recipe.freeze)
    optimizer = make_optimizer(made, recipe)
    set_rate(optimizer, recipe, 3, 10)
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    by_name = {name: rates.get(id(p)) for name, p in made.named_parameters()}
    whole = by_name["head.weight"] if "head.weight" in by_name else by_name[names(made)[-1]]
    plain = set(names(network()))
    assert all(rate is None for name, rate in by_name.items() if name.startswith("stem"))
    for name, rate in by_name.items():
        if name not in plain:
            assert rate == pytest.approx(10 * whole)
        elif name.startswith("layer1"):
            assert rate == pytest.approx(0.1 * whole)
        elif not name.startswith("stem"):
            assert rate == whole


@pytest.mark.parametrize(
    ("patterns", "scales", "key", "problem"),
    [
        (["stem", "layer9"], {}, "training.freeze[1]",
         "the network has no module or parameter 'layer9'. Did you mean 'layer3', 'layer2' or "
         "'layer1'?"),
        ([], {"new": 2, "re:layer9.*": 1}, "training.learning_rate_scale.re:layer9.*",
         "the network has no module or parameter 're:layer9.*'. Did you mean 'layer3.0', "
         "'layer2.0' or 'layer1.0'?"),
        (["re:.*"], {}, "training.freeze",
         "all of the network is frozen: nothing would be trained. Leave a part out."),
        (["*"], {}, "training.freeze",
         "all of the network is frozen: nothing would be trained. Leave a part out."),
        ([], {"layer1": 1, "re:layer[12]": 2}, "training.learning_rate_scale.re:layer[12]",
         "'layer1' and 're:layer[12]' give layer1.0.conv1.weight different scales. Let each "
         "parameter be named by one of them."),
    ],
)  # fmt: skip
def test_patterns_that_do_not_fit_are_refused(patterns, scales, key, problem):
    with pytest.raises(InputError) as caught:
        check_patterns(network(), patterns, scales, key="training")
    assert (caught.value.key, caught.value.problem) == (key, problem)


def test_patterns_that_agree_may_overlap():
    check_patterns(network(), ["stem"], {"layer1": 0.5, "layer1.0": 0.5, "new": 3}, key="training")


def test_training_leaves_frozen_weights_and_statistics_as_they_were():
    data = load_data("digits", TASK, train=200, validation=50)
    made = network(*WITH_BLOCKS)
    before = {name: value.clone() for name, value in made.state_dict().items()}
    frozen_before = frozen(made, ["layer1", "layer2"])
    recipe = Recipe(epochs=1, freeze=["layer1", "layer2"], precision="float32")
    train(made, data, TASK, recipe, seed=0)
    after = made.state_dict()
    kept = set(frozen_before.parameters)
    kept |= {name for name in after for norm in frozen_before.norms if name.startswith(f"{norm}.")}
    assert len(kept) > 20
    for name in after:
        assert torch.equal(before[name], after[name]) == (name in kept), name
