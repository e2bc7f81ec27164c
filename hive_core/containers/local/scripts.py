"""The few lines of shell a container is started with; every argument is passed as such, nothing is pasted into them.

They run in the order OUTER, BUILD, INIT (the unshare form only), PROLOGUE, EXEC. Descriptor 3 is the start-up pipe:
it is closed by the program's exec, and whatever stays in between closes its own copy.
"""

# First child of a process that has unshared its pid namespace: pid 1 of the new one. $@ is BUILD. A shell gives what
# runs in the background /dev/null to read from; a human at a terminal has to be passed through by another number.
# It says how its child was killed, too, which is no word of the agent's.
OUTER = """\
exec 4<&0
"$@" <&4 4<&- & child=$!
exec 3>&- 4<&- 2>/dev/null
wait "$child"
"""

# $1 the folder to mount the root on, $2 the host name, then (kind, source, path) steps up to --, then what comes next.
# In a user namespace, flags a mount has already cannot be taken away by making it read-only (mount_namespaces(7)),
# so where a plain attempt fails, it is made with these flags spelled out. mount -n leaves no note in /run/mount.
BUILD = """\
set -eu
root=$1 name=$2
shift 2
say() { echo "hive: cannot $*" >&2; exit 125; }
flags() { findmnt --noheadings --first-only --output VFS-OPTIONS --mountpoint "$1"; }
show() {
    if [ -d "$1" ]; then mkdir -p "$2"; else mkdir -p "${2%/*}"; : >"$2"; fi
    mount -n -o "bind,nosuid,$3" "$1" "$2" 2>/dev/null ||
        mount -n -o "remount,bind,$(flags "$2"),nosuid,$3" "$2" || say "show $1"
}
empty() { mkdir -p "$2"; mount -n -t tmpfs -o "mode=$1,nosuid,nodev" hive "$2" || say "make $2"; }
empty 0755 "$root"
while [ "$1" != -- ]; do
    case $1 in
        ro) show "$2" "$root$3" ro,nodev ;;
        rw) show "$2" "$root$3" rw,nodev ;;
        link) ln -s "$2" "$root$3" ;;
        tmp) empty "$2" "$root$3" ;;
        dir) mkdir "$root$3" ;;
        hide) empty "$2" "$root$3"; mount -n -o remount,bind,ro,nosuid,nodev "$root$3" || say "hide $3" ;;
    esac
    shift 3
done
shift
mkdir "$root/proc" "$root/.old"
mount -n -t proc -o nosuid,nodev,noexec proc "$root/proc" || say "mount /proc"
for path in sys bus irq sysrq-trigger; do
    [ ! -e "$root/proc/$path" ] || mount -n -o bind,ro,nosuid,nodev,noexec "$root/proc/$path" "$root/proc/$path"
done
empty 0755 "$root/dev"
for path in null zero full random urandom tty; do
    : >"$root/dev/$path"
    mount -n --bind "/dev/$path" "$root/dev/$path" || say "show /dev/$path"
done
mkdir "$root/dev/pts"
mount -n -t devpts -o newinstance,ptmxmode=0666,mode=620,nosuid,noexec devpts "$root/dev/pts" || say "mount /dev/pts"
empty 1777 "$root/dev/shm"
for link in ptmx=pts/ptmx fd=/proc/self/fd stdin=/proc/self/fd/0 stdout=/proc/self/fd/1 stderr=/proc/self/fd/2; do
    ln -s "${link#*=}" "$root/dev/${link%%=*}"
done
hostname "$name" 2>/dev/null || :  # a nicety: the program may be missing
cd "$root"
pivot_root . .old || say "enter the root"
cd /
umount -n -l /.old || say "leave the machine's root"
rmdir /.old
mount -n -o remount,bind,ro,nosuid,nodev /dev && mount -n -o remount,bind,ro,nosuid,nodev / || say "make / read-only"
unset OLDPWD PWD  # where hive keeps its state
exec "$@"
"""

# Pid 1, already without privileges: reaps what is orphaned, ends with the program's code, and everything with it.
INIT = """\
exec 4<&0
"$@" <&4 4<&- & child=$!
exec 3>&- 4<&- 2>/dev/null
trap 'kill -TERM "$child" 2>/dev/null' TERM
while wait "$child"; code=$?; kill -0 "$child" 2>/dev/null; do :; done
exit "$code"
"""

# $1 the working folder, or . where it is that already and what lies above may not be searched; $2 the number of
# HIVE_<n> variables that each hold one NAME=value of the program's environment, then the command.
# A shell starts background commands with SIGINT and SIGQUIT ignored, and whoever started hive may ignore others, as
# nohup does: all undone here.
PROLOGUE = """\
ulimit -c 0
[ "$1" = . ] || cd "$1" || exit 125
count=$2
shift 2
while [ "$count" -gt 0 ]; do
    count=$((count - 1))
    eval "set -- \\"\\$HIVE_$count\\" \\"\\$@\\""
done
exec env -i --default-signal "$@"
"""

# Says x on descriptor 3, then x and the code if the program cannot be run. dash ends at a failing exec, after the
# trap; bash too, but without undoing the redirection, unless execfail is set. Both keep a closed descriptor as one
# that is closed on exec, so a program that runs has none.
EXEC = """\
shopt -s execfail 2>/dev/null
printf x >&3
trap 'printf %s "$?" >&3' EXIT
{ exec "$@"; } 3>&-
"""
