"""edge-classify's work, once its options are known: images in, results out, in order."""

from __future__ import annotations

import argparse
import gc
import math
import os
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, nullcontext
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from edge.classifier.classify import UNKNOWN, Result, classify, explained
from edge.classifier.model import NEVER, Model
from edge.commands import complain
from edge.commands.arguments import in_pixels, open_model
from edge.commands.inputs import Inputs, SavedImages, has_time
from edge.commands.progress import Progress
from edge.commands.results.selection import Selection
from edge.commands.results.writer import Output, Writer
from edge.commands.results.writers import WIDEST_LABEL, resumed, writer
from edge.commands.terminal import is_terminal, width_of
from edge.errors import EdgeError, ImageError, SourceError, one_line
from edge.image.preprocess import InputSpec, read_image, seen
from edge.sources.frame import Frame
from edge.sources.photos import listed

if TYPE_CHECKING:
    from edge.classifier.classify import Choice, Threshold
    from edge.commands.results.resume import EarlierResults
    from edge.commands.results.summary import Summary

NAME = "edge-classify"
MOST_LOOKED_AT = 500  # names to align by
MOST_COUNTED = 100_000  # images, to show how far it is
MANY = 20  # images that are worth measuring how many threads the model wants


class Faults:
    """What stands in the way of a folder or pattern, kept until the frames before it are done."""

    def __init__(self) -> None:
        self._given = 0
        self._waiting: deque[tuple[int, SourceError]] = deque()

    def __call__(self, error: SourceError) -> None:
        """Keep a fault."""
        self._waiting.append((self._given, error))

    def counting(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        """Yield the frames, which may be taken ahead of their turn."""
        for frame in frames:
            self._given += 1
            yield frame

    def before(self, number: float) -> Iterator[SourceError]:
        """Yield the faults that came before the frame of a number, from 0."""
        while self._waiting and self._waiting[0][0] <= number:
            yield self._waiting.popleft()[1]


def classify_all(args: argparse.Namespace) -> int:
    """Classify what the options name, and return the exit status."""
    faults = Faults()
    save = SavedImages(args.save_frames, "--save-frames").save_frame if args.save_frames else None
    maps = SavedImages(args.explain, "--explain") if args.explain else None
    earlier = _earlier(args)
    inputs = _inputs(args, Selection(args.shard, earlier), faults)
    most = MOST_COUNTED if is_terminal(sys.stderr) else MOST_LOOKED_AT
    names = [*islice(inputs.names(), most)]
    with (
        closing(earlier) if earlier is not None else nullcontext(),
        open_model(args, NAME, for_many=len(names) >= MANY) as model,
    ):
        # What is loaded by now stays: it need not be looked through again, at the end least of all.
        gc.freeze()
        gc.enable()
        choice = _choice(args, model)
        thresholds = model.thresholds(args.threshold)
        output = _output(args, model, choice, names)
        answers = writer(output, sys.stdout) if earlier is None else resumed(earlier)
        frames = _ahead(
            faults.counting(inputs.frames(model.input, faults)), model.input, args, len(names)
        )
        answer = _answering(args, model, choice, thresholds, maps)
        outcomes = _outcomes(frames, faults, answer, save)
        total = len(names) if len(names) < most else None
        progress = Progress(total, has_videos=has_time(names))
        with closing(answers), closing(frames), closing(progress):
            if args.summary or args.timeline or args.bursts:
                from edge.commands.results.spans import Bursts
                from edge.commands.results.summary import Summary

                chosen = None if choice is None else choice.chosen
                bursts = Bursts(model.labels, thresholds, chosen) if args.bursts else None
                summary = Summary(model.labels, bursts)
                return _summed_up(args, summary, outcomes, answers, progress, inputs)
            return 1 if _write_all(outcomes, answers, progress, inputs) else 0


def _earlier(args: argparse.Namespace) -> EarlierResults | None:
    """Return the results of --resume, and report how many there are. Raises: SourceError."""
    if not args.resume:
        return None
    from edge.classifier.model import default_model
    from edge.commands.results.resume import EarlierResults

    earlier = EarlierResults(args.resume, Path(args.model or default_model()).name)
    if len(earlier) or earlier.was_cut:
        cut = "; its last line was incomplete, and is removed" if earlier.was_cut else ""
        complain(NAME, f"{args.resume}: has {len(earlier)} results, which are skipped{cut}")
    return earlier


def _write_all(
    outcomes: Iterator[Result | EdgeError], answers: Writer, progress: Progress, inputs: Inputs
) -> int:
    """Write results as they come, and return how many images failed."""
    failed = 0
    for done, outcome in enumerate(outcomes, start=1):
        if isinstance(outcome, Result):
            progress.make_way()
            answers.result(outcome)
        else:
            progress.clear()
            failed += 1
            complain(NAME, outcome)
            answers.failure(outcome.subject, f"{outcome.fault}; {outcome.remedy}")
        progress.update(done, inputs.done)
    progress.clear()
    return failed


def _summed_up(
    args: argparse.Namespace,
    summary: Summary,
    outcomes: Iterator[Result | EdgeError],
    answers: Writer,
    progress: Progress,
    inputs: Inputs,
) -> int:
    failed = _write_all(summary.counting(outcomes), answers, progress, inputs)
    if args.summary:
        answers.summary(summary)
    if args.timeline:
        summary.timeline.write(args.timeline)
    if summary.bursts:
        summary.bursts.write(args.bursts)
    return 1 if failed else 0


def _inputs(
    args: argparse.Namespace, selection: Selection, onerror: Callable[[SourceError], None]
) -> Inputs:
    names: list[str] = []
    for path in args.files_from:
        try:
            names += listed(path)
        except SourceError as error:
            onerror(SourceError(f"--files-from {error.subject}", error.fault, error.remedy))
    return Inputs(args, names, selection)


def _choice(args: argparse.Namespace, model: Model) -> Choice | None:
    """Return the labels of --allow and --deny; None is all. Raises: ConfigurationError."""
    if not args.allow and not args.deny:
        return None
    from edge.commands.choice import choice_of

    return choice_of(model.labels, args.allow, args.deny)


def _output(
    args: argparse.Namespace,
    model: Model,
    choice: Choice | None,
    names: list[str],
) -> Output:
    """Return what the writer needs to know; the width of columns for text and several images."""
    labels = [name for i, name in enumerate(model.labels) if choice is None or choice.chosen[i]]
    widths, limits = (0, 0), model.thresholds(args.threshold)
    if args.format == "text" and len(names) > 1:
        shown = [*labels, UNKNOWN] if limits.any() else labels
        widths = (
            max(width_of(one_line(name)) for name in names[:MOST_LOOKED_AT]),
            max(width_of(one_line(label[: WIDEST_LABEL + 1])) for label in shown),
        )
    return Output(
        form=args.format,
        model=model.path.name,
        labels=model.labels,
        top_k=min(args.top_k, len(labels)),
        threshold=float(limits[limits < NEVER].max(initial=0.0)),
        widths=widths,
        is_timed=has_time(names),
        folder=args.paths[0] if [*map(os.path.isdir, args.paths)] == [True] else "",
    )


def _ahead(
    frames: Iterator[Frame], input: InputSpec, args: argparse.Namespace, number: int
) -> Generator[Frame, None, None]:
    """Let the next images be decoded meanwhile, where there are any."""
    if number < 2 or args.jobs == 1 or in_pixels(args.roi):
        yield from frames
        return
    from edge.cores import usable_cores
    from edge.sources.ahead import ahead

    yield from ahead(frames, input, jobs=args.jobs or usable_cores())


def _outcomes(
    frames: Iterator[Frame],
    faults: Faults,
    answer: Callable[[Frame], Result],
    save: Callable[[Frame], None] | None,
) -> Iterator[Result | EdgeError]:
    for number, frame in enumerate(frames):
        yield from faults.before(number)
        try:
            if save:
                save(frame)
            yield answer(frame)
        except ImageError as error:
            yield ImageError(frame.source, error.fault, error.remedy)
    yield from faults.before(math.inf)


def _answering(
    args: argparse.Namespace,
    model: Model,
    choice: Choice | None,
    thresholds: Threshold,
    maps: SavedImages | None,
) -> Callable[[Frame], Result]:
    """Return the function that classifies a frame; it raises ImageError."""

    def answer(frame: Frame) -> Result:
        whole = _cut(frame, args.roi) if in_pixels(args.roi) else frame
        result = classify(model, whole, top_k=args.top_k, threshold=thresholds)
        result = choice.of(result, args.top_k, thresholds) if choice else result
        if maps:
            shown = seen(whole.picture, model.input)
            maps.save(frame, explained(model, shown, result.categories[0].index))
        return result

    return answer


def _cut(frame: Frame, roi: tuple[float, float, float, float]) -> Frame:
    """Return the frame with what a region in pixels holds of its image. Raises: ImageError."""
    pixels = read_image(frame.picture)
    left, top, width, height = map(int, roi)
    if top + height > pixels.shape[0] or left + width > pixels.shape[1]:
        fault = f"is {pixels.shape[1]} x {pixels.shape[0]} pixels, smaller than --roi requires"
        raise ImageError(frame.source, fault, "use a region within it, or shares from 0 to 1")
    return replace(frame, picture=pixels[top : top + height, left : left + width])
