# Packages that are there in name only, and a builder that is /bin/sh.
{ system ? builtins.currentSystem, lib ? import ./lib }:
let
  build = name: script: derivation {
    inherit name system;
    builder = "/bin/sh";
    args = [ "-c" script ];
  };
  named = name: build name "/bin/mkdir -p $out/bin";
  # As `callPackage` has it: what a function asks for and is not given comes from here, and may be overridden.
  callPackage = file: given:
    let make = if builtins.isFunction file then file else import file; in
    make (builtins.intersectAttrs (builtins.functionArgs make) pkgs // given) // { override = more: callPackage file (given // more); };
  pkgs = {
    inherit build callPackage lib;
    git = named "git";
    bubblewrap = named "bubblewrap";
    util-linux = named "util-linux";
    nix = named "nix";
    nixos-container = named "nixos-container";
    jq = named "jq";
    socat = named "socat";
    mkShell = _: named "shell";
    testers.runNixOSTest = test: named test.name;
    writeText = builtins.toFile;
    python3 = { interpreter = "/usr/bin/python3"; };
    python3Packages = {
      python.sitePackages = "lib/python3/site-packages";
      buildPythonApplication = it: named it.pname // { asked = it; };
    } // builtins.listToAttrs (map (name: { inherit name; value = named name; })
      [ "setuptools" "typer" "rich" "pygit2" "plumbum" "sqlite-fts4" "bottle" "inotify-simple" "prometheus-client" "apprise" ]);
  };
in
pkgs
