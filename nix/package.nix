# hive, with what agents are built from beside its modules: nix/, the nixpkgs it was built with, and the modules that
# every agent imports. Beside them it finds what a checkout has, too.
{ lib, python3Packages, git, bubblewrap, util-linux, nixpkgs ? null, agentModules ? [ ] }:
let
  version = builtins.head (builtins.match ".*__version__ = \"([^\"]+)\".*" (builtins.readFile ../hive_core/__init__.py));
  rooms = [ "hive_agent" "hive_cmds" "hive_core" "hive_faces" "hive_fleet" "status_page" ];
  wanted = rooms ++ [ "nix" "flake.nix" "pyproject.toml" "README.md" "LICENSE" ];
  pinned = builtins.toJSON { type = "path"; path = "${nixpkgs}"; inherit (nixpkgs) narHash; };
  copy = place: module: ''cp -r --no-preserve=mode ${module} "$files/nix/modules/${toString (100 + place)}"'';
in
python3Packages.buildPythonApplication {
  pname = "hive";
  inherit version;
  pyproject = true;
  src = builtins.path {
    name = "hive-source";
    path = ../.;
    filter = path: _: builtins.elem (builtins.head (lib.splitString "/" (lib.removePrefix "${toString ../.}/" path))) wanted;
  };
  build-system = [ python3Packages.setuptools ];
  dependencies = with python3Packages; [ typer rich pygit2 plumbum sqlite-fts4 bottle inotify-simple prometheus-client apprise ];
  # A newer one works; its commands only start more slowly.
  pythonRelaxDeps = [ "typer" ];
  makeWrapperArgs = [ "--prefix" "PATH" ":" (lib.makeBinPath [ git bubblewrap util-linux ]) ];
  postInstall = ''
    files=$out/${python3Packages.python.sitePackages}
    cp -r --no-preserve=mode nix flake.nix "$files"
  '' + lib.optionalString (nixpkgs != null) ''
    printf %s ${lib.escapeShellArg pinned} > "$files/nix/nixpkgs.json"
  '' + lib.optionalString (agentModules != [ ]) ''
    mkdir "$files/nix/modules"
    ${lib.concatStringsSep "\n" (lib.imap0 copy agentModules)}
  '';
  doCheck = false;
  meta = {
    description = "A fleet of AI coding agents on your own machines";
    license = lib.licenses.mit;
    mainProgram = "hive";
    platforms = lib.platforms.linux;
  };
}
