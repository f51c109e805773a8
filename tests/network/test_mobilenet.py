"""MobileNetV2: the names, the size and the padding of the weights that it takes."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from tumorlens.network.mobilenet import MobileNetV2, channels_at, mix_styles, scale_channels


@pytest.fixture(scope="module")
def backbone():
    torch.manual_seed(0)
    return MobileNetV2(0.35).eval()


def test_parameters_have_torchvisions_names():
    names = set(MobileNetV2(0.35).state_dict())
    for name in (
        "features.0.0.weight",
        "features.0.1.running_mean",
        "features.1.conv.0.0.weight",
        "features.1.conv.1.weight",
        "features.1.conv.2.bias",
        "features.2.conv.0.0.weight",
        "features.2.conv.1.1.running_var",
        "features.2.conv.2.weight",
        "features.2.conv.3.weight",
        "features.17.conv.3.num_batches_tracked",
        "features.18.0.weight",
        "features.18.1.bias",
    ):
        assert name in names
    assert len(names) == 312  # torchvision's 314 without the classifier's weight and bias


def test_parameters_are_as_many_as_the_paper_says():
    """3,504,872 in torchvision, 1,281,000 of them in its classifier of 1,000 classes."""
    assert sum(value.numel() for value in MobileNetV2(1.0).parameters()) == 3_504_872 - 1_281_000


@pytest.mark.parametrize(
    ("channels", "width", "scaled"),
    [(32, 1.0, 32), (32, 0.35, 16), (96, 0.35, 32), (24, 0.35, 8), (1280, 1.4, 1792), (16, 0.1, 8)],
)
def test_channels_are_multiples_of_eight(channels, width, scaled):
    assert scale_channels(channels, width) == scaled


def test_the_last_layer_never_shrinks():
    assert channels_at(0.35) == (16, 32, 1280)
    assert channels_at(1.0) == (32, 96, 1280)


def test_the_pyramid_has_strides_8_16_and_32(backbone):
    x = torch.rand(2, 3, 64, 64)
    shapes = [tuple(one.shape) for one in backbone.pyramid(x)]
    assert shapes == [(2, 16, 8, 8), (2, 32, 4, 4), (2, 1280, 2, 2)]
    torch.testing.assert_close(backbone(x), backbone.pyramid(x)[2])


@pytest.mark.parametrize("padding", ["same", "symmetric"])
def test_both_ways_of_padding_at_stride_two(padding):
    """TensorFlow pads one pixel after the picture at even sizes, torchvision one on both sides."""
    torch.manual_seed(0)
    backbone = MobileNetV2(0.35, padding).eval()
    x = torch.rand(1, 3, 8, 8)
    first = backbone.features[0]
    edges = (0, 1, 0, 1) if padding == "same" else (1, 1, 1, 1)
    expected = functional.conv2d(functional.pad(x, edges), first[0].weight, stride=2)
    torch.testing.assert_close(first(x), first[2](first[1](expected)))
    assert backbone.pyramid(torch.rand(1, 3, 64, 64))[0].shape[2:] == (8, 8)


def test_padding_changes_no_name_and_no_shape():
    same, symmetric = (MobileNetV2(0.35, way).state_dict() for way in ("same", "symmetric"))
    assert {n: v.shape for n, v in same.items()} == {n: v.shape for n, v in symmetric.items()}


def test_stochastic_depth_drops_branches_in_training_alone(backbone):
    torch.manual_seed(0)
    network = MobileNetV2(0.35)
    network.set_stochastic_depth(1.0)
    survivals = [layer.survival for layer in network.features if hasattr(layer, "survival")]
    assert survivals == sorted(survivals, reverse=True)
    assert survivals[-1] == 0
    network.set_stochastic_depth(0.5)
    x = torch.rand(4, 3, 64, 64)
    network.eval()
    torch.testing.assert_close(network(x), network(x))
    network.train()
    block = network.features[16]
    y = torch.rand(64, *network.features[:16](x).shape[1:])
    untouched = (block(y) == y).flatten(1).all(dim=1)
    assert 0 < untouched.sum() < 64


def test_mixed_styles_lie_between_two_pictures_and_the_content_stays():
    torch.manual_seed(0)
    x = torch.randn(4, 3, 8, 8) * torch.tensor([1.0, 2.0, 3.0, 4.0]).view(4, 1, 1, 1)
    mixed = mix_styles(x, 0.5)
    deviations = x.std((2, 3))
    assert (mixed.std((2, 3)) <= deviations.max(0).values + 1e-4).all()
    assert (mixed.std((2, 3)) >= deviations.min(0).values - 1e-4).all()
    assert not torch.allclose(mixed, x)

    def normalize(y):
        return (y - y.mean((2, 3), keepdim=True)) / y.std((2, 3), keepdim=True)

    torch.testing.assert_close(normalize(mixed), normalize(x), rtol=1e-3, atol=1e-3)


def test_styles_are_mixed_in_training_only():
    torch.manual_seed(0)
    backbone = MobileNetV2(0.35)
    x = torch.rand(6, 3, 64, 64) * torch.arange(1.0, 7.0).view(6, 1, 1, 1)
    backbone.eval()
    plain = backbone.pyramid(x)[0]
    backbone.style_mixing = 0.5
    torch.testing.assert_close(backbone.pyramid(x)[0], plain)
    backbone.training = True  # its layers stay in evaluation, so that only styles differ
    assert not torch.allclose(backbone.pyramid(x)[0], plain, rtol=1e-3, atol=0)
