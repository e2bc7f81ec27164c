"""What belongs to an agent on the disk and on the machine: folders, programs, ports."""
