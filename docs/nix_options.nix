# The options of services.hive as a list, for docs/generate.py.
let
  lib = import ../tests/nix/nixpkgs/lib;
  inherit (import ../nix/options.nix { inherit lib; }) options;
  list = name: it:
    if (it._type or null) == "option" then
      [ ({ inherit name; type = it.type.name; inherit (it) description; }
        // lib.filterAttrs (key: _: key == "default" || key == "example") it) ]
    else lib.concatLists (lib.mapAttrsToList (key: list "${name}.${key}") it);
in
list "services.hive" options.services.hive
