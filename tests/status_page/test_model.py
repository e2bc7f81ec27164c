"""What the page has made of a cold load and every event since is what another cold load says, after any history."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.hives import PLAIN, TestHive
from tests.needs import requires
from tests.status_page.conftest import Served, Tab

pytestmark = requires("chromium")

# Makes both models in the browser, by the page's own code, and gives what can be compared of them.
COMPARE = """async ([first, events, last]) => {
  const { load, apply } = await import('/model.js');
  const plain = (model) => Object.fromEntries(Object.entries(model).filter(([name]) => name !== 'events')
    .map(([name, value]) => [name, value instanceof Map ? [...value.values()].sort((a, b) => (a.id ?? a.name) < (b.id ?? b.name) ? -1 : 1) : value]));
  const model = load(first);
  // Some are told twice, as after a reconnect.
  for (const event of events) { apply(model, event); apply(model, event); }
  return [plain(model), plain(load(last))];
}"""


def act(hive: TestHive, chance: random.Random, number: int) -> None:
    """Do one thing that may be done now, or be refused."""
    pending = [row["id"] for row in hive.json("approvals")]
    asked = [row["id"] for row in hive.json("questions")]
    deeds: list[tuple[str, ...]] = [
        ("send", "coder", f"word {number} " + "é" * chance.randrange(3)),
        ("ask", f"question {number}?", "--option", "a", "--multi"),
        ("request-spawn", f"agent{number}", "--description", "made by a test"),
        ("stop", "coder"),
        ("start", "coder"),
        ("rebuild", "coder"),
        ("pause", "coder"),
        ("resume", "coder"),
        ("spawn", f"spawned{number % 3}"),
        ("destroy", f"spawned{number % 3}", "--yes"),
        *(("deny", str(id), "--note", "no") for id in pending[:1]),
        *(("approve", str(id)) for id in pending[-1:]),
        *(("answer", str(id), "yes") for id in asked[:1]),
        *(("cancel-question", str(id)) for id in asked[-1:]),
    ]
    hive.forked(*chance.choice(deeds))


@pytest.mark.parametrize("seed", [1, 2])
def test_the_model_is_what_a_cold_load_says(served: Served, tab: Tab, seed: int) -> None:
    hive, client, chance = served.hive, served.client, random.Random(seed)
    first = client.ask("GET", "/api/state")[1]["result"]
    hive.request("coder", PLAIN + "# one\n")
    for number in range(25):
        act(hive, chance, number)
    last = client.ask("GET", "/api/state")[1]["result"]
    events: list[Any] = []
    with client.stream(Last_Event_ID=str(first["seq"])) as news:
        for kind, seq, data in news:
            assert kind != "resync"
            events.append(data)
            if seq >= last["seq"]:
                break
    events = [event for event in events if event["seq"] <= last["seq"]]
    mine, fresh = tab.page.evaluate(COMPARE, [first, events, last])
    for part in fresh:
        assert mine[part] == fresh[part], part
