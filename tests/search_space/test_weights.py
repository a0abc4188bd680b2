import logging

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from attnas.core import InputError
from attnas.search_space.weights import load_state, load_weights


def network(classes=3):
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, classes))


def equal(one, other, names):
    states = one.state_dict(), other.state_dict()
    return all(torch.equal(states[0][name], states[1][name]) for name in names)


BODY = ("0.weight", "0.bias", "1.weight", "1.running_mean")


@pytest.mark.parametrize("prefix", ["", "module.", "model.", "module._orig_mod."])
@pytest.mark.parametrize("inside", ["", "state_dict", "model"])
def test_prefixes_and_wrappers_are_seen_through(prefix, inside, tmp_path):
    trained, new = network(), network()
    state = {f"{prefix}{name}": tensor for name, tensor in trained.state_dict().items()}
    torch.save({inside: state, "epoch": 4} if inside else state, tmp_path / "w.pt")
    load_weights(new, str(tmp_path / "w.pt"), key="k")
    assert equal(trained, new, [*BODY, "3.weight"])


def test_averaged_weights_come_first(tmp_path):
    last, averaged, new = network(), network(), network()
    content = {"state_dict": last.state_dict(), "state_dict_ema": averaged.state_dict()}
    torch.save(content, tmp_path / "w.pt")
    load_weights(new, str(tmp_path / "w.pt"), key="k")
    assert equal(averaged, new, BODY)


def test_a_head_of_another_size_is_left_out_with_a_note(tmp_path, caplog):
    trained, new = network(classes=7), network()
    save_file(trained.state_dict(), tmp_path / "w.safetensors")
    with caplog.at_level(logging.INFO, logger="attnas"):
        load_weights(new, str(tmp_path / "w.safetensors"), key="k")
    assert equal(trained, new, BODY)
    assert caplog.messages == [
        f"{tmp_path}/w.safetensors: of another shape, so left as initialised: 3.weight, 3.bias."
    ]


def test_names_may_lack_the_wrapper_of_the_network():
    wrapped = nn.ModuleDict({"model": network()})
    assert load_state(wrapped, network().state_dict()) == []


def test_what_holds_no_weights_is_refused(tmp_path):
    file = tmp_path / "w.pt"
    for content, expected in (
        ({"a": 1}, "holds no state dict: names with tensors"),
        (nn.Linear(2, 2).state_dict(), "has 0 of the 6 parameters of the Sequential"),
    ):
        torch.save(content, file)
        with pytest.raises(InputError, match=expected):
            load_weights(network(), str(file), key="k")
    torch.save(network(), file)
    with pytest.raises(InputError, match=r"torch\.save\(network\.state_dict\(\), 'weights\.pt'\)"):
        load_weights(network(), str(file), key="k")
