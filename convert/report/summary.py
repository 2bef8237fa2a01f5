"""The report in plain words: what was trained on what, how good it is, and what to do next."""

from __future__ import annotations

import shlex

from convert.report.report import Report

MAX_NAMED = 5  # labels


def summary_words(report: Report) -> str:
    """State in a few sentences what the recommended file is, and how good."""
    return f"{_training(report)}{_accuracy(report)}"


def _training(report: Report) -> str:
    """What was trained, and on which photos; nothing of a model that was made elsewhere."""
    network, recipe = report.config.get("network"), report.config.get("recipe")
    photos = sum(report.counts.get("train", {}).values())
    if not network or not recipe or not photos:
        return ""
    height, width = report.config["image_size"]
    if recipe["head_only"]:
        how = "with pretrained weights, its last layer fitted to"
    else:
        how = "fine-tuned on" if recipe["head_first"] else "trained on"
    names = ", ".join(report.labels[:MAX_NAMED])
    if len(report.labels) > MAX_NAMED:
        names = f"such as {names}"
    return (
        f"{network} at {width} x {height} pixels, {how} {photos:,} photos of "
        f"{len(report.labels)} classes ({names}). "
    )


def _accuracy(report: Report) -> str:
    test = report.chosen.test
    found = (test or report.chosen.val).accuracy
    where = "photos of the test set, which nothing was chosen on"
    if test is None:
        where = "photos of the validation set, which it was chosen on"
    low, high = (100 * bound for bound in found.interval)
    return (
        f"{report.chosen.file} is right on {100 * found.value:.1f} % of {found.total:,} {where} "
        f"({low:.1f} to {high:.1f} %, with 95 % confidence)."
    )


def next_steps(report: Report) -> str:
    """Write the commands that use the recommended file, a line each; none if none is fit."""
    if report.recommended is None:
        return ""
    file = shlex.quote(report.recommended)
    steps = (
        ("classify an image, on any machine", f"edge-classify -m {file} photo.jpg"),
        ("show why", f"edge-classify -m {file} --explain explained photo.jpg"),
        ("measure it on photos of your camera", f"python -m convert evaluate NEW_PHOTOS {file}"),
        ("watch the camera, with a live page", f"edge-watch -m {file} --web 8080"),
        ("run it as a service, from a checkout", f"sudo deploy/install.sh --model {file}"),
    )
    return "\n".join(f"# {what}\n{command}" for what, command in steps)
