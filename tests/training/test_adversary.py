"""The adversary learns to guess the source, and the features learn the opposite."""

from __future__ import annotations

import torch
from torch.nn import functional

from tumorlens.network.mobilenet import channels_at
from tumorlens.training.learning.adversary import SourceAdversary


def test_what_helps_the_adversary_is_turned_against_the_features():
    torch.manual_seed(0)
    _, middle, coarse = channels_at(0.35)
    features = torch.randn(8, middle, 4, 4, requires_grad=True)
    deep = torch.randn(8, coarse, 2, 2, requires_grad=True)
    sources = torch.arange(8) % 2
    adversary = SourceAdversary(0.35, 2)

    def guess(middle_features):
        pyramid = (middle_features, middle_features, deep)
        return functional.cross_entropy(adversary(pyramid, torch.zeros(8)), sources)

    loss = guess(features)
    loss.backward()
    step = 0.5
    with torch.no_grad():
        assert guess(features - step * features.grad) > loss  # as the optimizer steps
        for weight in adversary.parameters():
            weight.sub_(0.1 * weight.grad)
        assert guess(features) < loss
