# A NixOS as far as its modules: what is wrong is refused as NixOS does, and the system can be built.
{ lib, system, modules }:
let
  pkgs = import ../.. { inherit system lib; };
  toplevel = { config, ... }: {
    system.build.toplevel =
      let wrong = builtins.filter (it: !it.assertion) config.assertions; in
      if wrong != [ ] then throw "\nFailed assertions:\n${lib.concatStringsSep "\n" (map (it: "- ${it.message}") wrong)}"
      else pkgs.build "nixos-system-${config.networking.hostName}" ''
        /bin/mkdir $out
        printf '%s\n' ${lib.escapeShellArg (builtins.toJSON config.systemd.services)} > $out/services.json
        ${config.system.extraBuild}
      '';
  };
in
lib.evalModules { specialArgs = { inherit pkgs; }; modules = [ ../options.nix toplevel ] ++ modules; }
