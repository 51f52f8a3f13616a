"""Bars into a file that readers of market data take back as they were: CSV, CSV.gz or Parquet, whole or not at all."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Protocol

from appliance.domain.market import Bar
from appliance.errors import EnvironmentFault, UsageError

COLUMNS = ("ts", "symbol", "open", "high", "low", "close", "volume", "start", "source", "received", "revision")
"""``ts`` is a bar's end, ``start`` its beginning, ``received`` when it was heard (0: recorded), all ns UTC; prices in
USD, volume in shares."""
ENDINGS = (".csv", ".csv.gz", ".parquet")
Write = Callable[[Sequence[Bar]], None]


class Sink(Protocol):
    """Takes bars, page by page, in the order they are to be read."""

    def write(self, bars: Sequence[Bar]) -> None: ...

    def close(self) -> None: ...


@contextmanager
def written(path: Path, force: bool) -> Iterator[Write]:
    """How to write a page of bars. The file is there when the block has ended well, and not before; a file that was
    there stays unless ``force``. Raises UsageError, and EnvironmentFault where it cannot be written."""
    make = _maker(path)
    if path.exists() and not force:
        raise UsageError(f"{path}: exists already", hint="name another file, or replace it with --force")
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with open(part, "wb") as raw:
            with closing(make(raw)) as sink:
                yield sink.write
            raw.flush()
            os.fsync(raw.fileno())
        part.replace(path)
    except OSError as error:
        raise EnvironmentFault(
            f"{path}: cannot be written: {error.strerror or error}", hint="name another file: --out FILE"
        ) from None
    finally:
        with suppress(OSError):
            part.unlink()


def _maker(path: Path) -> Callable[[IO[bytes]], Sink]:
    name = path.name.lower()
    if name.endswith(".csv"):
        return CsvSink
    if name.endswith(".csv.gz"):
        return ZippedSink
    if name.endswith(".parquet"):
        return _parquet(path)
    raise UsageError(f"--out {path}: no kind of file that is known", hint=f"it ends with {', '.join(ENDINGS)}")


class CsvSink:
    """Plain text; floats as the shortest digits that are read as the same float."""

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw = raw
        raw.write((",".join(COLUMNS) + "\n").encode())

    def write(self, bars: Sequence[Bar]) -> None:
        """Add a page."""
        self._raw.write("".join(map(_line, bars)).encode())

    def close(self) -> None:
        """Nothing follows."""


class ZippedSink(CsvSink):
    """The same, gzipped; without a name or a time in it, so that equal bars give equal bytes."""

    def __init__(self, raw: IO[bytes]) -> None:
        self._zipped = gzip.GzipFile("", "wb", 6, raw, mtime=0)
        super().__init__(self._zipped)  # type: ignore[arg-type]

    def close(self) -> None:
        """Write what gzip holds back."""
        self._zipped.close()


def _line(bar: Bar) -> str:
    return (
        f"{bar.end},{_cell(bar.symbol)},{bar.open!r},{bar.high!r},{bar.low!r},{bar.close!r},{bar.volume!r},"
        f"{bar.start},{_cell(bar.source)},{bar.received},{bar.revision}\n"
    )


def _cell(text: str) -> str:
    if any(mark in text for mark in ',"\r\n'):
        return '"' + text.replace('"', '""') + '"'
    return text


def _parquet(path: Path) -> Callable[[IO[bytes]], Sink]:
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        raise UsageError(
            f"{path}: a Parquet file, and pyarrow, which writes it, is not installed",
            hint="install the extra parquet (trading-appliance[parquet]), or export it as CSV",
        ) from None
    return ParquetSink


class ParquetSink:
    """Columns, compressed."""

    def __init__(self, raw: IO[bytes]) -> None:
        import pyarrow
        from pyarrow.parquet import ParquetWriter

        whole, text, number = pyarrow.int64(), pyarrow.string(), pyarrow.float64()
        kinds = dict.fromkeys(COLUMNS, number) | dict.fromkeys(("ts", "start", "received", "revision"), whole)
        self._schema = pyarrow.schema(list((kinds | dict.fromkeys(("symbol", "source"), text)).items()))
        self._writer: Any = ParquetWriter(raw, self._schema, compression="zstd")

    def write(self, bars: Sequence[Bar]) -> None:
        """Add a page."""
        import pyarrow

        columns = {name: [getattr(bar, "end" if name == "ts" else name) for bar in bars] for name in COLUMNS}
        self._writer.write_table(pyarrow.table(columns, schema=self._schema))

    def close(self) -> None:
        """Write the footer."""
        self._writer.close()
