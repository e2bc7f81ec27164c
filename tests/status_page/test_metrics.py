"""What a monitoring system is told: the fleet and the page as they are, behind the page's own door."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.hives import TestHive, eventually
from tests.status_page.near import NearPage, page_near, served_near

pytestmark = pytest.mark.remembered


def measured(near: NearPage) -> dict[str, float]:
    """Every sample, by its name and its labels' values."""
    connection, answer = near.looker.request("GET", "/metrics")
    text = answer.read().decode()
    connection.close()
    assert answer.status == 200, text
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {" ".join([sample.name, *sample.labels.values()]): sample.value for sample in samples}


def test_the_fleet_and_the_page_are_measured_as_they_are(hive: TestHive) -> None:
    hive.spawn("coder")
    hive.spawn("idle")
    hive.run("stop", "idle")
    hive.run("pause", "coder")
    hive.run("request-spawn", "third", "--description", "x")
    hive.run("ask", "which?")
    hive.spawn("gone")
    hive.run("destroy", "gone", "--yes")
    hive.run("send", "idle", "read it some day")
    with served_near(hive) as near:
        seq = near.client.ask("GET", "/api/state")[1]["result"]["seq"]
        near.client.ask("GET", "/nowhere")
        with near.client.stream(Last_Event_ID=str(seq)) as news:
            hive.run("send", "operator", "x")
            assert "sent" in (kind for kind, _, _ in news)
            found = measured(near)
    told = [*hive.asked("state")["messages"], *hive.asked("state")["system_messages"]]
    wanted = {
        "hive_up": 1,
        "hive_events_total": seq + 1,
        "hive_agents running": 1,
        "hive_agents stopped": 1,
        "hive_agents_that_need login": 0,
        "hive_agents_that_need paused": 1,
        "hive_requests_waiting": 1,
        "hive_questions_waiting": 1,
        "hive_needs request": 1,
        "hive_needs question": 1,
        # What an agent has yet to read, its kicks among it; what the operator was sent is there to be seen.
        "hive_messages_unread": sum(1 for row in told if row["to"] != "operator"),
        "hive_tombstones": 1,
        "hive_page_subscribers": 1,
        "hive_page_answers_total 4xx": 1,
        "hive_page_hung_up_total": 0,
    }
    assert {name: found[name] for name in wanted} == wanted
    assert found["hive_longest_need_seconds"] > 0
    assert found["hive_page_frames_total"] >= 1
    assert found["hive_page_answer_seconds_bucket +Inf"] == found["hive_page_answer_seconds_count"]


def test_without_a_key_nothing_is_measured(hive: TestHive) -> None:
    with served_near(hive) as near:
        assert near.client.ask("GET", "/metrics", key=None)[0] == 401
        assert near.client.ask("GET", "/metrics", key="wrong")[0] == 401


def test_a_hive_that_is_away_is_measured_as_that(hive: TestHive) -> None:
    with page_near(hive) as near:
        eventually(near.file.exists)
        found = measured(near)
    assert found["hive_up"] == 0
    assert "hive_agents running" not in found


def test_no_label_has_a_name_that_an_agent_has_or_chooses(hive: TestHive) -> None:
    hive.spawn("a-name-of-its-own")
    hive.run("request-spawn", "third", "--description", "words of its own")
    with served_near(hive) as near:
        connection, answer = near.client.request("GET", "/metrics")
        text = answer.read().decode()
        connection.close()
    assert "of-its-own" not in text
    assert "of its own" not in text
