"""What the check of built pages calls a fault: of links, and in a browser where one is installed."""
import importlib.util
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "tools"


@pytest.fixture(scope="module")
def pages():
    sys.path.insert(0, str(FOLDER))                        # for the module that it imports
    try:
        spec = importlib.util.spec_from_file_location("pages", FOLDER / "pages.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(FOLDER))
    return module


def site(folder, **bodies):
    for name, body in bodies.items():
        (folder / f"{name}.html").write_text('<!DOCTYPE html><html><head><meta charset="utf-8"><meta name="viewport" '
                                             f'content="width=device-width"></head><body>{body}</body></html>')
    return folder


@pytest.mark.parametrize(("body", "why"), [
    ('<a href="other.html#here">x</a> <a href="#top">x</a> <a href="https://x.org/y">x</a>', None),
    ('<a href="other.html?digest=1">x</a> <a href="mailto:a@b.c">x</a> <img src="data:image/gif;base64,AA">', None),
    ('<a href="a%20file.txt">x</a>', None),
    ('<a href="missing.html">x</a>', "no such file"),
    ('<a href="other.html#there">x</a>', "no such anchor"),
    ('<a href="#there">x</a>', "no such anchor"),
    ('<img src="missing.png">', "no such file"),
    ('<img src="a%20file.txt" srcset="a%20file.txt 1x, missing.png 2x">', "no such file"),
    ('<script src="https://x.org/y.js"></script>', "is loaded from another server"),
    ('<link rel="stylesheet" href="//x.org/y.css">', "is loaded from another server"),
])
def test_links(pages, tmp_path, capsys, body, why):
    (tmp_path / "a file.txt").write_text("")
    (tmp_path / "_static").mkdir()
    (tmp_path / "_static" / "template.html").write_text('<a href="{{ nowhere }}">x</a>')
    site(tmp_path, page=body, other='<p id="here"></p>')
    assert pages.main([str(tmp_path)]) == (why is not None)
    *found, count = capsys.readouterr().out.splitlines()
    assert count == f"2 pages, {len(found)} faults"
    assert [line.endswith(f": {why}") for line in found] == [True] * bool(why)


@pytest.fixture(scope="module")
def browser(pages):
    try:
        pages.Browser().__exit__()
    except (FileNotFoundError, RuntimeError) as error:
        pytest.skip(str(error))


@pytest.mark.parametrize(("body", "why"), [
    ('<h1>x</h1><p>text</p><div style="overflow: auto"><p style="width: 900px">x</p></div>', None),
    ('<script>console.log("fine")</script><span class="math"><mjx-container><svg></svg></mjx-container></span>', None),
    ('<script>console.error("so it is")</script>', "console: so it is"),
    ('<script>nobody.knows</script>', "ReferenceError: nobody is not defined"),
    ('<span class="math">\\(x\\)</span>', "formula not drawn: \\(x\\)"),
    ('<img src="page.html">', "picture not there: page.html"),
    ('<p style="width: 900px">x</p>', "phone, white: p ends at 908 of 390"),
    ('<div style="overflow: auto"><h1>x</h1><p style="width: 900px">x</p></div>', "phone, dark: p ends at 908 of 390"),
])
def test_what_a_browser_sees(pages, browser, tmp_path, body, why):
    found = list(pages.browser_faults(site(tmp_path, page=body), "page", None, None))
    assert bool(found) == (why is not None)
    assert why is None or any(why in fault for fault in found)
