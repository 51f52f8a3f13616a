"""Parquet files as the text of the CSV file with the same columns, a batch of rows at a time: one reader for both.

pyarrow (extra ``parquet``) is imported when such a file is read, and only then. A time column of any unit becomes whole
nanoseconds, UTC; null is an empty field; floats are written so that they are read as the same float.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any

from appliance.errors import DataError, UsageError

if TYPE_CHECKING:
    import pyarrow

MAGIC = b"PAR1"
ROWS = 32_768
"""Rows of a batch."""


def parquet_text(path: str, raw: IO[bytes]) -> io.RawIOBase:
    """The text of a Parquet file. Raises UsageError without pyarrow, DataError for a damaged file or a column that has
    no text."""
    try:
        import pyarrow
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise UsageError(
            f"{path}: a Parquet file, and pyarrow, which reads it, is not installed",
            hint="install the extra parquet (trading-appliance[parquet]), or export it as CSV",
        ) from None
    try:
        file = ParquetFile(raw)
    except (pyarrow.ArrowException, OSError) as error:
        raise _damaged(path, error, 0) from None
    return _Text(path, raw, file)


class _Text(io.RawIOBase):
    """A header line and the rows."""

    def __init__(self, path: str, raw: IO[bytes], file: Any) -> None:
        self._path, self._raw, self._file = path, raw, file
        self._size = os.fstat(raw.fileno()).st_size
        self._rows = 0
        self._text = memoryview(b"")
        self._texts = self._all()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._text and (text := next(self._texts, None)) is not None:
            self._text = memoryview(text)
        part = self._text[: len(buffer)]
        buffer[: len(part)] = part
        self._text = self._text[len(part) :]
        return len(part)

    def place(self) -> int:
        """How much of the file (bytes) has been read, by its rows: it is not read from front to end."""
        return self._size * self._rows // max(int(self._file.metadata.num_rows), 1)

    def _all(self) -> Iterator[bytes]:
        import pyarrow

        yield (",".join(self._file.schema_arrow.names) + "\n").encode()
        try:
            for batch in self._file.iter_batches(ROWS):
                yield _as_text(self._path, batch)
                self._rows += batch.num_rows
        except (pyarrow.ArrowException, OSError) as error:
            raise _damaged(self._path, error, self._rows) from None


def _as_text(path: str, batch: pyarrow.RecordBatch) -> bytes:
    import pyarrow
    from pyarrow import csv

    columns = [_plain(path, name, column) for name, column in zip(batch.schema.names, batch.columns, strict=True)]
    table = pyarrow.table(dict(zip(batch.schema.names, columns, strict=True)))
    for quoting in ("none", "needed"):  # rows without quotes are read many times faster
        into = io.BytesIO()
        try:
            csv.write_csv(table, into, csv.WriteOptions(include_header=False, quoting_style=quoting))
            break
        except pyarrow.ArrowInvalid:
            continue
    return into.getvalue()


def _plain(path: str, name: str, column: Any) -> Any:
    """A column as CSV files have it: times as whole nanoseconds, yes and no as 1 and 0, dictionaries as what they mean.
    Raises DataError for what has no text."""
    import pyarrow
    from pyarrow import types

    kind = column.type
    if types.is_dictionary(kind):
        column, kind = column.dictionary_decode(), kind.value_type
    if types.is_timestamp(kind):
        return column.cast(pyarrow.timestamp("ns", kind.tz)).cast(pyarrow.int64())
    if types.is_boolean(kind):
        return column.cast(pyarrow.int8())
    if types.is_nested(kind):
        raise DataError(f"{path}: column {name} holds {kind}, not one value a row", hint="leave it out of the file")
    return column


def _damaged(path: str, error: Exception, rows: int) -> DataError:
    said = (str(error).splitlines() or [type(error).__name__])[0]
    where = f" after {rows} rows" if rows else ""
    return DataError(f"{path}: the Parquet data is damaged{where}: {said[:200]}", hint="copy the file again")
