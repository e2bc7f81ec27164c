# The nixpkgs that agents are built from: what the package of hive was built with, else what the flake of hive locks.
let
  lock = builtins.fromJSON (builtins.readFile ../flake.lock);
in
if builtins.pathExists ./nixpkgs.json then
  builtins.fetchTree (builtins.fromJSON (builtins.readFile ./nixpkgs.json))
else if builtins.pathExists ../flake.lock then
  builtins.fetchTree lock.nodes.${lock.nodes.${lock.root}.inputs.nixpkgs}.locked
else
  throw "This hive names no nixpkgs to build agents from: install it by its flake, or commit the flake.lock that `nix flake lock` writes into its checkout."
