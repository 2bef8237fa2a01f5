"""Train an image classifier on a folder of photos, and make .tflite files that explain themselves.

    import convert

    for finding in convert.check("photos").findings:
        print(finding)
    print(convert.train("photos", "out", network="small", epochs=20).val_accuracy)
    report = convert.export("photos", "out")
    print(report.reason)
    print(convert.evaluate("more-photos", f"out/{report.chosen.file}").accuracy)

`convert.run` trains and exports. What can go wrong is an edge.EdgeError. Progress is on stderr.
"""

from edge.names import lazily

# Each name is imported when it is first used, TensorFlow when a training or an export begins.
TYPE_CHECKING = False  # as in typing
if TYPE_CHECKING:
    from convert.data.findings import Finding
    from convert.errors import (
        ConversionError,
        DatasetError,
        OutputError,
        TrainingError,
        WeightsError,
    )
    from convert.measure.scores import Accuracy
    from convert.report.report import Report, Variant
    from convert.steps.check import PhotoCheck, check
    from convert.steps.evaluate import ModelEvaluation, evaluate
    from convert.steps.line import Training, export, run, train

__all__ = [
    "Accuracy",
    "ConversionError",
    "DatasetError",
    "Finding",
    "ModelEvaluation",
    "OutputError",
    "PhotoCheck",
    "Report",
    "Training",
    "TrainingError",
    "Variant",
    "WeightsError",
    "check",
    "evaluate",
    "export",
    "run",
    "train",
]
_MODULES = {
    "convert.data.findings": ("Finding",),
    "convert.errors": tuple(name for name in __all__ if name.endswith("Error")),
    "convert.measure.scores": ("Accuracy",),
    "convert.report.report": ("Report", "Variant"),
    "convert.steps.check": ("PhotoCheck", "check"),
    "convert.steps.evaluate": ("ModelEvaluation", "evaluate"),
    "convert.steps.line": ("Training", "export", "run", "train"),
}

__getattr__, __dir__ = lazily(__name__, __all__, _MODULES)
