"""An adversary guesses the source of an image, and the features learn to hide the source."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tumorlens.network.mobilenet import channels_at

__all__ = ["SourceAdversary"]

_HIDDEN = 64


class SourceAdversary(nn.Module):
    """Guesses the source from pooled features (Ganin et al. 2016, arXiv:1505.07818).

    It gets the label, too. Some sources have one label only: without the label, features could
    hide such a source only by hiding the label.

    Args:
        width: multiplier of the backbone.
        sources: number of sources.
    """

    def __init__(self, width: float, sources: int) -> None:
        super().__init__()
        _, middle, coarse = channels_at(width)
        self.guess = nn.Sequential(
            nn.Linear(middle + coarse + 1, _HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, sources)
        )

    def forward(self, pyramid: tuple[Tensor, Tensor, Tensor], tumor: Tensor) -> Tensor:
        """(N, sources) logits from features and (N,) labels; reverses the gradient to the features.

        The adversary's own weights learn to guess the source; the backbone learns the opposite.
        """
        pooled = torch.cat([pyramid[1].mean((2, 3)), pyramid[2].mean((2, 3))], 1)
        turned = 2 * pooled.detach() - pooled
        logits: Tensor = self.guess(torch.cat([turned, tumor.unsqueeze(1)], 1))
        return logits
