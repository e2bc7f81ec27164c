# The options of NixOS that hive's modules set, as freely as they are typed there.
{ lib, ... }:
let
  inherit (lib) mkOption types;
  free = default: mkOption { type = types.anything; inherit default; };
  sets = mkOption { type = types.attrsOf types.anything; default = { }; };
  list = of: mkOption { type = types.listOf of; default = [ ]; };
  service = types.submodule {
    options = {
      description = mkOption { type = types.str; };
      script = mkOption { type = types.lines; };
      path = list types.anything;
      wantedBy = list types.str;
      after = list types.str;
      serviceConfig = sets;
      unitConfig = sets;
    };
  };
  timer = types.submodule { options = { wantedBy = list types.str; timerConfig = sets; }; };
in
{
  options = {
    assertions = list types.anything;
    boot.isContainer = free false;
    boot.enableContainers = free false;
    networking.hostName = free "nixos";
    networking.firewall.enable = free true;
    networking.firewall.allowedTCPPorts = list types.port;
    fileSystems = sets;
    environment.variables = sets;
    system.stateVersion = free null;
    system.build = sets;
    # No option of NixOS: a test's builds do what it says.
    system.extraBuild = mkOption { type = types.lines; default = ""; };
    environment.systemPackages = list types.package;
    users.users = sets;
    users.groups = sets;
    programs.git.enable = free false;
    programs.git.config = mkOption { type = types.attrsOf (types.attrsOf types.anything); default = { }; };
    systemd.tmpfiles.rules = list types.str;
    systemd.services = mkOption { type = types.attrsOf service; default = { }; };
    systemd.timers = mkOption { type = types.attrsOf timer; default = { }; };
  };
}
