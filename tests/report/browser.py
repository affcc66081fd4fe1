"""Control a page in headless Chromium through the DevTools protocol over two pipes, without a driver or a port."""

import base64
import json
import os
import select
import shutil
import subprocess

COMMAND = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
INSTALL = "apt-get install chromium"
PATIENCE = 60  # seconds for one message
SWITCHES = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-pipe"]


class Page:
    """A page in a new browser, as a context manager. `events` are the messages that it has sent so far."""

    def __init__(self, profile):
        self._profile = profile
        self._number = 0
        self._received = b""
        self.events = []

    def __enter__(self):
        browser_reads, self._write = os.pipe()
        self._read, browser_writes = os.pipe()
        # the protocol's pipes are the file descriptors 3 and 4
        command = 'exec 3<&"$1" 4>&"$2"; shift 2; exec "$@"'
        numbers, profile = (str(browser_reads), str(browser_writes)), f"--user-data-dir={self._profile}"
        self._process = subprocess.Popen(
            ["bash", "-c", command, "-", *numbers, COMMAND, *SWITCHES, profile, "about:blank"],
            pass_fds=(browser_reads, browser_writes),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(browser_reads)
        os.close(browser_writes)
        self._session = None
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")
        return self

    def __exit__(self, *_exception):
        self._process.terminate()
        self._process.wait(timeout=30)
        os.close(self._write)
        os.close(self._read)

    def ask(self, method, **parameters):
        """Send a command of the protocol and return its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]

    def open(self, address, width, height=800, dark=False):
        """Load a page in a window of the given size in pixels and wait until it is loaded."""
        self.ask(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", features=[scheme])
        self.events.clear()
        self.ask("Page.navigate", url=address)
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self._next()

    def evaluate(self, expression):
        """Return the value of a JavaScript expression."""
        result = self.ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def problems(self):
        """Return console messages, exceptions, log entries of the browser and failed requests."""
        kinds = ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded", "Network.loadingFailed")
        return [event for event in self.events if event["method"] in kinds]

    def requests(self):
        """Return the addresses that the page loaded."""
        sent = (event for event in self.events if event["method"] == "Network.requestWillBeSent")
        return [event["params"]["request"]["url"] for event in sent]

    def screenshot(self, path):
        """Write the whole page as PNG."""
        picture = self.ask("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        path.write_bytes(base64.b64decode(picture))

    def _next(self):
        while b"\0" not in self._received:
            ready, _, _ = select.select([self._read], [], [], PATIENCE)
            assert ready, "the browser does not answer"
            part = os.read(self._read, 1 << 20)
            assert part, "the browser has exited"
            self._received += part
        message, _, self._received = self._received.partition(b"\0")
        message = json.loads(message)
        if "method" in message:
            self.events.append(message)
        return message
