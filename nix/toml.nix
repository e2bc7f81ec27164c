# The text of a TOML file: plain keys, then one table for each set, with what is nested deeper inline.
# JSON spells strings as TOML does, but for DEL.
{ lib }:
let
  delete = builtins.fromJSON ''"\u007f"'';
  string = text: builtins.replaceStrings [ delete ] [ "\\u007F" ] (builtins.toJSON text);
  value = it:
    if builtins.isString it then string it
    else if builtins.isList it then "[${lib.concatStringsSep ", " (map value it)}]"
    else if builtins.isAttrs it then "{${lib.concatStringsSep ", " (pairs it)}}"
    else builtins.toJSON it;
  pairs = set: lib.mapAttrsToList (name: it: "${string name} = ${value it}") (present set);
  present = lib.filterAttrs (_: it: it != null);
  split = wanted: lib.filterAttrs (_: it: builtins.isAttrs it == wanted);
  table = name: set: [ "" "[${string name}]" ] ++ pairs set;
  lines = list: lib.concatStringsSep "\n" list + "\n";
in
settings: lines (pairs (split false settings) ++ lib.concatLists (lib.mapAttrsToList table (split true settings)))
