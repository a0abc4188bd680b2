import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from attnas.core import InputError
from attnas.evaluator import load_data, make_task
from attnas.evaluator.data.parquet import parquet

TASK = make_task("classification", {})


def png(value: int, size: int = 4) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (size, size), (value, 0, 0)).save(out, "png")
    return out.getvalue()


def write(path, labels, *, images="img", target="label", names=None, encoded=None, extra=None):
    """Image i is red by i; columns as Hugging Face writes them."""
    encoded = encoded or [png(i) for i in range(len(labels))]
    image_type = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    columns = {
        images: pa.array([{"bytes": e, "path": None} for e in encoded], image_type),
        target: pa.array(labels, pa.int64()),
        **(extra or {}),
    }
    table = pa.table(columns)
    if names:
        features = {images: {"_type": "Image"}, target: {"names": names, "_type": "ClassLabel"}}
        info = json.dumps({"info": {"features": features}})
        table = table.replace_schema_metadata({"huggingface": info})
    pq.write_table(table, path)
    return path


def problem(path, **options) -> str:
    with pytest.raises(InputError) as caught:
        load_data("parquet", TASK, path=path, **options)
    return str(caught.value)


def test_rows_keep_their_images_labels_and_class_names(tmp_path):
    labels = [0, 1, 2] * 5
    file = write(tmp_path / "a.parquet", labels, names=["cat", "dog", "cow"])
    pools = parquet(str(file))
    assert pools.classes == ("cat", "dog", "cow")
    assert pools.train.targets.tolist() == labels
    assert pools.train.inputs[:, 0, 0, 0].tolist() == list(range(15))
    assert (pools.train.inputs[:, 1:] == 0).all()


def test_classes_without_names_are_numbers(tmp_path):
    assert parquet(str(write(tmp_path / "a.parquet", [0, 1] * 5))).classes == ("0", "1")


def test_a_folder_holds_the_parts_in_any_number_of_files(tmp_path):
    write(tmp_path / "train-00000-of-00002.parquet", [0] * 8)
    write(tmp_path / "train-00001-of-00002.parquet", [1] * 6)
    write(tmp_path / "test.parquet", [1, 0, 0])
    data = load_data("parquet", TASK, path=tmp_path, validation=4)
    assert data.facts["sizes"] == {"train": 10, "validation": 4, "test": 3}
    assert data.facts["class_counts"]["test"] == [2, 1]


def test_a_second_reading_needs_no_decoding(tmp_path, monkeypatch):
    file = write(tmp_path / "a.parquet", [0, 1] * 9)
    first = load_data("parquet", TASK, path=file).facts
    monkeypatch.setattr("attnas.evaluator.data.cache.decode_part", None)
    assert load_data("parquet", TASK, path=file).facts == first


def test_columns_are_found_by_type_or_given(tmp_path):
    more = {"source": ["web"] * 6, "width": pa.array([4] * 6)}
    file = write(tmp_path / "a.parquet", [0, 1] * 3, images="photo", target="kind", extra=more)
    assert problem(file) == (
        f"data.label_column: several fit as labels in {file}. It has photo (struct<bytes: binary, "
        "path: string>), kind (int64), source (string), width (int64)."
    )
    pools = parquet(str(file), label_column="kind")
    assert pools.train.targets.tolist() == [0, 1] * 3
    named = write(tmp_path / "b.parquet", [0, 1] * 3, extra=more)
    assert parquet(str(named)).train.targets.tolist() == [0, 1] * 3


def test_a_column_that_does_not_fit_is_refused_with_those_that_are_there(tmp_path):
    file = write(tmp_path / "a.parquet", [0, 1] * 3)
    found = "It has img (struct<bytes: binary, path: string>), label (int64)."
    assert problem(file, image_column="image") == (
        "data.image_column: 'image' is no column of images (a struct {bytes, path}) "
        f"in {file}. {found}"
    )
    assert problem(file, label_column="img") == (
        f"data.label_column: 'img' is no column of labels (an integer, a float, "
        f"a list of them, or a mask) in {file}. {found}"
    )


def test_a_file_with_other_columns_is_refused_with_their_names(tmp_path):
    file = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": ["a", "b"], "label": [0, 1]}), file)
    assert problem(file) == (
        f"data.path: no column of images (a struct {{bytes, path}}) in {file}. "
        "It has text (string), label (int64)."
    )


def test_what_is_no_parquet_file_is_said_to_be_none(tmp_path):
    missing = tmp_path / "none"
    assert problem(missing) == f"data.path: '{missing}' does not exist."
    assert problem(tmp_path) == f"data.path: '{tmp_path}' has no train*.parquet."
    text = tmp_path / "a.parquet"
    text.write_text("text")
    assert problem(text).startswith(f"data.path: cannot read '{text}' as Parquet: ")


def test_a_row_that_cannot_be_decoded_is_named(tmp_path):
    encoded = [png(0), png(1), b"text", png(3)]
    file = write(tmp_path / "a.parquet", [0, 1, 0, 1], encoded=encoded)
    assert problem(file) == (
        f"data.path: cannot decode row 2 of {file}: not an image. Replace or remove it, "
        "or write 'bad_images: skip' to go on without it."
    )
    file = write(tmp_path / "b.parquet", [0, 1], encoded=[png(0), None])
    assert f"cannot decode row 1 of {file}: it has no bytes." in problem(file)


def test_labels_must_be_there_and_start_at_0(tmp_path):
    file = write(tmp_path / "a.parquet", [1, 2] * 3)
    assert problem(file) == "data: the labels start at 1; they must start at 0."
    file = write(tmp_path / "b.parquet", [0, None, 1, 0])
    assert problem(file) == f"data.path: 1 rows of {file} have no label."
    file = write(tmp_path / "c.parquet", [-1, 0, 1, 0])
    assert problem(file) == (
        "data: the train labels run from -1 to 1; with 2 classes they must run from 0 to 1."
    )
    file = write(tmp_path / "d.parquet", [])
    assert problem(file) == f"data.path: '{file}' has no rows."


def test_more_labels_than_class_names_are_refused(tmp_path):
    file = write(tmp_path / "a.parquet", [0, 1, 2] * 3, names=["cat", "dog"])
    assert problem(file) == (
        "data: the train labels run from 0 to 2; with 2 classes they must run from 0 to 1."
    )


def test_images_are_scaled_on_request(tmp_path):
    file = write(tmp_path / "a.parquet", [0, 1] * 3, encoded=[png(9, 4 + i) for i in range(6)])
    assert problem(file) == (
        f"data.image_size: image sizes differ: row 0 of {file} is 4x4, row 1 of {file} 5x5. "
        "Give one to scale to, such as 'image_size: 64'."
    )
    images = parquet(str(file), image_size=8).train.inputs
    assert images.shape == (6, 3, 8, 8)
    assert np.unique(images[:, 0]).tolist() == [9]
