"""The pages in docs/, without Sphinx: public names are there, links lead somewhere, examples give what they say."""
import doctest
import re
import warnings
from inspect import ismodule
from operator import attrgetter
from pathlib import Path

import pytest

import fastreg

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
MADE = ("_build", "examples", "generated", "_templates")       # by Sphinx, or for it
PAGES = [ROOT / "README.md", *sorted(path for pattern in ("*.md", "*.rst") for path in DOCS.rglob(pattern)
                                     if path.relative_to(DOCS).parts[0] not in MADE)]
SCRIPTS = sorted((DOCS / "gallery").glob("*.py"))
FENCED = re.compile(r"^```(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)|(?:src|srcset)=\"([^\"]+)\"")
PICTURE_OF_GALLERY = re.compile(r"examples/images/sphx_glr_(\w+)_\d{3}\.png")


def ids(paths):
    return [str(path.relative_to(ROOT)) for path in paths]


def without_code(text):
    """What links are looked for in: no code, no formulas."""
    return re.sub(r"^```.*?^```|`[^`\n]*`|\$[^$\n]*\$", "", text, flags=re.MULTILINE | re.DOTALL)


def code_of(page):
    """What stands between fences as Python with prompts."""
    return "\n".join(text for language, text in FENCED.findall(page.read_text())
                     if language == "python" and text.startswith(">>>"))


def source_of(target):
    """The file that a link leads to, or that Sphinx makes its target from."""
    picture = PICTURE_OF_GALLERY.search(str(target))
    if picture:
        return DOCS / "gallery" / f"{picture[1]}.py"
    relative = target.relative_to(DOCS) if target.is_relative_to(DOCS) else target
    if relative.parts[0] == "examples":
        return DOCS / "gallery" / ("GALLERY_HEADER.rst" if relative.stem == "index" else f"{relative.stem}.py")
    return target


LISTED = re.findall(r"^   ([\w.]+)$", (DOCS / "api.rst").read_text(), re.MULTILINE)


def test_every_public_name_is_on_the_page_of_the_reference():
    """Of a module the names that it gives."""
    things = {name: getattr(fastreg, name) for name in fastreg.__all__}
    public = {f"{name}.{part}" if ismodule(thing) else name
              for name, thing in things.items() for part in (thing.__all__ if ismodule(thing) else [""])}
    assert public <= set(LISTED) and len(LISTED) == len(set(LISTED))


@pytest.mark.parametrize("name", LISTED)
def test_everything_public_has_an_example_that_gives_what_it_says(name):
    if name.startswith("plot."):
        pytest.importorskip("matplotlib").use("agg")
    elif name.startswith("datafits."):
        pytest.importorskip("numba")
    (example,) = doctest.DocTestFinder(recurse=False).find(attrgetter(name)(fastreg), name, globs={})
    with warnings.catch_warnings(action="error", category=UserWarning):
        outcome = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(example)
    assert outcome.attempted > outcome.failed == 0


@pytest.mark.parametrize("script", SCRIPTS, ids=ids(SCRIPTS))
def test_scripts_of_the_gallery_compile_and_draw(script):
    text = script.read_text()
    compile(text, script, "exec")
    assert re.match(r'r?"""\n.+\n=+\n', text), "a title comes first"
    assert "plt.show()" in text


@pytest.mark.parametrize("page", PAGES, ids=ids(PAGES))
def test_links_lead_to_files(page):
    for link in map("".join, LINK.findall(without_code(page.read_text()))):
        if re.match(r"https?:|mailto:|#", link):
            continue
        target = (page.parent / link.split("#")[0]).resolve()
        assert source_of(target).exists(), f"{link} leads nowhere"


WITH_CODE = [page for page in PAGES if code_of(page)]


@pytest.mark.parametrize("page", WITH_CODE, ids=ids(WITH_CODE))
def test_code_on_pages_gives_what_they_say(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)                            # for what it saves
    found = doctest.DocTestParser().get_doctest(code_of(page), {}, page.name, str(page), 0)
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    assert doctest.DocTestRunner(optionflags=flags).run(found).failed == 0


def test_the_version_to_cite_is_this_one():
    assert f"\nversion: {fastreg.__version__}\n" in (ROOT / "CITATION.cff").read_text()
