# A NixOS as far as its modules: what is wrong is refused as NixOS does, and the system can be built.
{ lib, system, modules }:
let
  inherit (lib) concatStrings concatStringsSep escapeShellArg mapAttrsToList;
  pkgs = import ../.. { inherit system lib; };
  # A unit, with the script in a file of its own, and what has the container start it.
  unit = name: service:
    let
      file = "${builtins.placeholder "out"}/units/${name}";
      path = concatStrings (map (package: "${package}/bin:") service.path);
      more = { Environment = "PATH=${path}/usr/bin:/bin"; ExecStart = "/bin/sh -e ${file}.sh"; };
      text = section "Unit" service.unitConfig + section "Service" (service.serviceConfig // more);
    in ''
      printf %s ${escapeShellArg service.script} >${file}.sh
      printf %s ${escapeShellArg text} >${file}.service
      printf '[Unit]\nWants=${name}.service\n' >$out/units/multi-user.target.d/${name}.conf
    '';
  section = title: settings: "[${title}]\n${concatStrings (mapAttrsToList setting settings)}";
  setting = key: value: "${key}=${if builtins.isBool value then builtins.toJSON value else toString value}\n";
  toplevel = { config, ... }: {
    system.build.toplevel =
      let wrong = builtins.filter (it: !it.assertion) config.assertions; in
      if wrong != [ ] then throw "\nFailed assertions:\n${concatStringsSep "\n" (map (it: "- ${it.message}") wrong)}"
      else pkgs.build "nixos-system-${config.networking.hostName}" ''
        /bin/mkdir -p $out/units/multi-user.target.d
        printf '%s\n' ${escapeShellArg (builtins.toJSON config.systemd.services)} > $out/services.json
        ${concatStrings (mapAttrsToList unit config.systemd.services)}
        ${config.system.extraBuild}
      '';
  };
in
lib.evalModules { specialArgs = { inherit pkgs; }; modules = [ ../options.nix toplevel ] ++ modules; }
