"""A stand-in for the CLI's own login: prints what `claude auth login` prints, and takes the code as it does."""

from __future__ import annotations

from pathlib import Path

HOST = "claude.com"
LINK = (
    f"https://{HOST}/cai/oauth/authorize?code=true&client_id=fake&response_type=code"
    "&redirect_uri=https%3A%2F%2Fplatform.claude.com%2Foauth%2Fcode%2Fcallback&state=fake-state"
)
# $LOGIN_LINK: another link to show. $LOGIN_WAITS: a named pipe to wait at before a code is judged.
SCRIPT = r"""#!/bin/sh
[ "$1 $2" = "auth login" ] || exec sleep 1000
printf 'Opening browser to sign in…\n'
printf "If the browser didn't open, visit: %s\n" "${LOGIN_LINK-LINK}"
printf 'Paste code here if prompted > '
while :; do
    # At the end of its input it goes on waiting.
    read -r code || exec sleep 1000
    case $code in *?#?*) break ;; esac
    echo 'Invalid code. Please make sure the full code was copied.'
done
[ -z "${LOGIN_WAITS-}" ] || { echo "checking $code" >"$LOGIN_WAITS"; read -r go <"$LOGIN_WAITS.go"; }
case $code in
    right#*) ;;
    empty#*) exit 0 ;;
    *) printf 'Login failed: \033[31mRequest failed with status code 400\033[0m\n'; exit 1 ;;
esac
umask 077
printf '{"claudeAiOauth":{"accessToken":"fake-%s","refreshToken":"fake"}}' "$$" >"$CLAUDE_CONFIG_DIR/new"
mv "$CLAUDE_CONFIG_DIR/new" "$CLAUDE_CONFIG_DIR/.credentials.json"
echo 'Login successful.'
"""


def install(folder: Path) -> Path:
    """Put the stand-in there, as `claude`."""
    folder.mkdir(exist_ok=True)
    program = folder / "claude"
    program.write_text(SCRIPT.replace("-LINK}", f"-{LINK}}}"))
    program.chmod(0o755)
    return program
