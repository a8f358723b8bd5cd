"""Rows of .parquet files and of `datasets`' tables, as cells.

Text stays, and what has a type is written so that a text can be asked for: an
integer by its digits, a floating-point number by the fewest digits that mean
it, a date or time in ISO 8601, a class of the hub by its name.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fedprompt_jax.data.tables.cells import Class, Number

if TYPE_CHECKING:
    import pyarrow as pa

_BATCH = 1000  # rows read at once, for speed

Classes = dict[str, tuple[str, ...]]  # column -> names of its classes


def parquet_columns(file: Path) -> tuple[list[str], Classes]:
    """The columns of a .parquet file, and those that are classes."""
    import datasets
    import pyarrow.parquet as pq

    schema = pq.read_schema(file)
    features = datasets.Features.from_arrow_schema(schema)
    return list(schema.names), classes_of(features)


def classes_of(features: Any) -> Classes:
    """The columns of datasets.Features that are a ClassLabel."""
    return {
        name: tuple(feature.names)
        for name, feature in features.items()
        if getattr(feature, 'names', None) is not None
    }


def parquet_rows(
    file: Path, columns: Sequence[str], classes: Classes
) -> Iterator[dict[str, Any]]:
    """The rows of a .parquet file, of the columns named."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(file) as opened:
        batches = opened.iter_batches(_BATCH, columns=list(columns))
        yield from _rows(batches, columns, classes)


def dataset_rows(
    dataset: Any, columns: Sequence[str], classes: Classes
) -> Iterator[dict[str, Any]]:
    """The rows of a datasets.Dataset, of the columns named."""
    batches = dataset.with_format('arrow').iter(_BATCH)
    yield from _rows(batches, columns, classes)


def _rows(
    batches: 'Iterable[pa.RecordBatch | pa.Table]',
    columns: Sequence[str],
    classes: Classes,
) -> Iterator[dict[str, Any]]:
    for batch in batches:
        parts = []
        for name in columns:
            column = batch.column(name)
            convert = _converter(column.type, classes.get(name))
            parts.append(
                [
                    None if value is None else convert(value)
                    for value in column.to_pylist()
                ]
            )
        for cells in zip(*parts, strict=True):
            yield dict(zip(columns, cells, strict=True))


def _converter(
    kind: 'pa.DataType', names: tuple[str, ...] | None = None
) -> Callable[[Any], Any]:
    """A function from a value of an Arrow type, never None, to a cell."""
    import pyarrow.types as t

    if names is not None:
        return lambda value: Class.of(names, value)
    if t.is_integer(kind) or t.is_decimal(kind):
        return lambda value: Number(str(value))
    if t.is_floating(kind):
        # float32's 0.1 is 0.10000000149011612 as a Python number.
        narrow = {16: np.float16, 32: np.float32}.get(kind.bit_width, float)
        return lambda value: _number(narrow(value))
    if t.is_temporal(kind):
        return lambda value: getattr(value, 'isoformat', value.__str__)()
    if t.is_list(kind) or t.is_large_list(kind) or t.is_fixed_size_list(kind):
        inner = _converter(kind.value_type)
        return lambda value: [None if v is None else inner(v) for v in value]
    if t.is_struct(kind):
        fields = {f.name: _converter(f.type) for f in kind}
        return lambda value: {
            name: None if v is None else fields[name](v)
            for name, v in value.items()
        }
    return lambda value: value


def _number(value: Any) -> Number | None:
    """A floating-point number; NaN, as pandas writes a gap, is nothing."""
    return None if value != value else Number(str(value))
