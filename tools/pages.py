"""Are the built pages whole? Links and anchors of all; in Chromium also console, formulas and phone width.

    python tools/pages.py docs/_build/html                       # links alone: seconds, no browser
    python tools/pages.py docs/_build/html --browser             # every page, 1280 and 390 wide, white and dark
    python tools/pages.py report.html --browser --pictures out   # one page, with screenshots to look at

Without a browser: a link inside the site leads to a page and an anchor that are there, and nothing is loaded from
another server. `--browser` opens each page in the Chromium or Chrome that is installed (or --chromium PATH), and finds
fault with anything said on the console, formulas that are not drawn, pictures that do not load, and whatever sticks out
of the screen without a scroll bar of its own. `--only WORD` takes the pages whose path holds WORD. The exit code is 1
where something is wrong.
"""

import argparse
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from chromium import Browser

SCREENS = {"desktop": (1280, 900), "phone": (390, 844)}
# Formulas that were not drawn, pictures that are not there, and what sticks out at the right in no box that scrolls; a
# box that holds the title is the page.
LOOK = """(async () => {
  if (window.MathJax && MathJax.startup) await MathJax.startup.promise;
  document.querySelectorAll("img").forEach(image => image.loading = "eager");
  await Promise.all([...document.images].map(image => image.decode().catch(() => 0)));
  const faults = [], wide = document.documentElement.clientWidth;
  const name = node => node.tagName.toLowerCase() + [...node.classList].map(one => "." + one).join("");
  const boxed = node => {
    for (let box = node.parentElement; box && box !== document.body; box = box.parentElement)
      if (["auto", "scroll"].includes(getComputedStyle(box).overflowX) && !box.querySelector("h1")) return true;
    return false;
  };
  for (const node of document.querySelectorAll("span.math, div.math"))
    if (!node.querySelector("mjx-container svg") || node.querySelector("[data-mml-node=merror]"))
      faults.push("formula not drawn: " + node.textContent.trim().slice(0, 60));
  for (const image of document.images)
    if (!image.naturalWidth) faults.push("picture not there: " + image.getAttribute("src"));
  if (document.documentElement.scrollWidth > wide)
    faults.push(`page is ${document.documentElement.scrollWidth} wide on a screen of ${wide}`);
  let out = null;
  for (const node of document.querySelectorAll("body *")) {
    const edge = node.getBoundingClientRect();
    if (out && out.contains(node) || !edge.width || edge.right <= wide + 1 || edge.left >= wide || edge.bottom <= 0
        || node.closest("svg svg, dialog") || getComputedStyle(node).visibility !== "visible" || boxed(node)) continue;
    faults.push(`${name(node)} ends at ${Math.round(edge.right)} of ${wide}`);
    out = node;
  }
  return faults.slice(0, 8);
})()"""


class Page(HTMLParser):
    """Anchors of a page, and what it leads to and loads."""

    def __init__(self, text):
        super().__init__()
        self.anchors, self.links, self.loads = {"", "top"}, [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif tag == "link" and {"stylesheet", "icon", "preload"} & set(given.get("rel", "").split()):
            self.loads.append(given.get("href", ""))
        self.loads += [given["src"]] if "src" in given else []
        self.loads += [part.split()[0] for part in given.get("srcset", "").split(",") if part.strip()]


def pages_of(site):
    """HTML files of a folder, but for the templates that themes leave in `_static`; or the one file."""
    return [site] if site.is_file() else sorted(set(site.rglob("*.html")) - set(site.rglob("_static/**/*.html")))


def link_faults(site):
    """What is wrong with links of a site, a line each."""
    parsed = {path.resolve(): Page(path.read_text(encoding="utf-8")) for path in pages_of(site)}
    root = site.resolve() if site.is_dir() else site.resolve().parent
    for path, page in parsed.items():
        for link in dict.fromkeys(page.links + page.loads):
            why = _fault(path, link, parsed, link in page.loads)
            if why:
                yield f"{path.relative_to(root)}: {link}: {why}"


def _fault(path, link, parsed, loaded):
    """Why a link of the page at `path` leads nowhere; None where it does not."""
    parts = urlsplit(link)
    if parts.scheme == "data":
        return None
    if parts.scheme or parts.netloc:
        return "is loaded from another server" if loaded else None
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if not target.is_file():
        return "no such file"
    if target in parsed and unquote(parts.fragment) not in parsed[target].anchors:
        return "no such anchor"
    return None


def seen_faults(browser, path, pictures=None):
    """What is wrong with a page in a browser, a line each.

    It is opened once, and looked at on every screen; `pictures` begins the names of screenshots.
    """
    browser.show(*SCREENS["desktop"], dark=False)
    browser.open(path.resolve().as_uri())
    for screen, size in SCREENS.items():
        for look, dark in (("white", False), ("dark", True)):
            browser.show(*size, dark)
            yield from (f"{screen}, {look}: {fault}" for fault in browser.run(LOOK))
            if pictures:
                Path(f"{pictures}-{screen}-{look}.png").write_bytes(browser.picture(whole=True))
    yield from filter(None, map(_said, browser.events))


def _said(event):
    """A fault that an event of the browser tells of, or None."""
    method, given = event
    if method == "Runtime.exceptionThrown":
        details = given["exceptionDetails"]
        return "exception: " + details.get("exception", {}).get("description", details["text"])
    if method == "Runtime.consoleAPICalled" and given["type"] in ("error", "warning", "assert"):
        return f"console: {' '.join(str(part.get('value', part.get('description'))) for part in given['args'])}"
    if method == "Log.entryAdded" and given["entry"]["level"] in ("error", "warning"):
        return f"console: {given['entry']['text']} {given['entry'].get('url', '')}"
    if method == "Network.requestWillBeSent" and given["request"]["url"].startswith("http"):
        return f"asks another server: {given['request']['url']}"
    return None


def browser_faults(site, only, chromium, pictures):
    """The same of all pages whose path holds `only`; `pictures` is the folder of screenshots, or None."""
    root = site if site.is_dir() else site.parent
    with Browser(chromium) as browser:
        for path in pages_of(site):
            name = path.relative_to(root)
            if only in str(name):
                begin = pictures and pictures / "-".join(name.with_suffix("").parts)
                yield from (f"{name}: {fault}" for fault in seen_faults(browser, path, begin))


def main(arguments=None):
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("site", type=Path, help="a folder of pages, or one")
    options.add_argument("--browser", action="store_true", help="open the pages, too")
    options.add_argument("--chromium", metavar="PATH", help="which browser, where it is not the first that is found")
    options.add_argument("--only", metavar="WORD", default="", help="in a browser, pages whose path holds WORD")
    options.add_argument("--pictures", metavar="FOLDER", type=Path, help="keep screenshots of what is opened")
    given = options.parse_args(arguments)
    if given.pictures:
        given.pictures.mkdir(parents=True, exist_ok=True)
    faults = list(link_faults(given.site))
    if given.browser:
        faults += browser_faults(given.site, given.only, given.chromium, given.pictures)
    print(*faults, f"{len(pages_of(given.site))} pages, {len(faults)} faults", sep="\n")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
