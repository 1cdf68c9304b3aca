"""A Chromium without a window, by its DevTools protocol over two pipes: the standard library is all it takes."""

import base64
import fcntl
import json
import os
import shutil
import subprocess
import tempfile
from collections import deque

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
# Flags of a browser for tests: nothing that it does by itself, and no sandbox, which containers seldom allow.
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--no-first-run", "--disable-dev-shm-usage",
         "--allow-file-access-from-files", "--remote-debugging-pipe")


def installed(name=None):
    """Path of a browser; a FileNotFoundError where there is none."""
    found = next(filter(None, map(shutil.which, [name] if name else NAMES)), None)
    if found is None:
        raise FileNotFoundError(f"no browser: looked for {name or ', '.join(NAMES)}")
    return found


class Browser:
    """One tab. `events` holds what it has said since it was last emptied, as (method, parameters)."""

    def __init__(self, name=None):
        self._profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        read, self._write = os.pipe()
        self._read, write = os.pipe()
        # Chromium reads from 3 and writes to 4: ends are moved out of the way first, since they may have these numbers.
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (read, write)]
        self._process = subprocess.Popen(
            [installed(name), *FLAGS, f"--user-data-dir={self._profile.name}", "about:blank"], close_fds=False,
            preexec_fn=lambda: (os.dup2(ends[0], 3), os.dup2(ends[1], 4)),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for end in (read, write, *ends):
            os.close(end)
        self._buffer, self._sent, self._session = b"", 0, None
        self.events = deque()
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.terminate()
        self._process.wait()
        os.close(self._read)
        os.close(self._write)
        self._profile.cleanup()

    def send(self, method, **parameters):
        """What the browser answers to a command."""
        self._sent += 1
        message = {"id": self._sent, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._message()
            if answer.get("id") == self._sent:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return answer["result"]
            self.events.append((answer["method"], answer["params"]))

    def _message(self):
        while b"\0" not in self._buffer:
            part = os.read(self._read, 1 << 20)
            if not part:
                raise RuntimeError("the browser has ended")
            self._buffer += part
        text, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(text)

    def show(self, width, height, dark):
        """The screen: its size in CSS pixels, and which theme the reader's system prefers."""
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
                  mobile=width < 600)
        self.send("Emulation.setEmulatedMedia",
                  features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def open(self, url):
        """Go there, and wait until all of it is loaded."""
        self.events.clear()
        self.send("Page.navigate", url=url)
        while not any(method == "Page.loadEventFired" for method, _ in self.events):
            answer = self._message()
            self.events.append((answer["method"], answer["params"]))

    def run(self, script):
        """The value of an expression in JavaScript, awaited if it is a promise."""
        answer = self.send("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"].get("exception", {}).get("description", "exception"))
        return answer["result"].get("value")

    def picture(self, whole):
        """PNG of the screen, or of the `whole` page."""
        answer = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=whole,
                           **({"clip": self._clip()} if whole else {}))
        return base64.b64decode(answer["data"])

    def _clip(self):
        size = self.send("Page.getLayoutMetrics")["cssContentSize"]
        return {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 12000), "scale": 1}
