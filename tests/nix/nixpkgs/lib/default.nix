# As much of nixpkgs' lib as hive's modules need, judging them as it does: properties are pushed down to the options
# before priorities count, and a read-only option has one definition. tests/nix holds it against the real one.
let
  inherit (builtins) all attrNames attrValues concatLists concatMap concatStringsSep elem filter foldl' functionArgs head
    isAttrs isBool isFunction isInt isList isPath isString length listToAttrs map mapAttrs replaceStrings substring stringLength throw;
  property = type: it: isAttrs it && (it._type or null) == type;
  override = priority: content: { _type = "override"; inherit priority content; };
  show = concatStringsSep ".";

  # A set with properties around it as a list of plain sets, with the properties around what is in them.
  push = it:
    if property "merge" it then concatMap push it.contents
    else if property "if" it then map (mapAttrs (_: lib.mkIf it.condition)) (push it.content)
    else if property "override" it then map (mapAttrs (_: override it.priority)) (push it.content)
    else [ it ];
  # A definition as those that hold, each with its priority.
  held = it:
    if property "merge" it then concatMap held it.contents
    else if property "if" it then (if it.condition then held it.content else [ ])
    else if property "override" it then map (found: found // { inherit (it) priority; }) (held it.content)
    else [ { priority = 100; value = it; } ];
  merge = loc: type: definitions:
    let
      every = concatMap held definitions;
      first = foldl' (least: it: if it.priority < least then it.priority else least) 9999 every;
      values = map (it: it.value) (filter (it: it.priority == first) every);
      wrong = filter (value: !type.check value) values;
    in
    if wrong != [ ] then throw "A definition for option `${show loc}' is not of type `${type.name}'."
    else if values == [ ] then type.empty or (throw "The option `${show loc}' was accessed but has no value defined.")
    else type.merge loc values;
  value = loc: option: definitions:
    let every = (if option ? default then [ (lib.mkOptionDefault option.default) ] else [ ]) ++ definitions; in
    if option.readOnly or false && length every > 1 then
      throw "The option `${show loc}' is read-only, but it's set multiple times."
    else merge loc option.type every;

  # Every module with what it imports, each as { options, config }.
  unfold = args: it:
    let
      loaded = if isAttrs it || isFunction it then it else import it;
      module = if isFunction loaded then loaded args else loaded;
      config = module.config or (removeAttrs module [ "imports" "options" "_file" "key" ]);
    in
    concatMap (unfold args) (module.imports or [ ]) ++ [ { options = module.options or { }; inherit config; } ];
  named = name: sets: map (set: set.${name}) (filter (set: set ? ${name}) sets);
  names = sets: attrNames (foldl' (all: set: all // set) { } sets);
  fill = loc: declared: defined:
    let
      unknown = filter (name: !(elem name (names declared))) (names defined);
      one = name:
        let here = loc ++ [ name ]; options = named name declared; definitions = named name defined; in
        if !(property "option" (head options)) then fill here options (concatMap push definitions)
        else if length options > 1 then throw "The option `${show here}' is already declared."
        else value here (head options) definitions;
    in
    if unknown != [ ] then throw "The option `${show (loc ++ [ (head unknown) ])}' does not exist."
    else listToAttrs (map (name: { inherit name; value = one name; }) (names declared));

  type = name: check: more: { inherit name check; merge = loc: values:
    if all (it: it == head values) values then head values
    else throw "The option `${show loc}' has conflicting definition values."; } // more;
  between = low: high: type "integer between ${toString low} and ${toString high}" (it: isInt it && low <= it && it <= high) { };
  anything = type "anything" (_: true) {
    merge = loc: values: if all (it: isAttrs it && !(it ? outPath)) values then (lib.types.attrsOf anything).merge loc values
      else if isFunction (head values) then head values else (type "anything" (_: true) { }).merge loc values;
  };
  lib = {
    mkOption = it: it // { _type = "option"; };
    mkIf = condition: content: { _type = "if"; inherit condition content; };
    mkMerge = contents: { _type = "merge"; inherit contents; };
    mkForce = override 50;
    mkDefault = override 1000;
    mkOptionDefault = override 1500;
    mkOverride = override;
    evalModules = { modules, specialArgs ? { } }:
      let
        args = specialArgs // { inherit lib; inherit (result) config; };
        every = concatMap (unfold args) modules;
        result.config = fill [ ] (map (it: it.options) every) (concatMap (it: push it.config) every);
      in
      result;
    types = {
      inherit anything;
      bool = type "boolean" isBool { };
      str = type "string" isString { };
      lines = type "lines" isString { merge = _: concatStringsSep "\n"; };
      int = type "signed integer" isInt { };
      port = between 0 65535;
      ints = { inherit between; positive = type "positive integer" (it: isInt it && it > 0) { }; };
      path = type "path" (it: isPath it || (isString it && substring 0 1 it == "/")) { };
      package = type "package" (it: it ? outPath) { merge = _: head; };
      nullOr = of: type "null or ${of.name}" (it: it == null || of.check it)
        { merge = loc: values: if elem null values then null else of.merge loc values; };
      listOf = of: type "list of ${of.name}" isList
        { empty = [ ]; merge = loc: lists: map (it: merge loc of [ it ]) (concatLists lists); };
      attrsOf = of: type "attribute set of ${of.name}" isAttrs {
        empty = { };
        merge = loc: sets: let every = concatMap push sets; in lib.filterAttrs (_: it: it != [ ]) (listToAttrs (map (name:
          { inherit name; value = let defined = named name every; in
              if concatMap held defined == [ ] then [ ] else merge (loc ++ [ name ]) of defined; }) (names every)));
      };
      submodule = module: type "submodule" (it: isAttrs it || isFunction it)
        { merge = _: values: (lib.evalModules { modules = [ module ] ++ values; }).config; };
    };
    inherit concatLists concatStringsSep;
    filterAttrs = keep: set: listToAttrs (concatMap (name: if keep name set.${name} then [ { inherit name; value = set.${name}; } ] else [ ]) (attrNames set));
    mapAttrsToList = make: set: attrValues (mapAttrs make set);
    genAttrs = wanted: make: listToAttrs (map (name: { inherit name; value = make name; }) wanted);
    concatStrings = concatStringsSep "";
    optionalAttrs = condition: set: if condition then set else { };
    optionals = condition: list: if condition then list else [ ];
    optionalString = condition: text: if condition then text else "";
    imap0 = make: list: builtins.genList (place: make place (builtins.elemAt list place)) (length list);
    hasPrefix = prefix: text: substring 0 (stringLength prefix) text == prefix;
    removePrefix = prefix: text: if lib.hasPrefix prefix text then substring (stringLength prefix) (-1) text else text;
    splitString = separator: text: filter isString (builtins.split separator text);
    escapeShellArg = it: "'${replaceStrings [ "'" ] [ "'\\''" ] (toString it)}'";
    makeBinPath = packages: concatStringsSep ":" (map (package: "${package}/bin") packages);
    licenses.mit = { };
    platforms.linux = [ ];
    trivial.release = "26.11";
  };
in
lib
