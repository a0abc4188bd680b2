import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from attnas.core import InputError
from attnas.evaluator import load_data, make_task
from attnas.evaluator.data import decoded_parts
from attnas.evaluator.data.parquet import parquet

from .images import noise, png

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
PIXELS = noise(12, 4, 4, 3)


def images(arrays) -> pa.Array:
    return pa.array([{"bytes": png(array), "path": None} for array in arrays], IMAGE)


def write(path, label, *, names=None, column="label", rows=slice(None), **options):
    table = pa.table({"image": images(PIXELS[rows]), column: label})
    if names:
        feature = {"feature": {"names": names, "_type": "ClassLabel"}, "_type": "Sequence"}
        info = json.dumps({"info": {"features": {column: feature}}})
        table = table.replace_schema_metadata({"huggingface": info})
    pq.write_table(table, path, **options)
    return str(path)


def test_floats_are_numbers_to_be_predicted(tmp_path):
    values = np.linspace(-1, 1, 12)
    pools = parquet(write(tmp_path / "a.parquet", pa.array(values)))
    assert pools.train.targets.dtype == torch.float32
    assert pools.train.targets[:, 0].tolist() == values.astype(np.float32).tolist()
    pairs = pa.array([[x, 2 * x] for x in values])
    assert parquet(write(tmp_path / "b.parquet", pairs)).train.targets.shape == (12, 2)


def test_lists_of_numbers_have_one_length(tmp_path):
    file = write(tmp_path / "a.parquet", pa.array([[0.5]] * 11 + [[0.5, 1.0]]))
    with pytest.raises(InputError, match="are from 1 to 2 long; one length is needed"):
        parquet(file)


def test_lists_of_labels_and_lists_of_marks_are_the_same(tmp_path):
    labels = [[0], [2], [0, 1], [], [1, 2], [2]] * 2
    marks = [[int(k in row) for k in range(3)] for row in labels]
    for name, column in (("a", labels), ("b", marks)):
        pools = parquet(write(tmp_path / f"{name}.parquet", pa.array(column, pa.list_(pa.int64()))))
        assert pools.train.targets.tolist() == marks
        assert pools.classes == ("0", "1", "2")
    data = load_data("parquet", make_task("multi_label", {}), path=tmp_path / "a.parquet", test=2)
    assert data.facts["label_counts"]


def test_named_labels_have_a_column_each_also_if_a_file_lacks_the_highest(tmp_path):
    names = ["ant", "bee", "cow", "dog"]
    label = pa.array([[0], [1, 2]] * 6, pa.list_(pa.int64()))
    pools = parquet(write(tmp_path / "a.parquet", label, names=names))
    assert pools.classes == tuple(names)
    assert pools.train.targets.shape == (12, 4)
    write(tmp_path / "train-0.parquet", pa.array([[0]] * 6, pa.list_(pa.int8())), rows=slice(6))
    last = pa.array([[2, 1]] * 6, pa.list_(pa.int8()))
    write(tmp_path / "train-1.parquet", last, rows=slice(6, 12))
    assert parquet(str(tmp_path)).train.targets.sum(0).tolist() == [6, 6, 6]


def test_a_second_image_is_a_mask(tmp_path):
    masks = noise(12, 4, 4) % 3
    pools = parquet(write(tmp_path / "a.parquet", images(masks), column="annotation"))
    assert (pools.train.targets.numpy() == masks).all()
    assert (pools.train.inputs.numpy() == PIXELS.transpose(0, 3, 1, 2)).all()


def test_decoding_goes_on_in_the_middle_of_a_file(tmp_path, monkeypatch):
    monkeypatch.setattr(decoded_parts, "CHUNK", 5)
    for i, rows in enumerate((slice(7), slice(7, 12))):
        label = pa.array([0, 1] * 6)[rows]
        write(tmp_path / f"train-{i}.parquet", label, rows=rows, row_group_size=3)
    from attnas.evaluator.data import parquet as module

    found = {}
    real = module.decoded_once
    monkeypatch.setattr(module, "decoded_once", lambda parts, *rest, **more: found.update(parts))
    parquet(str(tmp_path))
    monkeypatch.setattr(module, "decoded_once", real)
    part = found["train"]
    every = [name for chunk in part.chunks(0, 5) for name in chunk.names]
    assert len(every) == 12
    assert every[7] == f"row 0 of {tmp_path / 'train-1.parquet'}"
    for first in range(12):
        left = [*part.chunks(first, 5)]
        assert [name for chunk in left for name in chunk.names] == every[first:]
        encoded = [image for chunk in left for image in chunk.images]
        assert encoded == [png(pixels) for pixels in PIXELS[first:]]


def test_negative_labels_are_refused(tmp_path):
    file = write(tmp_path / "a.parquet", pa.array([[0, -1]] * 12))
    with pytest.raises(InputError, match=r"a label in .* is -1; 0 is the lowest"):
        parquet(file)
