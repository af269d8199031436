#!/usr/bin/env bash
# proxy.sh runs the configurations that docs/deployment.md gives for nginx and Caddy, word for word, in front of the
# built program, in name spaces of its own. Everything that is wrong with a proxy comes late, so a client looks.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
site=https://mess.example.org
client=198.51.100.7 # one client, and another one
other=198.51.100.8

server_starts() {
  ip addr add "$client/32" dev lo
  ip addr add "$other/32" dev lo
  HOST=127.0.0.1 PORT=3000 STORAGE_PATH=$work/data-$1 TRUSTED_PROXIES=127.0.0.1,::1 "$REPOSITORY/bin/mess-exchange" 2>"$work/server.log" &
  server=$!
  eventually "the server is ready" curl -sf http://127.0.0.1:3000/ready
}

# ask CURL-ARGUMENTS… as the first client; curl finds the site and its certificate in a file.
ask() { curl -sS --interface "$client" "$@"; }

settings_of_curl() {
  export CURL_HOME=$work/curl-$1
  mkdir -p "$CURL_HOME"
  printf 'resolve = "mess.example.org:443:127.0.0.1"\ncacert = "%s"\n' "$2" >"$CURL_HOME/.curlrc"
}

nginx_starts() {
  # /etc is covered by a copy in memory, which ends with the name space.
  mkdir -p "$work/etc"
  mount -t tmpfs tmpfs "$work/etc"
  mkdir "$work/etc"/{upper,work}
  mount -t overlay overlay -o "lowerdir=/etc,upperdir=$work/etc/upper,workdir=$work/etc/work" /etc
  mkdir -p /etc/ssl/mess.example.org
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=mess.example.org \
    -addext subjectAltName=DNS:mess.example.org -keyout /etc/ssl/mess.example.org/privkey.pem -out /etc/ssl/mess.example.org/fullchain.pem 2>/dev/null
  settings_of_curl nginx /etc/ssl/mess.example.org/fullchain.pem
  block docs/deployment.md nginx >"$work/site.conf"
  cat >"$work/nginx.conf" <<CONF
daemon off;
pid $work/nginx.pid;
error_log $work/nginx.log;
events {}
http {
  access_log off;
  include $work/site.conf;
}
CONF
  nginx -c "$work/nginx.conf" 2>>"$work/nginx.log" &
  proxy=$!
}

caddy_starts() {
  export XDG_DATA_HOME=$work/caddy XDG_CONFIG_HOME=$work/caddy
  settings_of_curl caddy "$work/caddy/caddy/pki/authorities/local/root.crt"
  { printf '{\n\tadmin off\n\tlocal_certs\n\tskip_install_trust\n}\n'; block docs/deployment.md caddy; } >"$work/Caddyfile"
  caddy run --config "$work/Caddyfile" --adapter caddyfile >"$work/caddy.log" 2>&1 &
  proxy=$!
}

# register ID prints its key.
register() {
  ask "$site/api/v1/exchanges/proxied/register" -H 'Content-Type: application/json' -d "{\"executor_id\": \"$1\"}" | jq -r .api_key
}

# post PATH BODY as the agent.
post() { ask "$site/api/v1/exchanges/proxied/$1" -H "Authorization: Bearer $key" -H 'Content-Type: application/json' -d "$2"; }

stream_comes_through() {
  curl -sSNi --interface "$client" "$site/api/v1/exchanges/proxied/events" -H "Authorization: Bearer $key" -H 'Accept: text/event-stream' >"$work/stream" &
  local stream=$!
  eventually "the stream opens" grep -q "^HTTP.* 200" "$work/stream"
  ref=$(post requests '{"intent": "Come through"}' | jq -r .ref)
  eventually "an event comes while the stream is open" grep -q 'Come through' "$work/stream"
  kill "$stream" || die "the stream ended by itself"
  wait "$stream" || true
}

waiting_read_comes_back() {
  local seq
  seq=$(ask "$site/api/v1/exchanges/proxied/requests/$ref" -H "Authorization: Bearer $key" | jq .thread.seq)
  curl -sS --interface "$client" -o "$work/waited" "$site/api/v1/exchanges/proxied/requests/$ref?wait=60s&since=$seq" -H "Authorization: Bearer $key" &
  local waiting=$!
  ask -o /dev/null -X PATCH "$site/api/v1/exchanges/proxied/requests/$ref" -H "Authorization: Bearer $key" \
    -H 'Content-Type: application/json' -d '{"status": "cancelled"}'
  wait "$waiting" || die "a read that waits was not answered"
  equal "status that a read waited for" "$(jq -r .thread.status "$work/waited")" cancelled
}

large_upload_comes_through() {
  head -c $((25 << 20)) /dev/zero >"$work/photo"
  ref=$(post requests '{"intent": "Take a large photo"}' | jq -r .ref)
  equal "status of an upload of 25 MiB" "$(ask -o "$work/uploaded" -w '%{http_code}' "$site/api/v1/exchanges/proxied/requests/$ref/attachments" \
    -H "Authorization: Bearer $key" -H 'Content-Type: image/jpeg' --data-binary @"$work/photo")" 201
}

# clients_are_told_apart wants one client to be refused after 300 wrong keys, whatever it writes into
# X-Forwarded-For, and the other one not to be.
clients_are_told_apart() {
  local wrong=mess_proxied_00000000000000000000000000000000 statuses
  statuses=$(for invented in 203.0.113.1 203.0.113.2; do
    ask -o /dev/null -w "%{http_code}\n" "$site/api/v1/exchanges/proxied/requests?try=[1-155]" -H "Authorization: Bearer $wrong" -H "X-Forwarded-For: $invented"
  done | sort | uniq -c | xargs)
  [[ $statuses =~ ^30[0-9]\ 401\ +[0-9]+\ 429$ ]] || die "310 calls with a wrong key from one client were answered: $statuses"
  statuses=$(curl -sS --interface "$other" -o /dev/null -w '%{http_code}' "$site/api/v1/exchanges/proxied/requests" -H "Authorization: Bearer $wrong")
  equal "status of a wrong key of another client" "$statuses" 401
}

behind() {
  server_starts "$1"
  "$1_starts"
  eventually "the server is ready behind $1" ask -f "$site/ready"
  walk "$site"
  key=$(register agent)
  stream_comes_through
  waiting_read_comes_back
  large_upload_comes_through
  clients_are_told_apart
  kill "$proxy" "$server"
  wait "$proxy" || true
  wait "$server"
  say "behind $1: all as it should be"
}

if [[ ${1:-} == --apart ]]; then
  work=$2
  behind "$3"
  exit
fi
need nginx caddy openssl curl jq unshare ip
[[ -x $REPOSITORY/bin/mess-exchange ]] || die "no bin/mess-exchange: run make build"
work=$(mktemp -d /tmp/mess-exchange-proxy-XXXXXX)
trap 'rm -rf "$work"' EXIT
for proxy in nginx caddy; do
  apart "$0" --apart "$work" "$proxy"
done
