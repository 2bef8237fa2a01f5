"""What a training minimizes, and how: the optimizer, learning rate, loss and metric of a recipe."""

from __future__ import annotations

import keras
import tensorflow as tf

from convert.training.networks import backbone_of
from convert.training.recipes import Recipe

# Of batch normalization's moving statistics, which look back on 1 / (1 - momentum) steps.
MIN_MOMENTUM, MAX_MOMENTUM = 0.9, 0.99
MOMENTUM_WINDOWS = 100  # in a training


def compile_model(model: keras.Model, recipe: Recipe, steps: int) -> None:
    """Compile a network for a recipe, whose epochs have `steps` each."""
    total = steps * recipe.epochs
    _set_momentum(model, total)
    rate: float | keras.optimizers.schedules.LearningRateSchedule = recipe.learning_rate
    if recipe.falling:
        rising = round(recipe.warmup * total)
        rate = keras.optimizers.schedules.CosineDecay(
            0.0 if rising else recipe.learning_rate,
            max(1, total - rising),
            warmup_target=recipe.learning_rate if rising else None,
            warmup_steps=rising,
        )
    # Over a quarter of the training at most: in a short one, it would still hold its beginning.
    momentum = max(0.0, min(recipe.average, 1 - 4 / total))
    averaging = {"use_ema": bool(recipe.average), "ema_momentum": momentum}
    if recipe.optimizer == "rmsprop":
        optimizer = keras.optimizers.RMSprop(rate, **averaging)
    else:
        optimizer = keras.optimizers.AdamW(rate, weight_decay=recipe.weight_decay, **averaging)
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    # Not compiled by XLA: on a processor that takes minutes and gains nothing.
    accuracy = keras.metrics.MeanMetricWrapper(_right, "accuracy")
    model.compile(
        optimizer, _loss(model, recipe.label_smoothing), metrics=[accuracy], jit_compile=False
    )


def _set_momentum(model: keras.Model, total_steps: int) -> None:
    """Let the backbone's statistics follow its weights within the training.

    Keras builds the backbones with 0.999, which needs thousands of steps: after 1,000, the weights
    were good and the statistics beside them old, which cost 8 points on a set of 1,672 photos.
    """
    base = backbone_of(model)
    for layer in base.layers if base is not None else ():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = min(
                MAX_MOMENTUM, max(MIN_MOMENTUM, 1 - MOMENTUM_WINDOWS / total_steps)
            )


def _right(targets: tf.Tensor, scores: tf.Tensor) -> tf.Tensor:
    """Whether the top category is the target's, which a teacher may make any number."""
    if scores.shape[1] == 1:
        wanted = tf.cast(targets, tf.float32)[:, 0] > 0.5
        return tf.cast(wanted == (scores[:, 0] > 0.5), tf.float32)
    return tf.cast(tf.argmax(targets, 1) == tf.argmax(scores, 1), tf.float32)


def _loss(model: keras.Model, smoothing: float) -> keras.losses.Loss:
    if model.output_shape[1] == 1:
        return keras.losses.BinaryCrossentropy(label_smoothing=smoothing)
    return keras.losses.CategoricalCrossentropy(label_smoothing=smoothing)
