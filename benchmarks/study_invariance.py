"""Does a head get the same verdict if it is cut and stored in other ways?

Takes whole volumes (NIfTI), reads each as it is, then thinned (every n-th slice) and thickened (n
slices averaged) to about 3, 5 and 6 mm, and stored in other orders of its axes. With --lesion a
soft bright ball of 30 mm is painted into each, so that the other verdict is tried, too. Prints the
probability of each version, and over all: the median and the largest change, and how many verdicts
stayed as they were. Slices are thinned and thickened from foot to head, where spacing is 2 mm or
less.

    python benchmarks/study_invariance.py VOLUME.nii.gz ... [--lesion] [--orders 48] [--model M]
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import permutations, product
from pathlib import Path

import nibabel as nib
import numpy as np

from tumorlens.detector import Detector
from tumorlens.predicting.predictions import predict_studies

WANTED = (3.0, 5.0, 6.0)


def paint(volume: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """A soft ball, as bright as the brightest tissue, off the middle of the head."""
    head = np.argwhere(volume > np.quantile(volume, 0.6))
    low, high = head.min(axis=0), head.max(axis=0)
    center = low + (high - low) * np.array([0.33, 0.5, 0.62])
    distance = np.sqrt(sum(((np.indices(volume.shape)[a] - center[a]) * spacing[a]) ** 2
                           for a in range(3)))  # fmt: skip
    share = 1 / (1 + np.exp((distance - 15) / 1.5))
    return volume * (1 - 0.8 * share) + np.quantile(volume, 0.999) * 0.8 * share


def list_versions(image: nib.Nifti1Image, orders: int, seed: int) -> Iterator[tuple[str, object]]:
    """Name and image of each version; the volume lies along the patient's axes."""
    volume, affine = np.asarray(image.dataobj, np.float32), image.affine
    yield "as it is", image
    gap = float(np.linalg.norm(affine[:, 2]))
    for wanted in WANTED:
        step = round(wanted / gap)
        if gap > 2 or step < 2:
            continue
        thin = affine.copy()
        thin[:, 2] *= step
        yield f"thinned to {step * gap:.1f} mm", nib.Nifti1Image(volume[:, :, ::step], thin)
        count = volume.shape[2] // step
        thick = volume[:, :, : count * step].reshape(*volume.shape[:2], count, step).mean(axis=3)
        moved = thin.copy()
        moved[:, 3] += affine[:, 2] * (step - 1) / 2
        yield f"thickened to {step * gap:.1f} mm", nib.Nifti1Image(thick, moved)
    every = list(product(permutations(range(3)), product((1, -1), repeat=3)))
    for index in np.random.default_rng(seed).permutation(len(every))[:orders]:
        order, signs = every[index]
        yield f"stored {order} {signs}", store(volume, affine, order, signs)


def store(volume: np.ndarray, affine: np.ndarray, order: tuple, signs: tuple) -> nib.Nifti1Image:
    turned, moved = volume.transpose(order), affine.copy()
    moved[:, :3] = affine[:, order]
    for axis, sign in enumerate(signs):
        if sign < 0:
            moved[:, 3] += moved[:, axis] * (turned.shape[axis] - 1)
            moved[:, axis] *= -1
            turned = np.flip(turned, axis)
    return nib.Nifti1Image(np.ascontiguousarray(turned), moved)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("volumes", nargs="+", type=Path)
    parser.add_argument("--model", default="default")
    parser.add_argument("--lesion", action="store_true")
    parser.add_argument("--orders", type=int, default=6)
    options = parser.parse_args()
    detector = Detector(options.model)
    changes: dict[str, list[float]] = {}
    kept: list[bool] = []
    for path in options.volumes:
        image = nib.as_closest_canonical(nib.load(path))
        if options.lesion:
            spacing = np.linalg.norm(image.affine[:3, :3], axis=0)
            painted = paint(np.asarray(image.dataobj, np.float32), spacing)
            image = nib.Nifti1Image(painted.astype(np.float32), image.affine)
        base = None
        for name, version in list_versions(image, options.orders, seed=0):
            (study,) = predict_studies(version, model=detector)
            chance, verdict = study.tumor_probability or 0.0, study.verdict
            base = base or (chance, verdict)
            if name != "as it is":
                changes.setdefault(name.split()[0], []).append(abs(chance - base[0]))
                kept.append(verdict == base[1])
            print(f"{path.name:28} {name:32} {verdict:10} {chance:.3f}", flush=True)
    for kind, values in changes.items():
        print(f"{kind}: median change {np.median(values):.3f}, largest {max(values):.3f}")
    print(f"verdict as before: {sum(kept)} of {len(kept)}")


if __name__ == "__main__":
    main()
