"""Files as people have them: what is guessed is said, what is wrong is said in one line with its place, damage too."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import dump_svmlight_file

import fastreg
from fastreg.cli import main
from fastreg.cli.data import load_file
from fastreg.cli.errors import DataError
from fastreg.referee import Verdict

SHORT = ["--no-compare", "--n-alphas", "3"]
X = np.random.default_rng(0).standard_normal((8, 3)).round(3)
Y = (X @ [2.0, 0, -1]).round(3)


def loaded(path, content, target=None):
    """What is read from a file of that content."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return load_file(str(path), target)


def refusal(path, content, target=None):
    """The message about a file of that content, without its name."""
    with pytest.raises(DataError) as caught:
        loaded(path, content, target)
    return str(caught.value).removeprefix(f"{path}: ")


def archived(path, **arrays):
    np.savez(path, **arrays)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("text", "target", "features", "y"),
    [
        ("a,b,y\n1,2,3\n4,5,7\n", "y", [[1, 2], [4, 5]], [3, 7]),
        ('"a, or b",y,c\n1,2,3\n4,5,7\n', "y", [[1, 3], [4, 7]], [2, 5]),
        ('"street, no, city";"area";"price"\n1;2;3\n4;5;7\n', "price", [[1, 2], [4, 5]], [3, 7]),
        ("price, in EUR;area\n1.5;2\n4;5\n", "area", [[1.5], [4]], [2, 5]),
        ("name, first, or last\tarea\ty\n1.5\t2\t1\n4\t5\t3\n", "y", [[1.5, 2], [4, 5]], [1, 3]),
        ("a|b|y\n1|2|3\n4|5|7\n", "y", [[1, 2], [4, 5]], [3, 7]),
        ('"price\nin EUR",area,y\n1,2,3\n4,5,7\n', "area", [[1, 3], [4, 7]], [2, 5]),
        ('"a", "b", "y"\n1, "2", 3\n4, 5, 7\n', "y", [[1, 2], [4, 5]], [3, 7]),
        ("a,b,y\r\n1,2,3\r\n\r\n4,5,7\r\n", "y", [[1, 2], [4, 5]], [3, 7]),
        ("a,b,y\r1,2,3\r4,5,7\r", "y", [[1, 2], [4, 5]], [3, 7]),
        ("\n\na,b,y\n1,2,3\n  \n4,5,7", "y", [[1, 2], [4, 5]], [3, 7]),
        ("\ufeffa,b,y\n1,2,3\n4,5,7\n", "a", [[2, 3], [5, 7]], [1, 4]),
        ("a,a,y\n1,2,3\n4,5,7\n", "y", [[1, 2], [4, 5]], [3, 7]),
        ("größe,b,y\n1,2,3\n4,5,7\n", "größe", [[2, 3], [5, 7]], [1, 4]),
        ("a,b,y\n 1e2,-.5,+3\n4.,5E-1,7\n", "y", [[100, -0.5], [4, 0.5]], [3, 7]),
        ("a,b,y\n1e308,1e308,3\n1e308,1e308,7\n", "y", [[1e308, 1e308]] * 2, [3, 7]),  # their sum overflows
        ("2019,2020,2021\n1,2,3\n4,5,7\n", "2020", [[1, 3], [4, 7]], [2, 5]),  # named by a value of the first line
    ],
)
def test_csv_is_read(tmp_path, text, target, features, y):
    data = loaded(tmp_path / "data.csv", text, target)
    np.testing.assert_array_equal(data.X, features)
    np.testing.assert_array_equal(data.y, y)
    assert data.notes == ()


@pytest.mark.parametrize(
    ("text", "target", "features", "note"),
    [
        ("1.5,2,3\n4,5,7\n", "2", [[1.5, 2], [4, 5]], "taken as data"),
        ("1.5,2,3\n4,5,7\n", "-3", [[2, 3], [5, 7]], "taken as data"),
        ("\ufeff1.5;2;3\n4;5;7\n", "1", [[1.5, 3], [4, 7]], "taken as data"),
        ("0,1,2\n4,5,7\n8,1,3\n", "1", [[4, 7], [8, 3]], "names of the columns"),
        (",a,y\n0,5,7\n1,1,3\n", "y", [[5], [1]], "counts rows and is left out"),
        ("Unnamed: 0,a,y\n10,5,7\n8,1,3\n6,1,3\n", "y", [[5], [1], [1]], "'Unnamed: 0' counts rows and is left out"),
        ('"","a","y"\n"1",5,7\n"2",1,3\n', "1", [[7], [3]], "counts rows and is left out"),
        (",a,y\n3,5,7\n1,1,3\n2,0,1\n", "y", [[3, 5], [1, 1], [2, 0]], "is kept as a feature"),
        (",a,y\n.5,5,7\n1.5,1,3\n", "y", [[0.5, 5], [1.5, 1]], "is kept as a feature"),
        (",a,y\n1,5,7\n1,1,3\n", "y", [[1, 5], [1, 1]], "is kept as a feature"),
    ],
)
def test_what_is_guessed_is_told(tmp_path, capsys, text, target, features, note):
    data = loaded(tmp_path / "data.csv", text, target)
    np.testing.assert_array_equal(data.X, features)
    assert any(note in told for told in data.notes)
    assert main([str(tmp_path / "data.csv"), "--target", target, *SHORT]) == 0
    assert f"fastreg: note: {data.notes[0]}\n" in capsys.readouterr().err


def test_a_first_row_that_looks_like_data_is_told(tmp_path, capsys):
    (tmp_path / "data.csv").write_text("5.1,3.5,red\n4.9,3.0,blue\n7.0,3.2,red\n6.4,2.9,blue\n")
    assert main([str(tmp_path / "data.csv"), "--target", "2", "--no-compare", "--n-alphas", "2"]) == 0
    assert "the first line is taken as names of columns, though" in capsys.readouterr().err


def test_both_notes_of_a_frame_without_names(tmp_path):
    data = loaded(tmp_path / "data.csv", ",0,1,2\n0,4,5,7\n1,8,1,3\n", "1")
    np.testing.assert_array_equal(data.X, [[4, 7], [8, 3]])
    assert len(data.notes) == 2


def test_an_index_column_can_be_the_target(tmp_path):
    data = loaded(tmp_path / "data.csv", ",a,y\n0,5,7\n1,1,3\n", "0")
    np.testing.assert_array_equal(data.X, [[5, 7], [1, 3]])
    assert data.notes == ()


@pytest.mark.parametrize(
    ("text", "target", "message"),
    [
        ("", "y", "no data"),
        ("\n \n", "y", "no data"),
        ("a,y\n", "y", "no data"),
        ("a,y\n1,2\n", "y", "constant"),
        (",y\n0,1\n1,2\n", "y", "no data (2 rows, 0 features)"),
        ("a,b,y\n1,2,3\n4,NA,6\n", "y", "column 'b' is not numeric: 'NA' in line 3"),
        ("a,b,y\n1,2,3\n4,?,6\n", "y", "'?' in line 3"),
        ("a,b,y\n1,2,3\n4,2020-01-01,6\n", "y", "'2020-01-01' in line 3"),
        ("a,b,y\n1,2,3\n4,True,6\n", "y", "'True' in line 3"),
        ("a,b,y\n1,2,3\n4,12 %,6\n", "y", "'12 %' in line 3"),
        ('a,b,y\n1,2,3\n4,"1,234.5",6\n', "y", "'1,234.5' in line 3"),
        ("a;b;y\n1;2;3\n4;1,5;6\n", "y", "'1,5' in line 3"),
        ("a,b,y\n1,2,3\n\n4,1_000,6\n", "y", "column 'b' is not numeric: '1_000' in line 4"),
        ("a,b,y\n1,2,3\n4,5,nan\n", "y", "column 'y' is not finite: 'nan' in line 3"),
        ("a,b,y\n1,2,3\n4,-inf,6\n", "y", "column 'b' is not finite: '-inf' in line 3"),
        ("a,b,y\n1,2,3\n4,1e400,6\n", "y", "column 'b' is not finite: '1e400' in line 3"),
        ("a,,y\n1,2,3\n4,x,6\n", "y", "column 1, which has no name, is not numeric: 'x' in line 3"),
        ("a,b,y\n1,2,3\n4,5\n", "y", "line 3 has 2 values, the first line 3"),
        ("a,b,y\n1,2,3\n4,5,6,7\n", "y", "line 3 has 4 values, the first line 3"),
        ('"a\nb",c,y\n1,2,3\n4,x,6\n', "y", "column 'c' is not numeric: 'x' in line 4"),
        ("1,,3\n4,5,6\n", "0", "column '1' is not numeric: an empty cell in line 1"),
        ("1,nan,3\n4,5,6\n", "0", "column '1' is not finite: 'nan' in line 1"),
        ("1,2,3\n4,5,6\n", "y", "no column 'y'; columns: 0, 1, 2 (the first line holds only numbers)"),
        ("a,b,y\n1,2,3\n4,5,6\n", "2024", "no column number 2024 of 3"),
        ("a,b,y\n1,2,3\n4,5,6\n", "9" * 5000, "no column number"),
        ('a,b,y\n1,2,3\n4,"5,6\n7,8,9\n', "y", "line 3 has 2 values, the first line 3 (a quote"),
        ('a,b\n1,2\n4,"5\n7,8\n', "b", "column 'b' is not numeric: '5\\n7,8\\n' in line 3 (a quote"),
        ("a,b,y\n1," + "x" * 200_000 + ",2\n", "y", "line 2: field larger than field limit"),
        ('a,b,y\n1,"2,3\n' + "4,5,6\n" * 30_000, "y", "line 2: field larger than field limit"),
        ("x" * 200_000 + ",b,y\n1,2,3\n", "y", "line 1: field larger than field limit"),
        ("a,b,y\n1,2,3\n4,5\0,6\n", "y", "column 'b' is not numeric: '5\\x00' in line 3"),
        ("größe,y\n1,2\n".encode("latin-1"), "y", "UTF-8"),
        ("a,y\n1,2\n".encode("utf-16"), "y", "UTF-8"),
        (b"PK\x03\x04\xff\xfe", "y", "UTF-8"),
    ],
)
def test_a_csv_is_refused_with_line_and_column(tmp_path, text, target, message):
    said = refusal(tmp_path / "data.csv", text, target)
    assert message in said
    assert len(said) < 400


@pytest.mark.parametrize(
    ("text", "features", "y"),
    [
        ("1 1:2 3:4\n2 2:1\n", [[2, 0, 4], [0, 1, 0]], [1, 2]),
        ("1 0:2 2:4\n2 1:1\n", [[2, 0, 4], [0, 1, 0]], [1, 2]),
        ("\ufeff+1 1:2\r\n-1.5e0 2:1 # a comment, 3:4\r\n\r\n# another\r\n", [[2, 0], [0, 1]], [1, -1.5]),
        ("1 qid:3 1:2\n2 qid:4 2:1\n", [[2, 0], [0, 1]], [1, 2]),
        ("1 1:2\n2\n", [[2], [0]], [1, 2]),
        ("1 1:1e-400\n2 1:1", [[0], [1]], [1, 2]),
    ],
)
def test_svmlight_is_read(tmp_path, text, features, y):
    data = loaded(tmp_path / "data.svm", text)
    np.testing.assert_array_equal(data.X.toarray(), features)
    np.testing.assert_array_equal(data.y, y)
    assert data.notes == ()


@pytest.mark.parametrize("largest", [3 << 20, 2_000_000_000, 2**31, 2**63 - 1])
def test_hashed_features_are_renumbered(tmp_path, capsys, largest):
    """Their number is told, and nothing of the size of their range is ever allocated."""
    data = loaded(tmp_path / "data.svm", f"1 1:2 {largest}:4\n2 7:1\n3 7:5 {largest}:1\n")
    np.testing.assert_array_equal(data.X.toarray(), [[2, 0, 4], [0, 1, 0], [0, 5, 1]])
    assert data.notes == (f"of {largest} columns 3 hold entries: the others are left out",)
    assert main([str(tmp_path / "data.svm"), *SHORT]) == 0
    assert data.notes[0] in capsys.readouterr().err


def test_columns_without_entries_are_features_like_others(tmp_path):
    assert loaded(tmp_path / "data.svm", "1 1:2 1000000:1\n2 7:1\n").X.shape == (2, 1_000_000)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no data"),
        ("# nothing\n", "no data"),
        ("1\n2\n", "no data (2 rows, 0 features)"),
        ("1 1:2\n1 2:3\n", "constant"),
        ("words\n", "line 1: the target 'words' is not a number"),
        ("1 1:2\nx 1:3\n", "line 2: the target 'x' is not a number"),
        ("1,2 1:2\n", "line 1: the target '1,2' is not a number"),
        ("1 1:2\n\n2 1:3 4\n", "line 3: '4' is not index:value"),
        ("1 1:2\n2 1:3:4 5\n", "line 2: '1:3:4' is not index:value"),
        ("1 1:2\n2 1: 3\n", "line 2: '1:' is not index:value"),
        ("1 1:2\n2 a:3\n", "line 2: 'a:3' is not index:value"),
        ("1 1:2\n2 1.5:3\n", "line 2: '1.5:3' is not index:value"),
        ("1 1:2\n2 1_0:3\n", "line 2: '1_0:3' is not index:value"),
        ("1 1:2\n2 1:1_0\n", "line 2: '1:1_0' is not index:value"),
        ("1 1:2\n2_0 1:1\n", "line 2: the target '2_0' is not a number"),
        ("1 1:2\n2 -1:3\n", "line 2: index -1 is negative"),
        ("1 1:2\n2 3:1 2:3\n", "line 2: index 2 comes after 3"),
        ("1\n2 3:1 3:3\n", "line 2: index 3 comes after 3"),
        ("1 1:2\n\n2 3:nan\n", "line 3: the value of index 3 is nan"),
        ("1 1:2\n2 3:1e999\n", "line 2: the value of index 3 is inf"),
        ("1 1:2\n\n-inf 3:1\n", "line 3: the target is -inf"),
        ("1 1:2\n2 9223372036854775808:1\n", "line 2: index '9223372036854775808' is beyond 2^63 - 1; number the"),
        ("1 1:2\n2 " + "9" * 5000 + ":1\n", "line 2: '9999"),
        ("1 1:2\n2 1:3\n".encode("utf-16"), "line 1: the target '"),
    ],
)
def test_svmlight_is_refused_with_its_line(tmp_path, text, message):
    said = refusal(tmp_path / "data.svm", text)
    assert message in said
    assert len(said) < 200


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f8", "g", "i1", "u8", "?"])
def test_npz_of_every_kind_of_number(tmp_path, dtype):
    values = (X > 0).astype(dtype)
    data = loaded(tmp_path / "data.npz", archived(tmp_path / "x.npz", X=values, y=Y[:, None]))
    np.testing.assert_array_equal(data.X, values.astype(float))
    np.testing.assert_array_equal(data.y, Y)
    assert data.X.dtype == (np.float32 if dtype == "f4" else np.float64)


@pytest.mark.parametrize("kind", ["csr", "csc", "coo", "bsr", "dia"])
def test_npz_of_sparse_matrices(tmp_path, capsys, kind):
    sparse.save_npz(tmp_path / "x.npz", sparse.csr_array(X).asformat(kind))
    said = refusal(tmp_path / "data.npz", (tmp_path / "x.npz").read_bytes())
    assert "no array 'y'" in said and "numpy.savez(file, **numpy.load(file), y=y)" in said
    content = archived(tmp_path / "x.npz", **np.load(tmp_path / "x.npz"), y=Y)
    np.testing.assert_array_equal(loaded(tmp_path / "data.npz", content).X.toarray(), X)
    assert main([str(tmp_path / "data.npz"), *SHORT]) == 0


def test_npz_of_few_entries_in_many_columns(tmp_path):
    wide = sparse.csr_array(([1.0, 2.0], ([0, 1], [5, 4_000_000_000])), shape=(2, 5_000_000_000))
    sparse.save_npz(tmp_path / "x.npz", wide)
    data = loaded(tmp_path / "data.npz", archived(tmp_path / "x.npz", **np.load(tmp_path / "x.npz"), y=[1.0, 2]))
    np.testing.assert_array_equal(data.X.toarray(), [[1, 0], [0, 2]])


def csr(**changes):
    """The arrays of a CSR file, some of them replaced."""
    parts = {"data": [1.0, 2, 3], "indices": [0, 2, 1], "indptr": [0, 2, 3], "shape": [2, 3], "format": "csr"}
    return parts | {"y": [1.0, 2]} | changes


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"X": X}, "no array 'y'; arrays: X"),
        ({"y": Y}, "no array 'X'; arrays: y"),
        ({"X": X, "y": np.c_[Y, Y]}, "the target one"),
        ({"X": X[:, 0], "y": Y}, "two dimensions"),
        ({"X": X, "y": Y[:-1]}, "X has 8 rows and the target has 7"),
        ({"X": X.astype(complex), "y": Y}, "must be numbers"),
        ({"X": X.astype("M8[s]"), "y": Y}, "must be numbers"),
        ({"X": X.astype([("a", float)]), "y": Y}, "must be numbers"),
        ({"X": sparse.csr_array(X), "y": Y}, "'X' holds Python objects, where numbers are needed; a sparse X"),
        ({"X": X, "y": Y.astype(object)}, "'y' holds Python objects"),
        ({"X": np.where(X[3, 1] == X, np.nan, X), "y": Y}, "X[3, 1] is nan"),
        ({"X": X, "y": np.where(Y[5] == Y, np.inf, Y)}, "y[5] is inf"),
        (csr(data=[1.0, np.nan, 3]), "X[0, 2] is nan"),
        (csr(indices=[0, 7, 1]), "not a readable .npz"),
        (csr(indices=[0, -2, 1]), "not a readable .npz"),
        (csr(indptr=[0, 9, 3]), "not a readable .npz"),
        (csr(format="what"), "not a readable .npz"),
    ],
)
def test_npz_is_refused(tmp_path, arrays, message):
    assert message in refusal(tmp_path / "data.npz", archived(tmp_path / "x.npz", **arrays))


def test_npz_that_is_none(tmp_path):
    np.save(tmp_path / "x.npy", X)
    assert "a single array" in refusal(tmp_path / "data.npz", (tmp_path / "x.npy").read_bytes())
    assert "not a .npz archive" in refusal(tmp_path / "data.npz", "words")
    assert "not a .npz archive" in refusal(tmp_path / "data.npz", "")
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("X", "words")
    assert "'X' is no array" in refusal(tmp_path / "data.npz", (tmp_path / "x.zip").read_bytes())


@pytest.mark.parametrize("name", ["none.csv", "none.svm", "none.npz", "."])
def test_what_is_no_file(tmp_path, name):
    (tmp_path / "folder.csv").mkdir()
    for path in (tmp_path / name, tmp_path / "folder.csv"):
        with pytest.raises(DataError):
            load_file(str(path), "y" if path.suffix == ".csv" else None)


def test_figures_that_overflow_are_an_error(tmp_path, capsys, monkeypatch):
    """Whatever the solver and the referee can do: a table never holds nan."""
    (tmp_path / "data.csv").write_text("a,y\n1,2\n3,5\n4,1\n")
    verdicts = [Verdict(gap=0.0, r2=0.5), Verdict(gap=np.nan, r2=0.5), Verdict(gap=0.0, r2=0.5)]
    monkeypatch.setattr("fastreg.cli.Referee.judge_path", lambda *_: verdicts)
    assert main([str(tmp_path / "data.csv"), "--target", "y", *SHORT]) == 2
    assert "overflow" in capsys.readouterr().err


def mutants(folder):
    """Write some two hundred damaged files; the names of all."""
    rng = np.random.default_rng(0)
    np.savetxt(folder / "good.csv", np.c_[X, Y], delimiter=",", header="a,b,c,y", comments="", fmt="%.3f")
    dump_svmlight_file(X, Y, str(folder / "good.svm"))
    np.savez(folder / "good.npz", X=X, y=Y)
    sparse.save_npz(folder / "csr.npz", sparse.csr_array(X), compressed=False)
    np.savez(folder / "csr.npz", **np.load(folder / "csr.npz"), y=Y)
    names = []
    for good in sorted(folder.glob("*.*")):
        for k in range(52):
            path = folder / f"{good.stem}{k}{good.suffix}"
            if good.suffix == ".npz" and k % 4:
                resealed(good, path, rng, k)
            else:
                path.write_bytes(damaged(good.read_bytes(), rng, k))
            names.append(str(path))
    return names


HARM = [b'"', b"'", b"\n", b"\r", b"\0", b",", b";", b":", b"-", b"_", b"e999", b"9" * 30, b"nan", b"\xff", b"#", b""]
SLIGHT = [b"0", b"1", b"7", b"-", b"e5", b"\n", b" ", b""]


def damaged(content, rng, k):
    """Bytes replaced, put in, taken out, cut off or repeated; every third time only a digit changes."""
    content = bytearray(content)
    if k % 3 == 0:
        digits = [place for place, byte in enumerate(content) if byte in b"0123456789" or place >= 128]
        place = digits[rng.integers(len(digits))]
        content[place : place + 1] = SLIGHT[rng.integers(len(SLIGHT))]
        return bytes(content)
    for _ in range(1 + k % 5):
        place, length = rng.integers(len(content)), rng.integers(1, 9)
        piece = HARM[rng.integers(len(HARM))] if rng.random() < 0.7 else rng.bytes(length)
        content[place : place + length * (rng.random() < 0.5)] = piece
    return bytes(content[: rng.integers(len(content))] if k % 7 == 6 else content * (1 + 40 * (k % 11 == 10)))


def resealed(good, path, rng, k):
    """An archive with one damaged member, whose checksums hold: what is wrong reaches numpy and scipy."""
    with zipfile.ZipFile(good) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    victim = sorted(parts)[rng.integers(len(parts))]
    parts[victim] = damaged(parts[victim], rng, k)
    with zipfile.ZipFile(path, "w") as archive:
        for name, part in parts.items():
            archive.writestr(name, part)


RUN_ALL = """
import contextlib, io, json, resource, sys
from fastreg.cli import main
size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + (1 << 30),) * 2)
for name in json.load(sys.stdin):
    out, err = io.StringIO(), io.StringIO()
    target = ["--target", "y"] if name.endswith(".csv") else []
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([name, *target, "--no-compare", "--n-alphas", "3"])
    print(json.dumps([name, code, out.getvalue(), err.getvalue()]))
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the memory limit is Linux's")
def test_damaged_files(tmp_path):
    """Never a traceback, a hang or a gigabyte: an answer of finite figures, or one line."""
    names = mutants(tmp_path)
    assert len(names) == 208
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")  # each reserves memory of its own
    env = os.environ | threads | {"PYTHONPATH": str(Path(fastreg.__file__).parents[1])}
    command = [sys.executable, "-c", RUN_ALL]
    done = subprocess.run(command, input=json.dumps(names), capture_output=True, text=True, timeout=300, env=env)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert [name for name, *_ in results] == names
    for name, code, out, err in results:
        assert code in (0, 2), name
        assert "memory" not in err, (name, err)
        if code == 2:
            assert [line.startswith("fastreg: error: ") for line in err.splitlines() if "note: " not in line] == [True]
        else:
            assert "nan" not in out.replace(name, "") and "inf" not in out.replace(name, ""), name
    codes = [code for _, code, *_ in results]
    assert 20 < codes.count(0) < 190  # the damage is neither all harmless nor all fatal
