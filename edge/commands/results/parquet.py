"""Results as a Parquet file, for batches that a database or a data frame reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TextIO

from edge.commands.results.writer import Output, Writer
from edge.commands.terminal import is_terminal
from edge.errors import ConfigurationError
from edge.names import RESULT_SCHEMA

if TYPE_CHECKING:
    from edge.classifier.classify import Result

MAX_ROWS = 10_000  # of a row group: what a table holds in memory before it is written


class Parquet(Writer):
    """A row for each image, the columns of `--format jsonl`; complete once it is closed."""

    def __init__(self, output: Output, stream: TextIO) -> None:
        """Begin a file. Raises: ConfigurationError: no pyarrow, or a terminal."""
        if is_terminal(stream):
            fault, remedy = "is binary", "redirect it to a file: > results.parquet"
            raise ConfigurationError("--format parquet", fault, remedy)
        try:
            import pyarrow
            from pyarrow import parquet
        except ImportError as error:
            fault = f"needs pyarrow, which cannot be imported ({error})"
            remedy = "pip install 'edge-classify[parquet]'"
            raise ConfigurationError("--format parquet", fault, remedy) from error
        self._pyarrow = pyarrow
        self._schema = _schema(pyarrow)
        self._file = parquet.ParquetWriter(stream.buffer, self._schema)
        self._rows: list[dict[str, Any]] = []

    def result(self, result: Result) -> None:
        """Add a row."""
        self._add(result.as_dict() | {"captured_at": result.captured_at})

    def failure(self, source: str, error: str) -> None:
        """Add a row with the error alone."""
        self._add({"schema": RESULT_SCHEMA, "source": source, "error": error})

    def close(self) -> None:
        """Write the rows that remain, and the file's end, interrupted or not."""
        self._write()
        self._file.close()

    def _add(self, row: dict[str, Any]) -> None:
        self._rows.append(row)
        if len(self._rows) == MAX_ROWS:
            self._write()

    def _write(self) -> None:
        if self._rows:
            self._file.write_table(self._pyarrow.Table.from_pylist(self._rows, self._schema))
            self._rows.clear()


def _schema(pyarrow: Any) -> Any:
    """Return the columns, by the names of the JSON keys."""
    text, real = pyarrow.string(), pyarrow.float64()
    category = pyarrow.struct([("index", pyarrow.int32()), ("label", text), ("score", real)])
    return pyarrow.schema(
        [
            ("schema", pyarrow.int32()),
            ("source", text),
            ("time_s", real),
            ("label", text),
            ("score", real),
            ("categories", pyarrow.list_(category)),
            ("preprocess_ms", real),
            ("invoke_ms", real),
            ("model", text),
            ("runtime", text),
            ("captured_at", pyarrow.timestamp("ms", tz="UTC")),
            ("error", text),
        ]
    )
