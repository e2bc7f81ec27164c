{
  description = "hive: a fleet of AI coding agents on your own machines";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs = { self, nixpkgs }:
    let
      systems = [ "x86_64-linux" "aarch64-linux" ];
      each = make: nixpkgs.lib.genAttrs systems (system: make nixpkgs.legacyPackages.${system});
      package = pkgs: pkgs.callPackage ./nix/package.nix { inherit nixpkgs; };
    in
    {
      packages = each (pkgs: { default = package pkgs; });

      nixosModules = {
        # services.hive
        default = { lib, pkgs, ... }: {
          imports = [ ./nix/module.nix ];
          services.hive.package = lib.mkDefault (package pkgs);
        };
        # What every agent's container imports.
        agent = ./nix/agent.nix;
      };

      lib.mkAgent = import ./nix/mk-agent.nix { inherit nixpkgs; harness = self; };

      devShells = each (pkgs: {
        default = pkgs.mkShell { packages = with pkgs; [ python3 git bubblewrap util-linux jq socat ]; };
      });

      checks = each (pkgs: {
        package = package pkgs;
        vm = pkgs.testers.runNixOSTest (import ./nix/vm-test.nix self.nixosModules.default);
      });
    };
}
