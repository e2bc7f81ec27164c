"""What another page in the operator's own browser can do with the status page: an agent's, on another port, or any."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.agent.browser import free_port
from tests.chromium import browser
from tests.hives import TestHive
from tests.needs import requires
from tests.status_page.near import served_near

__all__ = ["browser"]

pytestmark = [requires("chromium"), pytest.mark.remembered]

# Tries everything that a page can try at another origin; gives what came of each.
TRIES = """async (base) => {
  const found = {};
  const outcome = async (name, work) => { try { found[name] = String(await work()); } catch { found[name] = 'held'; } };
  await outcome('read', async () => (await fetch(`${base}/api/state`)).text());
  await outcome('read with a key', async () =>
    (await fetch(`${base}/api/state`, { headers: { Authorization: 'Bearer x' } })).text());
  await outcome('stream', async () => (await fetch(`${base}/events`)).status);
  await outcome('event source', () => new Promise((done, failed) => {
    const source = new EventSource(`${base}/events`);
    source.onmessage = source.onopen = done;
    source.onerror = failed;
  }));
  await outcome('post', async () => (await fetch(`${base}/stop/coder`, { method: 'POST', body: '{}' })).text());
  for (const [tag, name] of [['script', 'main.js'], ['img', 'icon.svg']]) {
    await outcome(tag, () => new Promise((done, failed) => {
      const node = document.createElement(tag);
      node.onload = () => done('loaded');
      node.onerror = failed;
      node.src = `${base}/${name}`;
      document.body.append(node);
    }));
  }
  await outcome('module', () => import(`${base}/model.js`));
  await outcome('opened', () => {
    const opened = window.open(`${base}/`, 'its');
    return new Promise((done) => setTimeout(() => done(opened.closed || !opened.sessionStorage ? 'held' : 'reached'), 1000));
  });
  const form = document.createElement('form');
  Object.assign(form, { action: `${base}/stop/coder`, method: 'post', target: 'its' });
  document.body.append(form);
  form.submit();
  return found;
}"""


@pytest.fixture
def other(tmp_path: Path) -> Iterator[int]:
    """A server on another port of the same machine, as an agent may have one; it is where the page is framed, too."""
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "index.html").write_text("<!doctype html><title>other</title><body>")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path / "served"))
    handler.log_message = lambda *_: None  # type: ignore[attr-defined]
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield int(server.server_address[1])
        server.shutdown()


def test_another_page_in_the_same_browser_gets_and_does_nothing(hive: TestHive, browser: Any, other: int) -> None:
    hive.spawn("coder")
    with served_near(hive) as near, browser.new_context() as context:
        base = f"http://127.0.0.1:{near.port}"
        own: Any = context.new_page()
        own.goto(f"{base}/#key={near.key()}")
        own.wait_for_selector("#live:not(.stale)")
        evil: Any = context.new_page()
        for site in (f"http://127.0.0.1:{other}", f"http://evil.test:{other}"):
            evil.goto(f"{site}/")
            found = evil.evaluate(TRIES, base)
            assert set(found.values()) == {"held"}, found
            assert evil.evaluate("[sessionStorage, localStorage].flatMap(Object.keys)") == []
        # Framed, it stays away; by a name that leads here (DNS rebinding), there is no page.
        evil.set_content(f"<iframe src='{base}/#key={near.key()}' onload='document.title=1'></iframe>")
        framed = evil.frames[-1]
        framed.wait_for_load_state()
        assert framed.url.startswith("chrome-error:")
        answer = evil.goto(f"http://evil.test:{near.port}/")
        assert (answer.status, evil.evaluate("document.body.innerText")[:8]) == (421, '{"ok": f')
        assert own.locator("#live:not(.stale)").is_visible()
    assert hive.agent("coder")["running"] is True


# What a worker does with every page that is opened at its origin, from then on.
WORKER = """
self.oninstall = () => self.skipWaiting();
self.onactivate = (event) => event.waitUntil(clients.claim());
self.onfetch = (event) => event.respondWith(new Response(
  "<script>document.title = 'taken ' + location.hash</script>", { headers: { 'Content-Type': 'text/html' } }));
"""
ARMED = "navigator.serviceWorker.register('/worker.js').then(() => navigator.serviceWorker.ready).then(() => 'armed')"


def test_who_had_the_port_before_is_given_no_key_by_what_it_left_in_the_browser(
    hive: TestHive, browser: Any, tmp_path: Path
) -> None:
    port = free_port()
    (tmp_path / "index.html").write_text("<!doctype html><title>it</title>")
    (tmp_path / "worker.js").write_text(WORKER)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    handler.log_message = lambda *_: None  # type: ignore[attr-defined]
    hive.spawn("coder")
    with browser.new_context() as context:
        tab: Any = context.new_page()
        with http.server.ThreadingHTTPServer(("127.0.0.1", port), handler) as before:
            threading.Thread(target=before.serve_forever, daemon=True).start()
            tab.goto(f"http://127.0.0.1:{port}/")
            assert tab.evaluate(ARMED) == "armed"
            before.shutdown()
        with served_near(hive, port=port):
            tab = context.new_page()
            tab.goto(f"http://127.0.0.1:{port}/#key=mine")
            assert tab.title() == "taken #key=mine"
            tab.goto(hive.run("open").stdout.strip())
            tab.wait_for_selector("#live:not(.stale)")
