#!/usr/bin/env bash
# image.sh ARCHIVE builds deploy/docker/Dockerfile as it stands and writes the image, named mess-exchange:test, to
# ARCHIVE, in the form that `docker load` and `ctr images import` read. Needs root, buildah, busybox and Go.
#
# What the Dockerfile starts from can't be pulled where there is no registry, so a stand-in takes its name: busybox, the
# certificates of this machine, and its Go, which is mounted. Modules come over Go's proxy protocol from what this
# machine has downloaded, and are checked against go.sum, as in any build; so the build needs no network.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need buildah busybox go unshare ip
[[ $(ldd "$(command -v busybox)" 2>&1) == *"not a dynamic executable"* ]] || die "busybox is not a static program (Debian has it in busybox-static)"

if [[ ${1:-} != --apart ]]; then
  archive=$(realpath "${1:?usage: image.sh ARCHIVE}")
  (cd "$REPOSITORY" && go mod download)
  apart "$0" --apart "$archive"
  exit
fi
archive=$2

# Images of our own, so that nobody's are touched. Compiled packages are those of this machine: Go knows what is still good.
storage=$CACHE/buildah
compiled=$(go env GOCACHE)
mkdir -p "$storage" "$compiled"
images() { buildah --root "$storage/root" --runroot "$storage/run" --storage-driver overlay "$@"; }

# A lock, as two builds in one store would remove each other's images.
exec 9>"$storage/lock"
flock 9

golang=docker.io/library/golang:1.26 # what the short name in the Dockerfile stands for
goroot=$(readlink -f "$(go env GOROOT)")
downloads=$(go env GOMODCACHE)/cache/download

images rm --all >/dev/null
container=$(images from scratch)
mounted=$(images mount "$container")
mkdir -p "$mounted"/{bin,etc/ssl/certs,tmp,go,root,usr/local/go,downloads}
chmod 1777 "$mounted/tmp"
cp "$(command -v busybox)" "$mounted/bin/busybox"
for applet in sh mkdir cat; do ln -s busybox "$mounted/bin/$applet"; done
cp /etc/ssl/certs/ca-certificates.crt "$mounted/etc/ssl/certs/"
images config --env PATH=/usr/local/go/bin:/bin --env HOME=/root --env GOPATH=/go --env GOTOOLCHAIN=local \
  --env GOPROXY=file:///downloads --env GOFLAGS=-modcacherw "$container"
images commit -q "$container" "$golang" >/dev/null
images rm "$container" >/dev/null

say "building deploy/docker/Dockerfile"
# --format docker: the other one has no health checks.
images bud --quiet --pull-never --format docker --isolation chroot --network host --no-cache \
  -v "$goroot:/usr/local/go:ro" -v "$downloads:/downloads:ro" -v "$compiled:/root/.cache/go-build" \
  --build-arg VERSION=v0.0.0-test --build-arg REVISION=0123abc \
  -f "$REPOSITORY/deploy/docker/Dockerfile" -t mess-exchange:test "$REPOSITORY" >/dev/null
rm -f "$archive"
images push -q mess-exchange:test "docker-archive:$archive:mess-exchange:test"
images rmi --all --force >/dev/null
