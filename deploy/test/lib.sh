# shellcheck shell=bash
# What the tests of the deployments share; to be sourced. Each of them says on stderr what it looks at and
# ends with the first thing that is not as it should be.
set -euo pipefail

REPOSITORY=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# Programs and images that are worth keeping between runs lie here.
# shellcheck disable=SC2034
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/mess-exchange/deploy

# say tells what is next, and how many seconds the script has run for.
say() { printf '%5d s  %s\n' "$SECONDS" "$*" >&2; }

die() {
  echo "FAILED: $*" >&2
  exit 1
}

# need fails where a program is missing. A test that can't be run is never skipped.
need() {
  local program missing=()
  for program in "$@"; do
    command -v "$program" >/dev/null || missing+=("$program")
  done
  ((${#missing[@]} == 0)) || die "not installed: ${missing[*]} (.ci/run installs what the tests need, on Debian)"
}

# equal WHAT GOT WANT
equal() { [[ $2 == "$3" ]] || die "$1: got '$2', want '$3'"; }

# eventually WHAT COMMAND… runs the command until it succeeds, for a minute at most.
eventually() {
  local what=$1 limit=$((SECONDS + 60))
  shift
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < limit)) || die "$what: not within a minute: $*"
    sleep 0.1
  done
}

# block PAGE NAME [LANGUAGE] prints the blocks of a page that follow a line <!-- e2e: NAME -->.
block() {
  local text
  text=$(awk -v mark="<!-- e2e: $2 -->" '
    $0 == mark { marked = 1; next }
    marked && /^```/ { inside = !inside; if (!inside) marked = 0; next }
    marked && inside
  ' "$REPOSITORY/$1")
  [[ -n $text ]] || die "$1 has no block after a line <!-- e2e: $2 -->"
  echo "$text"
}

# walk URL pastes the commands of the README into a shell, with that server for http://localhost:3000, and looks at
# what the last read of the thread printed.
walk() {
  local printed
  printed=$(bash -c "set -euo pipefail; $(block README.md walk | sed "s,http://localhost:3000,$1,g")") || die "the walk of the README ended early: $printed"
  jq -se 'map(select(.thread)) | last.thread | .status == "completed" and (.messages | length) == 2' <<<"$printed" >/dev/null ||
    die "the walk of the README printed no completed thread with two messages: $printed"
  jq -se 'any(.[]; has("error")) | not' <<<"$printed" >/dev/null || die "the walk of the README printed an error: $printed"
}

# apart runs a command in mount, network, process and host name spaces of its own: it has no network, and when
# it ends the kernel ends its processes and undoes its mounts, bridges and firewall rules.
apart() {
  unshare --mount --net --pid --uts --fork --mount-proc --kill-child --propagation private \
    bash -c 'ip link set lo up && "$@"; exit $?' apart "$@"
}

# s3_program prints where the S3 server of the other tests is, built the way they do it, with the version that the compose file names.
s3_program() {
  local version folder
  version=$(sed -n 's/^\tversion = "\(.*\)"$/\1/p' "$REPOSITORY/internal/bucket/s3test/server.go")
  grep -qF "versity/versitygw:$version}" "$REPOSITORY/deploy/docker/docker-compose.yml" || die "the compose file does not name versitygw $version, which the tests run"
  folder=$(dirname "$CACHE")/versitygw-$version
  mkdir -p "$folder"
  (
    flock 9
    [[ -x $folder/versitygw ]] || (cd "$work" && GOFLAGS='' GOBIN=$folder go install "github.com/versity/versitygw/cmd/versitygw@$version")
  ) 9>"$folder/lock"
  echo "$folder/versitygw"
}

# with_libraries PROGRAM FOLDER copies a program and what it is linked with.
with_libraries() {
  local library
  mkdir -p "$2/usr/bin" "$2/etc" "$2/tmp"
  cp "$1" "$2/usr/bin/"
  { ldd "$1" 2>/dev/null || true; } | grep -o '/[^ ]*' | while read -r library; do
    mkdir -p "$2$(dirname "$library")"
    cp -L "$library" "$2$library"
  done
}
