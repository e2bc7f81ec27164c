# services.hive: hive on a NixOS machine. How the operator wants it goes into hive.toml, which every process of hive
# reads, whoever started it. Commands stand in `script`, a file that a shell reads: systemd expands nothing in it, as it
# would in ExecStart and Environment.
{ config, lib, pkgs, ... }:
let
  cfg = config.services.hive;
  hive = if cfg.agentModules == [ ] then cfg.package else cfg.package.override { inherit (cfg) agentModules; };
  program = "${hive}/bin/hive";
  said = { pronouns = cfg.operatorPronouns; inherit (cfg) ports; };
  toml = pkgs.writeText "hive.toml" (import ./toml.nix { inherit lib; } (cfg.settings // said));
  last = cfg.ports.first + cfg.ports.count - 1;
  among = port: cfg.ports.first <= port && port <= last;
  hidden = builtins.filter (key: cfg.settings ? ${key}) (builtins.attrNames said);
  containers = (cfg.settings.backend or "local") == "nixos";
  unknown = builtins.filter (name: !(config.users.users ? ${name})) cfg.users;

  # What holds for hive and all that it runs. Left out on purpose is what breaks agents: MemoryDenyWriteExecute,
  # RestrictSUIDSGID, ProtectHostname, PrivateUsers, ProtectControlGroups.
  hardening = {
    NoNewPrivileges = true;
    ProtectSystem = "strict";
    ProtectHome = true;
    PrivateTmp = true;
    PrivateDevices = true;
    PrivateIPC = true;
    ProtectKernelTunables = true;
    ProtectKernelModules = true;
    ProtectKernelLogs = true;
    ProtectClock = true;
    ProtectProc = "invisible";
    LockPersonality = true;
    RestrictRealtime = true;
    RestrictNamespaces = "mnt pid ipc uts cgroup";
    RestrictAddressFamilies = "AF_UNIX AF_INET AF_INET6 AF_NETLINK";
    SystemCallArchitectures = "native";
    SystemCallFilter = "@system-service @mount sethostname seccomp";
    SystemCallErrorNumber = "EPERM";
    StateDirectory = "hive";
    StateDirectoryMode = "0700";
    ReadWritePaths = [ "/run/hive" ] ++ lib.optionals containers [
      "-/etc/nixos-containers" "-/var/lib/nixos-containers" "-/nix/var" "-/run/systemd/system"
    ];
    UMask = "0022";
  };
  limits = lib.filterAttrs (_: limit: limit != null) {
    MemoryMax = cfg.limits.memory;
    TasksMax = cfg.limits.tasks;
    CPUQuota = if cfg.limits.cpu == null then null else "${toString (cfg.limits.cpu * 100)}%";
  };
  path = [ pkgs.git pkgs.bubblewrap pkgs.util-linux ]
    ++ lib.optionals containers [ pkgs.nix pkgs.nixos-container ] ++ cfg.extraPackages;
  # The daemon's builds are kept apart from the machine, and from whoever asks for them.
  command = lib.optionalString containers "export NIX_REMOTE=daemon\n" + "exec ${program}";
  # A timer's unit: one command of hive's to its end.
  once = description: script: {
    inherit description path script;
    after = [ "hive.service" ];
    serviceConfig = hardening // { Type = "oneshot"; };
  };
  timer = at: {
    wantedBy = [ "timers.target" ];
    timerConfig = { OnCalendar = at; Persistent = true; RandomizedDelaySec = "5min"; };
  };
in
{
  imports = [ ./options.nix ];

  config = lib.mkMerge [
    { services.hive.package = lib.mkOptionDefault (pkgs.callPackage ./package.nix { }); }
    (lib.mkIf cfg.enable {
      assertions = [
        {
          assertion = last <= 65535;
          message = "services.hive.ports leads to port ${toString last}; the last port is 65535. Take a smaller first or count.";
        }
        {
          assertion = cfg.ports.manager != cfg.ports.page && !(among cfg.ports.manager) && !(among cfg.ports.page);
          message = "services.hive.ports: the manager's page, the status page and the agents' pages cannot share a port. Move one of them.";
        }
        {
          assertion = hidden == [ ];
          message = "services.hive.settings holds ${lib.concatStringsSep " and " hidden}, which options of services.hive say: operatorPronouns and ports. Set those instead.";
        }
        {
          assertion = unknown == [ ];
          message = "services.hive.users names ${lib.concatStringsSep ", " unknown}, who is no user of this machine. Declare them in users.users, or leave them out.";
        }
        {
          assertion = cfg.backup.folder == null || lib.hasPrefix "/" cfg.backup.folder;
          message = "services.hive.backup.folder is no absolute path. Give one, such as /var/backups/hive.";
        }
      ];

      environment.systemPackages = [ hive ];
      boot.enableContainers = lib.mkIf containers true;
      users.groups.hive.members = cfg.users;
      systemd.tmpfiles.rules = [
        "d /var/lib/hive 0700 root root -"
        "L+ /var/lib/hive/hive.toml - - - - ${toml}"
        # Who makes a file in it gives it to the group: the operator's socket has mode 0660.
        "d /run/hive 2755 root hive -"
      ];

      systemd.services = {
        hive = {
          description = "hive, a fleet of AI coding agents";
          wantedBy = [ "multi-user.target" ];
          after = [ "network.target" ];
          inherit path;
          script = "${command} up" + lib.optionalString cfg.stopAgents " --stop";
          serviceConfig = hardening // limits // {
            Type = "notify";
            NotifyAccess = "main";
            WatchdogSec = "5min";
            Restart = "on-failure";
            RestartSec = 5;
            # Told to end before it can say how.
            SuccessExitStatus = 130;
            # Limits on this unit bind the agents: their groups stand below its own, beside hive's.
            Delegate = "memory pids cpu";
            DelegateSubgroup = "hive";
            # Agents end gracefully, or outlive the service, which a restart of it is no reason to end.
            KillMode = if cfg.stopAgents then "mixed" else "process";
            TimeoutStopSec = "5min";
            # The agent that took too much ends; hive and the others go on.
            OOMPolicy = "continue";
          };
        };
        hive-vacuum = once "Remove what hive has kept long enough" "${command} vacuum";
        hive-backup = lib.mkIf (cfg.backup.folder != null) (
          let backup = once "Back up hive" ''
            umask 077
            mkdir -p ${lib.escapeShellArg cfg.backup.folder}
            exec ${program} backup ${lib.escapeShellArg cfg.backup.folder} --keep ${toString cfg.backup.keep}
          '';
          # Any folder will do, also below a home, and it may have to be made.
          in backup // { serviceConfig = removeAttrs backup.serviceConfig [ "ProtectSystem" "ProtectHome" "ReadWritePaths" ]; }
        );
      };
      systemd.timers = {
        hive-vacuum = timer cfg.vacuum.at;
        hive-backup = lib.mkIf (cfg.backup.folder != null) (timer cfg.backup.at);
      };
    })
  ];
}
