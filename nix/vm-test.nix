# hive in a virtual machine, for `nix flake check` where there is nixpkgs: pkgs.testers.runNixOSTest (import ./vm-test.nix module)
module: {
  name = "hive";
  nodes.machine = {
    imports = [ module ];
    users.users.alice.isNormalUser = true;
    services.hive = {
      enable = true;
      operatorPronouns = "they/them";
      users = [ "alice" ];
      settings.new_agents = { runner = "command"; command = [ "sleep" "infinity" ]; };
    };
  };
  testScript = ''
    import json

    machine.wait_for_unit("hive.service")
    machine.wait_until_succeeds("hive list --json | grep -q '\"running\": *true'")
    assert "they/them" in machine.succeed("hive config")
    machine.succeed("hive spawn coder")
    rows = json.loads(machine.succeed("hive list --json"))
    assert [row["name"] for row in rows if row["running"]] == ["manager", "coder"], rows
    machine.succeed("su alice -c 'test -w /run/hive/host.sock'")
    machine.succeed("systemctl restart hive.service")
    machine.wait_for_unit("hive.service")
    assert machine.succeed("hive events --since 0 --json --kind container_crash").strip() == ""
    machine.succeed("systemctl start hive-vacuum.service")
  '';
}
