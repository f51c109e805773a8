"""Where initial weights come from, and each way in which they are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tiny_training import write_weights
from tumorlens.errors import DataError
from tumorlens.model.registry import MODELS
from tumorlens.network import weights
from tumorlens.network.mobilenet import MobileNetV2
from tumorlens.network.narrowing import narrow_weights
from tumorlens.network.weights import ENVIRONMENT, find_weights, load_backbone


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    monkeypatch.delenv(ENVIRONMENT, raising=False)


def test_weights_are_found_by_file_folder_and_environment(tmp_path, monkeypatch):
    file = write_weights(tmp_path / "mobilenet_v2_0.35.safetensors")
    assert find_weights(None, 0.35) is None
    assert find_weights(file, 0.35) == file
    assert find_weights(tmp_path, 0.35) == file
    monkeypatch.setenv(ENVIRONMENT, str(tmp_path))
    assert find_weights(None, 0.35) == file


def test_a_folder_gives_the_next_wider_file(tmp_path):
    for width in (0.35, 1.0):
        (tmp_path / f"mobilenet_v2_{width}.safetensors").touch()
    assert find_weights(tmp_path, 0.35).name == "mobilenet_v2_0.35.safetensors"
    assert find_weights(tmp_path, 0.5).name == "mobilenet_v2_1.0.safetensors"
    assert find_weights(tmp_path, 0.2).name == "mobilenet_v2_0.35.safetensors"
    with pytest.raises(DataError, match=r"mobilenet_v2_1.4.safetensors: no such file"):
        find_weights(tmp_path, 1.4)


def test_the_word_of_the_caller_comes_before_the_environment(tmp_path, monkeypatch):
    file = write_weights(tmp_path / "mine.safetensors")
    monkeypatch.setenv(ENVIRONMENT, "/nowhere")
    assert find_weights(file, 0.35) == file


def test_a_missing_file_says_what_to_give(tmp_path):
    with pytest.raises(DataError, match=r"no such file of weights; give a file as `weights=`"):
        find_weights(tmp_path, 1.0)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_weights_fill_the_backbone(tmp_path, suffix):
    torch.manual_seed(3)
    state = MobileNetV2(0.35).state_dict() | {"classifier.1.bias": torch.zeros(1000)}
    file = tmp_path / f"w{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(state, file)
    backbone = MobileNetV2(0.35)
    assert load_backbone(backbone, file) == file.name
    for name, value in backbone.state_dict().items():
        assert torch.equal(value, state[name])


def test_weights_of_a_smaller_width_are_refused(tmp_path):
    file = write_weights(tmp_path / "w.safetensors", width=0.35)
    with pytest.raises(
        DataError, match=r"those of the width 0.35, and the recipe's network.width is 0.5"
    ):
        load_backbone(MobileNetV2(0.5), file)


def test_wider_weights_are_narrowed(tmp_path):
    torch.manual_seed(3)
    wide = MobileNetV2(0.75)
    for name, value in wide.named_parameters():
        if value.ndim == 1 and name.endswith("weight"):
            torch.nn.init.uniform_(value)  # batch norms that differ
    save_file(wide.state_dict(), tmp_path / "wide.safetensors")
    narrow = MobileNetV2(0.35)
    assert load_backbone(narrow, tmp_path / "wide.safetensors") == "wide.safetensors, narrowed"
    assert set(narrow.features[0][1].weight.tolist()) == set(
        wide.features[0][1].weight.topk(16).values.tolist()
    )
    assert narrow(torch.rand(1, 3, 64, 64)).isfinite().all()


def test_narrowed_weights_are_not_frozen(tmp_path):
    file = write_weights(tmp_path / "wide.safetensors", width=0.5)
    with pytest.raises(DataError, match=r"first 4 layers are frozen; give `settings='"):
        load_backbone(MobileNetV2(0.35), file, frozen=4)


def test_channels_that_say_nothing_can_be_left_out_unnoticed():
    """A wide network whose further channels are silent gives the same answers when narrowed."""
    torch.manual_seed(4)
    narrow, wide = MobileNetV2(0.35).eval(), MobileNetV2(0.75).eval()
    for name, value in (*wide.named_parameters(), *wide.named_buffers()):
        own = narrow.state_dict()[name]
        if value.ndim:
            value.data.zero_()
            value.data[tuple(slice(size) for size in own.shape)] = own
    image = torch.rand(2, 3, 64, 64)
    cut = MobileNetV2(0.35).eval()
    cut.load_state_dict(narrow_weights(wide.state_dict(), cut), strict=False)
    torch.testing.assert_close(cut(image), wide(image))
    torch.testing.assert_close(cut(image), narrow(image))


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
def test_a_broken_file_is_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"no weights")
    with pytest.raises(DataError, match="cannot be read as weights"):
        load_backbone(MobileNetV2(0.35), tmp_path / name)


def test_a_whole_network_is_refused_without_advice_to_run_its_code(tmp_path):
    """So is a file of Keras, which is none of PyTorch."""
    torch.save(torch.nn.Identity(), tmp_path / "whole.pth")
    (tmp_path / "keras.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    for name in ("whole.pth", "keras.h5"):
        with pytest.raises(DataError, match="or holds more than tensors") as caught:
            load_backbone(MobileNetV2(0.35), tmp_path / name)
        assert "model.state_dict()" in str(caught.value)
        assert "weights_only" not in str(caught.value)


def test_offline_says_what_to_do(tmp_path, monkeypatch):
    """Nothing listens at that port: what a computer without a network sees."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(weights, "_TORCHVISION", "http://127.0.0.1:9/mobilenet_v2-b0353104.pth")
    with pytest.raises(DataError, match=r"cannot be reached .*offline, copy .* `weights=`"):
        load_backbone(MobileNetV2(1.0), None)


@pytest.mark.parametrize("width", [0.1, 0.15, 0.2, 0.25, 0.28])
def test_the_narrowest_networks_are_filled_too(tmp_path, width):
    """There blocks add to what they read that do not in a wide network."""
    file = write_weights(tmp_path / "wide.safetensors", width=1.0)
    narrow = MobileNetV2(width)
    assert load_backbone(narrow, file).endswith("narrowed")
    assert narrow(torch.rand(1, 3, 64, 64)).isfinite().all()


def bend(name, change):
    def apply(state):
        state[name] = change(state[name])
        return state

    return apply


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (bend("features.0.1.weight", lambda one: one[:10]), "those of no usual width"),
        (bend("features.0.0.weight", lambda one: one[:10]), "those of no usual width"),
        (bend("features.0.1.bias", lambda one: one * float("nan")), "not finite"),
        (lambda state: {n: v for n, v in state.items() if n != "features.1.conv.1.weight"},
         r"1 of 260 tensors are missing, features.1.conv.1.weight first"),
        (lambda state: dict.fromkeys(state, 3), "tensors are missing"),
        (lambda state: torch.ones(3), "it holds a Tensor"),
        (lambda state: [1], "it holds a list"),
    ],
)  # fmt: skip
def test_weights_that_do_not_fit_together_are_told(tmp_path, change, message):
    torch.save(change(MobileNetV2(0.5).state_dict()), tmp_path / "w.pth")
    with pytest.raises(DataError, match=message):
        load_backbone(MobileNetV2(0.35), tmp_path / "w.pth")


@pytest.mark.parametrize("name", ["default", Path("default")])
def test_a_bundled_model_is_named_as_weights(name):
    assert find_weights(name, 1.0) == MODELS["default"].path
