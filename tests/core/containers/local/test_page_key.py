"""How the key of an agent's page comes to the harness: by standard input, once, and to nobody else."""

from __future__ import annotations

from tests.core.containers.local.machine import Machine

TOML = 'runner = "exec"\ncommand = ["true"]\n[environment]\nLD_AUDIT = "/state/evil.so"\nOWN = "x"\n'
HARNESS = r"""
read -r key; echo "key $key"; echo "number $HIVE_PAGE_TOKEN_FD"; echo "own ${OWN-none} ${LD_AUDIT-none}"
cat | grep . && echo more
for file in /proc/[0-9]*/environ /proc/[0-9]*/cmdline; do
    # Of the processes of this user alone: where there is no sandbox there are others.
    [ -O "$file" ] && grep -qs "$key" "$file" && echo "seen in $file"
done
echo ready; exec sleep 100
"""
PLAIN = '[ -z "$HIVE_PAGE_TOKEN_FD$HIVE_PAGE_TOKEN" ] && cat | wc -c; echo ready; exec sleep 100'


def test_the_harness_reads_it_once_and_it_is_in_no_environment(anywhere: Machine) -> None:
    revision = anywhere.build("a", {"agent.toml": TOML})
    view = anywhere.view("a", harness=["sh", "-c", HARNESS])
    anywhere.ask("switch", name="a", revision=revision, view=view, run=True)
    anywhere.await_line("a", "ready")
    key = (anywhere.home / "containers/a/page-key").read_text()
    notices = 1 if anywhere.sandbox == "none" else 0
    assert anywhere.written("a")[notices:] == [f"key {key}", "number 0", "own none none", "ready"]


def test_a_command_of_its_own_is_given_none(anywhere: Machine) -> None:
    anywhere.run("a", "sh", "-c", PLAIN)
    anywhere.await_line("a", "ready")
    assert anywhere.written("a")[-2:] == ["0", "ready"]
