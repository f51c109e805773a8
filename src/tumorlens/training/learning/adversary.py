"""An adversary that guesses the source of a picture, so that the features learn to hide it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tumorlens.network.mobilenet import channels_at

__all__ = ["SourceAdversary"]

_HIDDEN = 64


class SourceAdversary(nn.Module):
    """Guesses the source from pooled features (Ganin et al. 2016, arXiv:1505.07818).

    It is told the label: where a source holds one label only, features that hide the source
    without that would have to hide the label, too.

    Args:
        width: multiplier of the backbone.
        sources: how many there are.
    """

    def __init__(self, width: float, sources: int) -> None:
        super().__init__()
        _, middle, coarse = channels_at(width)
        self.guess = nn.Sequential(
            nn.Linear(middle + coarse + 1, _HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, sources)
        )

    def forward(self, pyramid: tuple[Tensor, Tensor, Tensor], tumor: Tensor) -> Tensor:
        """Features and labels (N,) -> (N, sources) logits; the gradient to the features is turned.

        The adversary's own weights learn to guess, and what lies under it learns the opposite.
        """
        pooled = torch.cat([pyramid[1].mean((2, 3)), pyramid[2].mean((2, 3))], 1)
        turned = 2 * pooled.detach() - pooled
        logits: Tensor = self.guess(torch.cat([turned, tumor.unsqueeze(1)], 1))
        return logits
