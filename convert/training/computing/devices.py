"""Several GPUs train one network together: each takes an equal part of every batch.

What depends on the batch is made of the whole batch: gradients, the statistics of batch
normalization, and what dropout leaves out. The number of devices changes no more than the rounding.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import layers

from edge.errors import ConfigurationError

Scope = Callable[[], contextlib.AbstractContextManager[Any]]


def choose_devices(wanted: str, batch_size: int) -> tuple[str, ...]:
    """Let TensorFlow use the wanted devices, and print which they are where there are several.

    Args:
        wanted: "auto" (all GPUs that can have equal parts of a batch), "cpu", or a number of GPUs.
        batch_size: photos of a step, on all devices together.

    Returns: TensorFlow's names of the devices, such as GPU:0.

    Raises: ConfigurationError.
    """
    gpus = [] if wanted == "cpu" else tf.config.list_physical_devices("GPU")
    kind, there = "GPU" if gpus else "CPU", len(gpus)
    if not gpus:  # a processor may be configured as several
        there = 1 if wanted == "cpu" else len(tf.config.list_logical_devices("CPU"))
    if wanted in ("auto", "cpu"):
        count = max(n for n in range(1, there + 1) if batch_size % n == 0)
    else:
        count = _checked(int(wanted), there if gpus or there > 1 else 0, batch_size)
    _hide_all_gpus_but(gpus[:count])
    if there > 1:
        each = f"{batch_size // count} photos of a batch on each"
        line = f"convert: training on {count} of {there} {kind}s, {each}"
        print(line, file=sys.stderr, flush=True)
    return tuple(f"{kind}:{number}" for number in range(count))


def _checked(count: int, there: int, batch_size: int) -> int:
    if count > there:
        number = {0: "no GPU", 1: "1 GPU"}.get(there, f"{there} GPUs")
        fault = f"TensorFlow finds {number} on this machine"
        raise ConfigurationError(f"--devices {count}", fault, "use --devices auto")
    if batch_size % count:
        fault = f"cannot have equal parts of the {batch_size} photos of a batch"
        remedy = f"use --batch-size {-(-batch_size // count) * count}"
        raise ConfigurationError(f"--devices {count}", fault, remedy)
    return count


def _hide_all_gpus_but(gpus: Sequence[Any]) -> None:
    """Keep TensorFlow from reserving the memory of GPUs that it does not use."""
    try:
        tf.config.set_visible_devices(list(gpus), "GPU")
    except RuntimeError as error:
        fault = "cannot be changed after TensorFlow has begun to use its devices"
        raise ConfigurationError("--devices", fault, "use another process") from error


def together(devices: Sequence[str]) -> Scope:
    """Return the scope in which the variables of a training are made: on each of the devices.

    One device needs none, and its scope does nothing.
    """
    if len(devices) < 2:
        return contextlib.nullcontext
    # By default, the reductions of batch normalization and of the gradients wait for each other.
    strategy = tf.distribute.MirroredStrategy(
        list(devices), cross_device_ops=tf.distribute.ReductionToOneDevice()
    )
    scope: Scope = strategy.scope
    return scope


def synchronize(network: Iterable[layers.Layer]) -> None:
    """Let batch normalization take its statistics of the whole batch."""
    for layer in network:
        if isinstance(layer, layers.BatchNormalization):
            layer.synchronized = True


class BatchDropout(layers.Dropout):  # type: ignore[misc]  # Keras has no types
    """Dropout that draws for the whole batch, and of that uses the part of this device."""

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Drop a share of the features."""
        here = tf.distribute.get_replica_context()
        if not training or here is None or here.num_replicas_in_sync == 1:
            return super().call(inputs, training)
        rows = tf.shape(inputs)[0]
        batch = keras.ops.ones((rows * here.num_replicas_in_sync, *inputs.shape[1:]), inputs.dtype)
        first = rows * here.replica_id_in_sync_group
        return inputs * super().call(batch, training)[first : first + rows]
