"""The backend for NixOS: each agent a container of nixos-container's, with a system that nix builds for it."""
