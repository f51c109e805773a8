"""`Session`: a model file, loaded and checked, that runs on batches of prepared images."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tumorlens.arguments import PATH, Rule, check_arguments
from tumorlens.errors import ModelFileError, UsageError
from tumorlens.model.card import Card, parse_card
from tumorlens.model.contract import BRAIN, CARD_KEY, INPUT, SEEN_KEY, STUDIES_KEY, check_shapes
from tumorlens.model.inspection import read_model
from tumorlens.model.instructions import overflows, read_cpuinfo
from tumorlens.model.onnx_runtime import load_onnxruntime
from tumorlens.model.registry import MODELS, find_model

__all__ = ["Outputs", "Session", "load_card"]

Array = npt.NDArray[np.float32]

_TOLERANCE = 1e-3  # of the sum of probabilities, for providers of half precision


@dataclass(frozen=True, slots=True, eq=False)
class Outputs:
    """What a model says of N images.

    Attributes:
        probabilities: (N, K) float32, calibrated; rows sum to 1.
        activation: (N, h, w) float32, sigmoid of each cell's tumor logit.
        unfamiliarity: (N,) float32; 1 at the card's limit.
        brain: (N, h, w) float32, probability of each cell to show brain; None where the model
            does not tell, as with the others.
        plane: (N, 3) float32, probabilities in the order of `contract.LOOKS`.
        sequence: (N, 5) float32.
        skull: (N, 2) float32.
        outside: (N,) float32; above 1 the image is no MRI of the brain.
    """

    probabilities: Array
    activation: Array
    unfamiliarity: Array
    brain: Array | None = None
    plane: Array | None = None
    sequence: Array | None = None
    skull: Array | None = None
    outside: Array | None = None

    def turned(self) -> Outputs:
        """The same for mirrored images, their grids of cells mirrored back."""
        grids = {
            name: np.ascontiguousarray(values[..., ::-1])
            for name in ("activation", BRAIN)
            if (values := getattr(self, name)) is not None
        }
        return replace(self, **grids)

    def averaged(self, other: Outputs) -> Outputs:
        """The mean of two answers to the same images."""
        means = {
            name: (one + getattr(other, name)) / 2
            for field in fields(self)
            if (one := getattr(self, (name := field.name))) is not None
        }
        return Outputs(**means)

    def are_sound(self) -> bool:
        """Whether a verdict can be made of all of it: a NaN would pass as one."""
        sums = self.probabilities.sum(axis=1)
        others = (getattr(self, field.name) for field in fields(self)[1:])
        finite = all(np.isfinite(values).all() for values in others if values is not None)
        shares = (self.probabilities >= 0).all() and (np.abs(sums - 1) < _TOLERANCE).all()
        return bool(finite and shares)


class Session:
    """A model file in ONNX Runtime.

    Sent to another process (pickled), it is opened there anew, and must have the same hash.

    Args:
        path: of the ``.onnx`` file.
        threads: inside one run; None leaves the choice to ONNX Runtime.
        providers: execution providers, in order of preference.
        sha256: refuse the file if its hash is another.

    Attributes:
        path: of the model file.
        card: its card.
        sha256: hash of the file, lower-case hexadecimal.

    Raises:
        ModelFileError: the file is missing, no model, or breaks the contract.
        UsageError: a provider is not there.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        threads: int | None = None,
        providers: Sequence[str] = ("CPUExecutionProvider",),
        sha256: str | None = None,
    ) -> None:
        self.path = Path(path)
        self._threads = threads
        self._providers = (providers,) if isinstance(providers, str) else tuple(providers)
        data = read_model(self.path)
        self.sha256 = _check_hash(self.path, data, sha256)
        self._runtime = _open_runtime(self.path, data, threads, self._providers)
        try:
            metadata = self._runtime.get_modelmeta().custom_metadata_map
            inputs = {value.name: value.shape for value in self._runtime.get_inputs()}
            outputs = {value.name: value.shape for value in self._runtime.get_outputs()}
        except UnicodeDecodeError as error:
            raise ModelFileError(f"{path}: holds text that is no UTF-8 ({error.reason})") from None
        if CARD_KEY not in metadata:
            raise ModelFileError(
                f"{path}: has no card (metadata entry {CARD_KEY!r}); "
                "this is no tumorlens model: make one with tumorlens train"
            )
        self.card = parse_card(metadata[CARD_KEY], str(path))
        self._seen: str | None = metadata.get(SEEN_KEY)
        self._studies: str | None = metadata.get(STUDIES_KEY)
        self._outputs = check_shapes(
            str(path),
            inputs,
            outputs,
            size=self.card.preprocess.size,
            classes=len(self.card.classes),
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process opens the same file, by name if it is a bundled one."""
        name = next((one.name for one in MODELS.values() if one.path == self.path), None)
        given = name or str(self.path.absolute())
        return _open_again, (given, self._threads, self._providers, self.sha256)

    @property
    def seen(self) -> str | None:
        """The metadata entry of training fingerprints, as stored; None if the model has none."""
        return self._seen

    @property
    def studies(self) -> str | None:
        """The metadata entry of numbers for series and studies, as JSON; None if there is none."""
        return self._studies

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the outputs that the model has; see `tumorlens.model.contract`."""
        return self._outputs

    @property
    def providers(self) -> list[str]:
        """Execution providers in use."""
        return list(self._runtime.get_providers())

    def run(self, images: Array) -> Outputs:
        """Run the network.

        Args:
            images: (N, 1, S, S) float32 in [0, 1], as `prepare` gives them.

        Raises:
            ModelFileError: the network fails, or gives what no verdict can be made of.
        """
        size = self.card.preprocess.size
        if images.ndim != 4 or images.shape[1:] != (1, size, size) or images.dtype != np.float32:
            raise ValueError(
                f"images must be (N, 1, {size}, {size}) float32, got {images.shape} {images.dtype}"
            )
        try:
            values = self._runtime.run(list(self._outputs), {INPUT: images})
            outputs = Outputs(**dict(zip(self._outputs, values, strict=True)))
        except Exception as error:  # the runtime's errors share no base class
            reason = _first_line(error)
            raise ModelFileError(f"{self.path}: fails when it runs ({reason})") from None
        if not outputs.are_sound():
            raise ModelFileError(
                f"{self.path}: gives outputs that break the contract: numbers that are not finite, "
                "or probabilities that do not sum to 1; the file is damaged: get it again"
            )
        return outputs


_FILE = Rule(
    "the name of a model or an .onnx file (a Detector has its card already: `detector.card`)",
    PATH.fits,
)


@check_arguments(model=_FILE)
def load_card(model: str | os.PathLike[str] = "default") -> Card:
    """The card of a model: what it is for, what it was made of, its figures, its known failures.

    Args:
        model: name of the registry, or an ``.onnx`` file.

    Raises:
        ModelFileError: the model is unknown, or its file breaks the contract.
    """
    path = find_model(Path(model) if isinstance(model, os.PathLike) else model)
    return Session(path, threads=1).card


@lru_cache(maxsize=4)
def _open_again(
    model: str, threads: int | None, providers: tuple[str, ...], sha256: str
) -> Session:
    """One session for all that arrives in a process: a pool sends its detector with each task."""
    return Session(find_model(model), threads=threads, providers=providers, sha256=sha256)


def _check_hash(path: Path, data: bytes, expected: str | None) -> str:
    found = hashlib.sha256(data).hexdigest()
    if expected not in (None, found):
        bundled = any(one.path == path for one in MODELS.values())
        advice = "install tumorlens again" if bundled else "open it again"
        raise ModelFileError(
            f"{path}: its SHA-256 is {found}, expected {expected}; the file was changed or "
            f"damaged: {advice}"
        )
    return found


def _open_runtime(path: Path, data: bytes, threads: int | None, providers: Sequence[str]) -> Any:
    onnxruntime = load_onnxruntime()
    available = onnxruntime.get_available_providers()
    missing = [name for name in providers if name not in available]
    if missing:
        raise UsageError(
            f"ONNX Runtime has no provider {', '.join(missing)} here, it has {', '.join(available)}"
        )
    options = onnxruntime.SessionOptions()
    # Its warnings speak of graph optimisation; what is wrong with a model stands in its error, too.
    options.log_severity_level = 4
    if overflows(read_cpuinfo()):  # then signed 8-bit weights are multiplied as unsigned ones
        options.add_session_config_entry("session.x64quantprecision", "1")
    if threads is not None:
        if threads < 1:
            raise UsageError(f"threads must be at least 1, got {threads}")
        options.intra_op_num_threads = threads
    try:
        # Its way out is another provider, in silence but for words on standard output.
        runtime = onnxruntime.InferenceSession(
            data, options, providers=list(providers), enable_fallback=0
        )
    except Exception as error:  # its errors share no base class
        raise ModelFileError(
            f"{path}: is no ONNX model that can run here ({_first_line(error)})"
        ) from None
    absent = [name for name in providers if name not in runtime.get_providers()]
    if absent:  # a library of the device is missing: the processor would stand in
        raise UsageError(
            f"ONNX Runtime could not load {', '.join(absent)}; install the libraries of the device "
            "that its release asks for (CUDA and cuDNN), or compute on the processor"
        )
    return runtime


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
