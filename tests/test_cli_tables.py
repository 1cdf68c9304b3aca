"""Tables as people have them: compressed, of text, with holes, in columns of Arrow's."""
import bz2
import gzip
import sys

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import dump_svmlight_file

from fastreg.cli import columns, main
from fastreg.cli.data import load_file
from fastreg.cli.errors import DataError

X = np.random.default_rng(0).standard_normal((8, 3)).round(3)
Y = (X @ [2.0, 0, -1]).round(3)
TEXT = "city,area,sold,price\nRome,1,yes,3\nOslo,2,no,5\nRome,4,no,9\nBern,3,no,6\n"
ONE_HOT = [[0, 0, 1, 1, 0, 1], [0, 1, 0, 2, 1, 0], [0, 0, 1, 4, 1, 0], [1, 0, 0, 3, 1, 0]]
TITLES = ["city=Bern", "city=Oslo", "city=Rome", "area", "sold=no", "sold=yes"]


def refusal(path, target="price", categorical=False):
    with pytest.raises(DataError) as caught:
        load_file(str(path), target, categorical)
    return str(caught.value).removeprefix(f"{path}: ")


def written(folder, kind):
    """The same X and y in a file of that kind."""
    path = folder / f"data.{kind}"
    if kind == "csv":
        np.savetxt(path, np.column_stack([X, Y]), delimiter=",", header="a,b,c,price", comments="")
    elif kind == "svm":
        dump_svmlight_file(X, Y, str(path))
    elif kind == "npz":
        np.savez(path, X=X, y=Y)
    else:
        sparse.save_npz(folder / "csr.npz", sparse.csr_matrix(X))
        path = folder / "sparse.npz"
        np.savez(path, **dict(np.load(folder / "csr.npz")), y=Y)
    return path


@pytest.mark.parametrize("kind", ["csv", "svm", "npz", "sparse"])
@pytest.mark.parametrize(("suffix", "pack"), [(".gz", gzip.compress), (".bz2", bz2.compress), (".GZ", gzip.compress)])
def test_compressed_files_are_what_is_in_them(tmp_path, kind, suffix, pack):
    plain = written(tmp_path, kind)
    packed = plain.with_name(plain.name + suffix)
    packed.write_bytes(pack(plain.read_bytes()))
    target = "price" if kind == "csv" else None
    data = load_file(str(packed), target)
    np.testing.assert_array_equal(data.X.toarray() if sparse.issparse(data.X) else data.X, X)
    np.testing.assert_array_equal(data.y, Y)
    whole = packed.read_bytes()
    packed.write_bytes(whole[: len(whole) // 2])
    assert refusal(packed, target)
    packed.write_bytes(plain.read_bytes())
    assert refusal(packed, target)
    assert "unknown ending '.what'" in refusal(tmp_path / "data.what.gz")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b,price\n1,2,3\n4,,6\nNA,nan,7\n1,1,\n", "column 'b' is not numeric: an empty cell in line 3; missing "
         "values, of 4 rows: 'a' 1, 'b' 2, 'price' 1; fill them in"),
        ("1,,3\n4,5,6\n,,1\n", "of 3 rows: '0' 1, '1' 2;"),
        ("a,a,price\n1,2,3\n4,?,6\n", "of 2 rows: 'column 1' 1;"),
        ("a,b,price\n1,2,yes\n4,5,\n1,1,NA\n", "of 3 rows: 'price' 2;"),
        ("a,b,price\n1,red,3\n4,,6\n", "column 'b' is not numeric: 'red' in line 2 (--categorical takes text"),
        ("a,b,price\n1,old red 2,3\n4,,6\n", "is not numeric: 'old red 2' in line 2 (--categorical takes text"),
    ],
)
def test_missing_values_are_counted_by_column(tmp_path, text, message):
    path = tmp_path / "data.csv"
    path.write_text(text)
    assert message in refusal(path, "0" if text.startswith("1") else "price")
    if "red" not in text:
        assert message[message.index("of "):] in refusal(path, "0" if text.startswith("1") else "price", True)


def test_many_columns_with_missing_values_are_not_all_named(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text(",".join(f"x{j}" for j in range(30)) + ",price\n" + "," * 30 + "1\n" + "1," * 30 + "2\n")
    said = refusal(path)
    assert "'x11' 1 and 18 more columns" in said and "x12" not in said


@pytest.mark.parametrize("large", [False, True])
def test_text_of_a_table_becomes_columns(tmp_path, capsys, monkeypatch, large):
    if large:
        monkeypatch.setattr(columns, "LARGE", 0)
        monkeypatch.setattr(columns, "FILLED", 1.0)
    path = tmp_path / "data.csv"
    path.write_text(TEXT)
    data = load_file(str(path), "price", True)
    assert sparse.issparse(data.X) == large
    np.testing.assert_array_equal(data.X.toarray() if large else data.X, ONE_HOT)
    assert list(data.names) == TITLES and data.y.tolist() == [3, 5, 9, 6]
    assert data.notes == ("text became columns of 0 and 1, one for each value: 'city' 3, 'sold' 2",)
    assert main([str(path), "--target", "price", "--categorical", "--no-compare", "--n-alphas", "3"]) == 0
    assert "area" in capsys.readouterr().out.split("\nlargest")[1]
    assert load_file(str(path), "sold", True).y.tolist() == ["yes", "no", "no", "no"]


def test_a_filled_table_stays_dense_however_large(tmp_path, monkeypatch):
    monkeypatch.setattr(columns, "LARGE", 0)
    (tmp_path / "data.csv").write_text(TEXT)
    assert isinstance(load_file(str(tmp_path / "data.csv"), "price", True).X, np.ndarray)


def test_categories_beside_columns_without_a_name(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text(",city,price\n0,Rome,3\n1,Oslo,5\n2,Rome,4\n")
    data = load_file(str(path), "price", True)
    assert list(data.names) == ["city=Oslo", "city=Rome"] and "counts rows and is left out" in data.notes[0]
    path.write_text("a,b,price\n1,2,3\n1,inf,4\n")
    assert "column 'b' is not finite in row 1" in refusal(path, categorical=True)
    path.write_text("a,b,price\n1,2,3\n1,4\n")
    assert "line 3 has 2 values" in refusal(path, categorical=True)
    path.write_text("price\n1\n2\n")
    assert "no data (2 rows, 0 features)" in refusal(path, categorical=True)


def test_categories_go_with_a_table(tmp_path, capsys):
    np.savez(tmp_path / "data.npz", X=X, y=Y)
    assert main([str(tmp_path / "data.npz"), "--categorical"]) == 2
    assert "--categorical goes with a table" in capsys.readouterr().err
    assert main(["--categorical"]) == 2
    assert "--categorical goes with a FILE" in capsys.readouterr().err


def arrow_file(path, table):
    feather = pytest.importorskip("pyarrow.feather")
    parquet = pytest.importorskip("pyarrow.parquet")
    (parquet.write_table if path.suffix in (".parquet", ".pq") else feather.write_feather)(table, str(path))
    return path


@pytest.mark.parametrize("ending", ["parquet", "pq", "arrow", "feather"])
def test_columns_of_arrow(tmp_path, ending):
    pa = pytest.importorskip("pyarrow")
    table = pa.table({
        "city": pa.array(["Rome", "Oslo", "Rome", "Bern"]).dictionary_encode(), "area": pa.array([1, 2, 4, 3], "int8"),
        "sold": ["yes", "no", "no", "no"], "__index_level_0__": [4, 5, 7, 8],
        "price": pa.array([3, 5, 9, 6], "float32"),
    })
    path = arrow_file(tmp_path / f"data.{ending}", table)
    data = load_file(str(path), "price", True)
    np.testing.assert_array_equal(data.X, ONE_HOT)
    assert list(data.names) == TITLES and data.y.tolist() == [3, 5, 9, 6]
    assert "the index that pandas wrote is left out" in data.notes[0]
    assert "column 'city' is text: --categorical" in refusal(path)
    assert "name the target with --target" in refusal(path, None)
    plain = arrow_file(tmp_path / f"plain.{ending}", table.select(["area", "price"]))
    packed = plain.with_name(plain.name + ".gz")
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    for each in (packed, plain):
        assert load_file(str(each), "price").X.tolist() == [[1], [2], [4], [3]]
    assert "no data (4 rows, 0 features)" in refusal(arrow_file(plain, table.select(["price"])))


def test_arrow_that_cannot_be_read(tmp_path):
    pa = pytest.importorskip("pyarrow")
    holes = {"a": pa.array([1, None, None]), "b": [1.0, np.nan, 2], "c": ["x", None, "y"], "d": pa.nulls(3),
             "price": [1.0, 2, 3]}
    path = arrow_file(tmp_path / "data.parquet", pa.table(holes))
    assert refusal(path, categorical=True).startswith("missing values, of 3 rows: 'a' 2, 'b' 1, 'c' 1, 'd' 3; fill")
    arrow_file(path, pa.table({"a": [1.0, np.inf], "price": [1, 2]}))
    assert "column 'a' is not finite in row 1" in refusal(path)
    arrow_file(path, pa.table({"when": pa.array([1, 2], pa.timestamp("ms")), "price": [1, 2]}))
    assert "column 'when' holds timestamp[ms], where numbers are needed" in refusal(path)
    for name in ("data.parquet", "data.feather"):
        (tmp_path / name).write_bytes(b"no such thing")
        assert "not a readable" in refusal(tmp_path / name)
    assert "No such file" in refusal(tmp_path / "none.parquet")


def test_arrow_without_pyarrow(tmp_path, monkeypatch):
    (tmp_path / "data.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert "pip install pyarrow" in refusal(tmp_path / "data.parquet")
