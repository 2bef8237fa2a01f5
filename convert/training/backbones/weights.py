"""ImageNet weights for a backbone: from Keras's download, from a file, or none."""

from __future__ import annotations

import contextlib
import functools
import sys
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from convert.errors import WeightsError
from convert.training.backbones.efficientnet_lite import LITES, installed_weights, read_weights
from convert.training.backbones.known import NETWORKS
from convert.training.backbones.weights_file import IMAGENET, NONE, check_file
from convert.training.networks import backbone, backbone_of

_PUBLISHED = (224, 224)  # the size of which weights exist; they fit any other without a top
_NUM_CLASSES = 1000  # of a file that has its top

Weights = list[NDArray[np.float32]]  # of a network, in Keras's order


def load_weights(model: keras.Model, name: str, *, alpha: float, source: str) -> None:
    """Load a backbone's weights into a network that was built with `networks.build`.

    Args:
        model: its last layer stays as it is.
        name: a key of NETWORKS.
        alpha: the backbone's width.
        source: "imagenet", "none", or the path of a weights file of keras.applications, with or
            without its top.

    Raises: WeightsError.
    """
    base = backbone_of(model)
    if source == NONE or base is None:
        return
    found = list(find_weights(name, alpha, source))
    if NETWORKS[name].convention.bgr:  # we give red first; the file's first layer wants blue
        found[0] = found[0][:, :, ::-1]
    base.set_weights(found)


@functools.lru_cache(maxsize=1)
def find_weights(name: str, alpha: float, source: str) -> tuple[NDArray[np.float32], ...]:
    """Find a backbone's weights, before anything is spent on photos. Raises: WeightsError.

    Args:
        name: a key of NETWORKS.
        alpha: the backbone's width.
        source: as of `load_weights`; of "none" there is nothing to find.
    """
    if source == NONE or not NETWORKS[name].is_backbone:
        return ()
    if name in LITES:
        path = installed_weights(name) if source == IMAGENET else Path(source)
        check_file(path)
        return tuple(read_weights(name, path))
    return tuple(_download(name, alpha) if source == IMAGENET else _read(Path(source), name, alpha))


def _weights_of(model: keras.Model) -> Weights:
    return list(model.get_weights())


def _download(name: str, alpha: float) -> Weights:
    try:
        with contextlib.redirect_stdout(sys.stderr):  # where Keras reports its download
            return _weights_of(backbone(name, _PUBLISHED, alpha, weights="imagenet"))
    # Keras raises a bare Exception where the address cannot be reached.
    except Exception as error:
        raise WeightsError(
            f"the ImageNet weights of {name}",
            "cannot be downloaded (no network?)",
            "use --weights FILE, or --network small, which is trained from scratch",
        ) from error


def _read(path: Path, name: str, alpha: float) -> Weights:
    check_file(path)
    base = backbone(name, _PUBLISHED, alpha)
    wanted = len(base.get_weights())
    reasons = []
    for options in ({}, {"include_top": True, "classes": _NUM_CLASSES}):
        candidate = backbone(name, _PUBLISHED, alpha, **options) if options else base
        try:
            candidate.load_weights(path)
        # h5py and Keras each have several errors for a file that does not fit.
        except (ValueError, OSError, KeyError, TypeError) as error:
            reasons.append(str(error))
        else:
            return _weights_of(candidate)[:wanted]
    if "signature" in reasons[0] or "truncated" in reasons[0]:
        raise WeightsError(path, "is damaged, or not an HDF5 file", "copy it again")
    width = f" --alpha {alpha:g}" if len(NETWORKS[name].alphas) > 1 else ""
    raise WeightsError(
        path, f"does not fit --network {name}{width}", "use the file of this network and width"
    )
