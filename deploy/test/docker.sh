#!/usr/bin/env bash
# docker.sh builds the image, runs it hardened, and runs the compose file in both ways that it knows, on a Docker
# Engine in name spaces of its own. COMPOSE is the program that reads the file, docker-compose unless set.
# `docker.sh ARCHIVE` takes an image that image.sh wrote instead of building one.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
compose_program=${COMPOSE:-docker-compose}
compose_file=$REPOSITORY/deploy/docker/docker-compose.yml
url=http://127.0.0.1:3000

# image_of NAME FOLDER ENTRYPOINT makes an image from a folder.
image_of() { tar --xattrs -C "$2" -c . | docker import --change "ENTRYPOINT $3" - "$1" >/dev/null; }

# stand_ins makes what can't be pulled where there is no registry: under the very names of the compose file.
stand_ins() {
  with_libraries "$s3" "$work/s3"
  mkdir -p "$work/s3/buckets"
  image_of "$(named versity/versitygw)" "$work/s3" '["versitygw"]'

  with_libraries "$(command -v caddy)" "$work/caddy"
  mkdir -p "$work/caddy/etc/caddy"
  setcap cap_net_bind_service=+ep "$work/caddy/usr/bin/caddy" # as in the image of that name
  image_of "$(named caddy)" "$work/caddy" '[]'

  # The Dockerfile itself was built with a real Go. This one only has to hand over what that one made.
  local golang=$work/golang container
  mkdir -p "$golang"/{bin,etc/ssl/certs}
  container=$(docker create mess-exchange:test)
  docker cp -q "$container:/bin/mess-exchange" "$golang/prebuilt" 2>/dev/null || docker cp "$container:/bin/mess-exchange" "$golang/prebuilt"
  docker rm -v "$container" >/dev/null
  cp "$(command -v busybox)" "$golang/bin/busybox"
  for applet in sh mkdir cp; do ln -s busybox "$golang/bin/$applet"; done
  cp /etc/ssl/certs/ca-certificates.crt "$golang/etc/ssl/certs/"
  cat >"$golang/bin/go" <<'GO'
#!/bin/sh
[ "$1" = build ] || exit 0
[ -f cmd/mess-exchange/main.go ] || exit 1
while [ "$1" != -o ]; do shift; done
mkdir -p "${2%/*}" && cp /prebuilt "$2"
GO
  chmod +x "$golang/bin/go"
  image_of "$(named golang)" "$golang" '[]'
}

# named REPOSITORY is how the compose file calls an image of it.
named() { grep -oE ":-$1:[^}]+" "$compose_file" | head -1 | cut -c3-; }

# about FORMAT WANT looks at the image.
about() { equal "image $1" "$(docker image inspect -f "$1" mess-exchange:test)" "$2"; }

image_is_right() {
  local size container
  size=$(docker image inspect -f '{{.Size}}' mess-exchange:test)
  say "the image has $size bytes"
  ((size <= 40000000)) || die "the image has $size bytes, more than 40 MB"
  about '{{.Config.User}}' 65532:65532
  about '{{json .Config.Entrypoint}}' '["/bin/mess-exchange"]'
  about '{{json .Config.Volumes}}' '{"/data":{}}'
  about '{{json .Config.ExposedPorts}}' '{"3000/tcp":{}}'
  about '{{json .Config.Healthcheck.Test}}' '["CMD","/bin/mess-exchange","health"]'
  about '{{index .Config.Labels "org.opencontainers.image.version"}}' v0.0.0-test
  about '{{index .Config.Labels "org.opencontainers.image.revision"}}' 0123abc
  about '{{index .Config.Labels "org.opencontainers.image.source"}}' https://github.com/mess-exchange/mess-exchange
  about '{{index .Config.Labels "org.opencontainers.image.licenses"}}' Apache-2.0
  equal "version in the image" "$(docker run --rm mess-exchange:test --version)" "$(docker run --rm --entrypoint mess-exchange mess-exchange:test --version)"
  docker run --rm mess-exchange:test --version | grep -qF v0.0.0-test || die "the program in the image does not know its version"

  container=$(docker create mess-exchange:test)
  # Everything else is what Docker puts into any container.
  equal "files in the image" "$(docker export "$container" | tar -t | grep -vE '^(dev|proc|sys)/|^etc/(hosts|hostname|resolv.conf|mtab)$|^.dockerenv$|/$' | sort | xargs)" \
    "LICENSE bin/mess-exchange etc/ssl/certs/ca-certificates.crt"
  docker cp "$container:/etc/ssl/certs/ca-certificates.crt" - | tar -xO | cmp - /etc/ssl/certs/ca-certificates.crt || die "other certificates than those of the build stage"
  docker cp "$container:/bin/mess-exchange" - | tar -xO >"$work/program"
  docker rm -v "$container" >/dev/null
  go version -m "$work/program" >"$work/build-info"
  for setting in -tags=grpcnotrace CGO_ENABLED=0 -trimpath=true; do
    grep -qE "build[[:space:]]+$setting\$" "$work/build-info" || die "the program in the image was not built with $setting: $(grep build "$work/build-info")"
  done
  grep -qE 'dep[[:space:]]+gocloud.dev[[:space:]]' "$work/build-info" || die "the program in the image does not say of which modules it was made"
}

# time_zones wants a zone to be known where the image has no file of it.
time_zones() {
  local key profile='{"preferences": {"quiet_hours": {"enabled": true, "start": "22:00", "end": "07:00", "timezone": "ZONE"}}}'
  key=$(curl -sS "$url/api/v1/exchanges/zones/register" -H 'Content-Type: application/json' -d '{"executor_id": "clock"}' | jq -r .api_key)
  for case in Europe/Berlin:200 Europe/Atlantis:400; do
    equal "status for ${case%:*}" "$(curl -sS -o /dev/null -w '%{http_code}' -X PATCH "$url/api/v1/exchanges/zones/executors/clock" \
      -H "Authorization: Bearer $key" -H 'Content-Type: application/json' -d "${profile/ZONE/${case%:*}}")" "${case#*:}"
  done
}

ready() { curl -sf "$url/ready"; }

image_runs_hardened() {
  local container status
  container=$(docker run -d --read-only --cap-drop ALL --security-opt no-new-privileges --memory 128m --pids-limit 64 \
    --health-interval 1s -p 127.0.0.1:3000:3000 mess-exchange:test)
  eventually "the container is ready" ready
  walk "$url"
  time_zones
  eventually "the container is healthy" healthy "$container"
  status=/proc/$(docker inspect -f '{{.State.Pid}}' "$container")/status
  equal "user and group" "$(awk '/^[UG]id:/ {print $2, $3, $4, $5}' "$status" | xargs)" "65532 65532 65532 65532 65532 65532 65532 65532"
  equal "capabilities" "$(awk '/^Cap(Eff|Prm|Bnd):/ {print $2}' "$status" | xargs)" "0000000000000000 0000000000000000 0000000000000000"
  docker restart -t 15 "$container" >/dev/null
  eventually "the container is ready again" ready
  docker stop -t 15 "$container" >/dev/null
  equal "exit status after docker stop" "$(docker inspect -f '{{.State.ExitCode}}' "$container")" 0
  docker rm -v "$container" >/dev/null
}

healthy() { [[ $(docker inspect -f '{{.State.Health.Status}}' "$1") == healthy ]]; }

compose() { "$compose_program" -f "$compose_file" "$@" >>"$work/compose.log" 2>&1 || die "compose $*: $(tail -20 "$work/compose.log")"; }

# container SERVICE is its id.
container() { "$compose_program" -f "$compose_file" --profile s3 ps -q "$1"; }

# address SERVICE is where it is reached from outside of Docker's networks: on this machine, they all are.
address() { docker inspect -f '{{range $name, $net := .NetworkSettings.Networks}}{{$name}} {{$net.IPAddress}}{{"\n"}}{{end}}' "$(container "$1")" | awk '/_front/ {print $2}'; }

running() { docker ps --format '{{.Label "com.docker.compose.service"}}' | sort | xargs; }

# remember registers somebody and asks for something; remembered wants that to be there, at a URL.
remember() {
  key=$(curl -sS "$url/api/v1/exchanges/memory/register" -H 'Content-Type: application/json' -d '{"executor_id": "agent"}' | jq -r .api_key)
  ref=$(curl -sS "$url/api/v1/exchanges/memory/requests" -H "Authorization: Bearer $key" -H 'Content-Type: application/json' -d '{"intent": "Remember"}' | jq -r .ref)
}
remembered() {
  equal "intent of the thread at $1" "$(curl -sS "$1/api/v1/exchanges/memory/requests/$ref" -H "Authorization: Bearer $key" | jq -r .thread.intent)" Remember
}

compose_default() {
  say "compose: one exchange and a volume"
  compose up -d # as in the documentation: the image is built, as there is none of that name
  eventually "the exchange is ready" ready
  equal "running services" "$(running)" mess-exchange
  walk "$url"
  remember
  compose restart
  eventually "the exchange is ready again" ready
  remembered "$url"
  compose down
  equal "what runs after down" "$(running)" ""
  compose up -d
  eventually "the exchange is ready after down and up" ready
  remembered "$url"
  compose down -v
}

compose_s3() {
  say "compose: two replicas on an S3 server, behind a balancer"
  compose --profile s3 up -d balancer
  eventually "the balancer sends requests to a replica" ready
  equal "running services" "$(running)" "balancer replica-1 replica-2 store"
  walk "$url"
  remember
  for replica in replica-1 replica-2; do
    eventually "$replica is ready" curl -sf "http://$(address $replica):3000/ready"
    remembered "http://$(address $replica):3000"
  done
  balancer_streams
  one_replica_stops
  compose --profile s3 restart
  eventually "the replicas are ready again" ready
  remembered "$url"
  compose --profile s3 down
  equal "what runs after down" "$(running)" ""
  compose --profile s3 up -d balancer
  eventually "the replicas are ready after down and up" ready
  remembered "$url"
  compose --profile s3 down -v
}

# balancer_streams wants an event on a stream while the stream is open.
balancer_streams() {
  curl -sSNi "$url/api/v1/exchanges/memory/events" -H "Authorization: Bearer $key" -H 'Accept: text/event-stream' >"$work/stream" 2>/dev/null &
  local stream=$!
  eventually "the stream opens" grep -q "^HTTP.* 200" "$work/stream"
  curl -sS -o /dev/null "$url/api/v1/exchanges/memory/requests" -H "Authorization: Bearer $key" -H 'Content-Type: application/json' -d '{"intent": "Come through"}'
  eventually "an event comes through the balancer" grep -q 'Come through' "$work/stream"
  kill "$stream" || die "the stream ended by itself"
  wait "$stream" || true
}

# one_replica_stops wants every request to be answered while a replica goes and is away.
one_replica_stops() {
  local replica stopping statuses
  replica=$(container replica-1)
  docker stop -t 15 "$replica" >/dev/null &
  stopping=$!
  statuses=$(curl -sS -o /dev/null -w '%{http_code}\n' "$url/api/v1/exchanges/memory/requests/$ref?try=[1-200]" -H "Authorization: Bearer $key" | sort | uniq -c | xargs)
  equal "200 reads while a replica stops" "$statuses" "200 200"
  wait "$stopping"
  statuses=$(curl -sS -o /dev/null -w '%{http_code}\n' "$url/api/v1/exchanges/memory/requests/$ref?try=[1-50]" -H "Authorization: Bearer $key" | sort | uniq -c | xargs)
  equal "50 reads while a replica is away" "$statuses" "50 200"
  docker start "$replica" >/dev/null
}

# confess shows, after a failure, the last words of each container.
confess() {
  local container
  for container in $(docker ps -aq); do
    docker ps -a --filter "id=$container" --format '== {{.Names}}: {{.Status}}'
    docker logs --tail 5 "$container" 2>&1
  done >&2
}

inside() {
  mkdir -p "$work/run"
  mount -t tmpfs tmpfs "$work/run"
  export DOCKER_HOST=unix://$work/run/docker.sock
  dockerd --data-root "$work/docker" --cgroup-parent "/${work##*/}" --exec-root "$work/run/exec" -p "$work/run/pid" -H "$DOCKER_HOST" >"$work/dockerd.log" 2>&1 &
  eventually "dockerd answers ($(tail -3 "$work/dockerd.log"))" docker info
  docker load -q -i "$archive" >/dev/null
  trap '(($? == 0)) || confess' EXIT
  say "the image itself"
  image_is_right
  say "the image run with nothing that it does not need"
  image_runs_hardened
  stand_ins
  compose_default
  compose_s3
  say "docker: all as it should be"
}

# clean removes what outlives the name spaces: the folder, and the empty control groups that are called after it.
clean() {
  find /sys/fs/cgroup -depth -type d -path "*/${work##*/}*" -exec rmdir {} \; 2>/dev/null || true
  rm -rf "$work"
}

if [[ ${1:-} == --apart ]]; then
  work=$2 archive=$3 s3=$4
  inside
  exit
fi
need dockerd runc iptables "$compose_program" caddy setcap busybox curl jq go tar unshare ip
work=$(mktemp -d /tmp/mess-exchange-docker-XXXXXX)
trap clean EXIT
archive=${1:-$work/image.tar}
[[ -n ${1:-} ]] || "$(dirname "$0")/image.sh" "$archive"
s3=$(s3_program)
apart "$0" --apart "$work" "$archive" "$s3"
