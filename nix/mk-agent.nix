# The NixOS system of one agent. `source` is its repository, whose flake.nix is called with `self` alone: what an agent
# is built from besides is decided by hive's own lock.
{ nixpkgs ? import ./pinned.nix, harness ? ../. }:
{ name, source, system, port, pronouns, manager ? false }:
let
  own = import (source + "/flake.nix");
  foreign = builtins.filter (input: input != "self") (
    builtins.attrNames (own.inputs or { }) ++ builtins.attrNames (builtins.functionArgs own.outputs)
  );
  outputs = own.outputs { self = outputs // { outPath = "${source}"; }; };
  module =
    if !builtins.pathExists (source + "/flake.nix") then
      if builtins.pathExists (source + "/agent.nix") then source + "/agent.nix" else { }
    else if foreign != [ ] then
      throw "The flake.nix of ${name} asks for the input ${builtins.head foreign}: an agent's configuration has no inputs of its own."
    else outputs.nixosModules.default;
  everybodys = if builtins.pathExists ./modules then builtins.readDir ./modules else { };
in
import (nixpkgs + "/nixos/lib/eval-config.nix") {
  inherit system;
  lib = import (nixpkgs + "/lib");
  modules = [
    ./agent.nix
    { hive = { inherit name port pronouns manager; configuration = "${source}"; harness = "${harness}"; }; }
    module
  ] ++ map (file: ./modules + "/${file}") (builtins.attrNames everybodys);
}
