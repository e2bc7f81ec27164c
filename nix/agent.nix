# What every agent's container imports: the turn loop, git, and how programs are found. It runs what the agent.toml says,
# as the other backends of hive do; packages and options come from the agent's own agent.nix.
{ config, lib, pkgs, ... }:
let
  cfg = config.hive;
  inherit (lib) escapeShellArg mkDefault mkOption types;
  # Hive's alone: a second definition is refused by name, mkForce or not, and so is a second declaration.
  threaded = type: description: mkOption {
    type = type // { typeMerge = _: null; functor = type.functor or { } // { name = "hive's ${type.name}"; }; };
    inherit description;
    readOnly = true;
  };
  toml = builtins.fromTOML (builtins.readFile "${cfg.configuration}/agent.toml");
  turns = (toml.runner or "command") != "command";
  environment = {
    HIVE_LABEL = cfg.name;
    HIVE_ROLE = if cfg.manager then "manager" else "agent";
    HIVE_SOCKET = "/run/hive/agent.sock";
    HIVE_STATE = "/state";
    HIVE_CONFIG = "${cfg.configuration}/agent.toml";
    HIVE_PORT = toString cfg.port;
    HIVE_OPERATOR_PRONOUNS = cfg.pronouns;
    CLAUDE_CONFIG_DIR = "/claude";
    CODEX_HOME = "/codex";
    HOME = "/state";
  } // (if turns then { HIVE_PAGE_TOKEN_FD = "0"; } else toml.environment or { });
  exports = lib.mapAttrsToList (name: value: "export ${name}=${escapeShellArg value}\n") environment;
  harness = [ pkgs.python3.interpreter "-I" "-B" "${cfg.harness}/hive_agent" "run" ];
  command = lib.concatStringsSep " " (map escapeShellArg (if turns then harness else toml.command));
in
{
  options.hive = {
    name = threaded types.str "The agent's name.";
    port = threaded types.port "Where its page is served.";
    pronouns = threaded types.str "How its prompt speaks of the operator.";
    manager = threaded types.bool "Whether it looks after the others.";
    configuration = threaded types.str "Its repository, at the revision that is deployed.";
    harness = threaded types.str "The hive that it is built with, at the revision that is locked.";
  };

  config = {
    boot.isContainer = true;
    networking.hostName = mkDefault cfg.name;
    # It has the network of the machine, whose firewall holds.
    networking.firewall.enable = mkDefault false;
    system.stateVersion = mkDefault lib.trivial.release;

    # Hive chooses the users of the machine that the container's are, so that this one is the agent's.
    users.users.agent = { isNormalUser = true; uid = 1000; home = "/state"; createHome = false; };

    programs.git = {
      enable = true;
      config = {
        user.name = mkDefault cfg.name;
        user.email = mkDefault "${cfg.name}@hive";
      }
      # The applied repositories belong to another user, which git refuses unless told.
      // lib.optionalAttrs cfg.manager { safe.directory = mkDefault "*"; };
    };

    systemd.services.${if cfg.manager then "hive-manager" else "hive-agent"} = {
      description = "The turn loop of ${cfg.name}";
      wantedBy = [ "multi-user.target" ];
      # What agent.nix installs is found without a word here.
      path = [ "/run/current-system/sw" ];
      # In a file of its own: in Environment= systemd would expand what a value holds.
      # The shell stays, to tell by which signal it ended: of a program that systemd has itself it says 255 for all. What
      # ends them both it leaves to the program.
      script = lib.concatStrings exports + "trap : TERM\n${command} || exit $?";
      serviceConfig = {
        Type = "exec";
        User = "agent";
        WorkingDirectory = "/state";
        NoNewPrivileges = true;
        # What is over the limit of memory is killed, and nothing else.
        OOMPolicy = "continue";
      } // lib.optionalAttrs turns {
        # The page's key, which its programs cannot read there: only root can.
        StandardInput = "file:/run/credentials/@system/hive-page-key";
      };
      # As it ends, its container ends, with its exit code: hive decides what becomes of it.
      unitConfig = { SuccessAction = "exit"; FailureAction = "exit"; };
    };
  };
}
