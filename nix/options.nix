# The options of services.hive, and nothing else: docs/nix-options.md is generated from this file.
{ lib, ... }:
let
  inherit (lib) mkOption types;
  port = default: description: mkOption { type = types.port; inherit default description; };
  daily = description: mkOption { type = types.str; default = "daily"; inherit description; };
  # Not set unless somebody does.
  unset = type: more: mkOption ({ type = types.nullOr type; default = null; } // more);
in
{
  options.services.hive = {
    enable = mkOption {
      type = types.bool;
      default = false;
      description = "Whether hive runs on this machine: it brings up the agents, keeps watch, and serves the sockets and the status page.";
    };
    package = mkOption {
      type = types.package;
      description = "Which hive runs, and which one agents are built from. The flake's module sets it.";
    };
    extraPackages = mkOption {
      type = types.listOf types.package;
      default = [ ];
      description = "Programs that hive finds besides its own: the CLIs that agents run.";
    };
    operatorPronouns = mkOption {
      type = types.str;
      default = "she/her";
      example = "they/them";
      description = "How an agent's prompt speaks of you, from its next start on. Free text.";
    };
    users = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "alice" ];
      description = "Who may use the operator's socket, /run/hive/host.sock, besides root. Whoever may can do all that you can.";
    };
    ports = {
      manager = port 8000 "The manager's page.";
      page = port 7000 "The status page.";
      first = port 8100 "Where the ports of the other agents' pages begin.";
      count = mkOption {
        type = types.ints.between 1 60000;
        default = 900;
        description = "How many of those there are.";
      };
    };
    limits = {
      memory = unset types.str {
        example = "75%";
        description = "What hive and its agents may use together, as systemd's MemoryMax has it. An agent's own limit is in its agent.toml.";
      };
      tasks = unset types.ints.positive { description = "How many processes and threads they may have together."; };
      cpu = unset types.ints.positive {
        example = 4;
        description = "How many cores they may keep busy together.";
      };
    };
    agentModules = mkOption {
      type = types.listOf types.path;
      default = [ ];
      description = "NixOS modules that every agent's container imports, each a file, or a folder with a default.nix, that needs nothing beside it. They belong to what agents are built from: after a change `hive update --stale` rebuilds the agents.";
    };
    settings = mkOption {
      type = types.attrsOf types.anything;
      default = { };
      example = { new_agents.model = "opus"; };
      description = "Everything else of hive.toml (docs/settings.md).";
    };
    stopAgents = mkOption {
      type = types.bool;
      default = false;
      description = "Whether the agents end with the service. Otherwise they go on, unwatched, until it is there again.";
    };
    vacuum.at = daily "When what is too old is removed, as systemd's OnCalendar has it, also while hive.service is stopped; that does it every hour by itself.";
    backup = {
      folder = unset types.str {
        example = "/var/backups/hive";
        description = "Where backups are written, each into a folder of its date. Without one there are none.";
      };
      keep = mkOption {
        type = types.ints.positive;
        default = 14;
        description = "How many of them are kept.";
      };
      at = daily "When, as systemd's OnCalendar has it.";
    };
  };
}
