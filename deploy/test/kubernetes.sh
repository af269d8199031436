#!/usr/bin/env bash
# kubernetes.sh installs the chart deploy/helm on a real Kubernetes of one node, which runs in name spaces of its own,
# and looks at what becomes of it: on a volume and on a bucket, while pods are killed and replaced under load.
# `kubernetes.sh ARCHIVE` takes an image that image.sh wrote instead of building one. `kubernetes.sh --tools` only
# builds the programs of Kubernetes and helm, of which Debian has no packages: once, 1,465 s of processor time.
# It needs root, and what .ci/run installs.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=kubernetes/cluster.sh
source "$REPOSITORY/deploy/test/kubernetes/cluster.sh"
chart=$REPOSITORY/deploy/helm
here=$REPOSITORY/deploy/test/kubernetes
programs=(kube-apiserver kube-controller-manager kube-proxy kube-scheduler kubelet kubectl helm)

# kubernetes_programs prints the folder of them. They are one program with seven names. It is built without what makes
# a program quick, which took a quarter off the time of client-go alone, and without the usual cache of compiled
# packages, which would grow by 3 GB.
kubernetes_programs() {
  local version key folder release minor x flags
  version=$(cd "$here/node" && go list -m -f '{{.Version}}' k8s.io/kubernetes)
  key=$(cat "$here"/node/{go.mod,go.sum,main.go} <(go env GOVERSION GOARCH) | sha256sum | cut -c1-12)
  folder=$CACHE/kubernetes-$version-$key
  mkdir -p "$folder"
  (
    flock 9
    [[ ! -x $folder/node ]] || exit 0
    say "building Kubernetes $version"
    cd "$here/node" || exit
    release=${version#v}
    minor=${release#*.}
    x=k8s.io/component-base/version
    flags="-s -w -X $x.gitVersion=$version -X $x.gitMajor=${release%%.*} -X $x.gitMinor=${minor%%.*}"
    GOFLAGS='' GOCACHE=$work/compiled CGO_ENABLED=0 go build -trimpath -gcflags 'all=-N -l -dwarf=false' -ldflags "$flags" -o "$folder/node.new" .
    for program in "${programs[@]}"; do ln -sf node "$folder/$program"; done
    mv "$folder/node.new" "$folder/node"
  ) 9>"$folder/lock"
  echo "$folder"
}

# refuses SENTENCE SETTINGS… wants the chart to say that it does not take them.
refuses() {
  local sentence=$1 said
  shift
  if said=$(helm template refused "$chart" "$@" 2>&1); then die "the chart takes $*"; fi
  [[ $said == *"$sentence"* ]] || die "the chart refuses $* and says: $said"
}

# of KIND prints the object of that kind in what helm would install, as JSON.
of() { helm template everything "$chart" -f "$here/full-values.yaml" "${@:2}" | kubectl create --dry-run=client -o json -f - | jq -s --arg kind "$1" 'map(select(.kind == $kind))[0]'; }

# chart_is_right needs no cluster but what was said to it (its definition of a ServiceMonitor).
chart_is_right() {
  say "the chart by itself"
  helm lint --strict "$chart" >/dev/null || die "$(helm lint --strict "$chart" 2>&1)"
  helm lint --strict "$chart" -f "$here/full-values.yaml" >/dev/null || die "$(helm lint --strict "$chart" -f "$here/full-values.yaml" 2>&1)"
  local bucket=(--set storage.type=s3 --set s3.bucket=mess)
  refuses "a directory has one server" --set replicaCount=2
  refuses "a directory has one server" --set replicaCount=null
  refuses "needs s3.bucket" --set storage.type=s3
  refuses "but storage.type is filesystem" --set s3.bucket=mess
  refuses "belong together" "${bucket[@]}" --set s3.accessKey=a
  refuses "Set one or the other" "${bucket[@]}" --set existingSecret=mine --set s3.accessKey=a --set s3.secretKey=b
  refuses "needs registration.token" --set registration.mode=token
  refuses "set at least 27" --set preStopSeconds=15 --set terminationGracePeriodSeconds=26
  refuses "needs ingress.host" --set ingress.tlsSecret=mess-tls
  refuses "needs metrics.enabled" --set metrics.enabled=false --set metrics.serviceMonitor.enabled=true
  refuses "replicas" --set replicas=3 # not a value, and a likely mistake
  refuses "storage/type" --set storage.type=disk
  equal "servers with an autoscaler" "$(of Deployment --set replicaCount=null | jq -c '.spec | has("replicas")')" false
  equal "memory of Go" "$(of Deployment --set goMemLimit= | jq -r '.spec.template.spec.containers[0].env[] | select(.name == "GOMEMLIMIT").value')" 1843MiB
  equal "metrics switched off" "$(of Deployment --set metrics.enabled=false --set metrics.serviceMonitor.enabled=false |
    jq -r '.spec.template.spec.containers[0].env[] | select(.name == "METRICS_ADDR").value')" 127.0.0.1:9090
  equal "a secret of others" "$(of Deployment --set existingSecret=mine --set s3.accessKey= --set s3.secretKey= --set registration.token= |
    jq -c '[.spec.template.spec.containers[0].env[].valueFrom.secretKeyRef | select(.) | .name + " " + .key]')" \
    '["mine S3_ACCESS_KEY","mine S3_SECRET_KEY","mine REGISTRATION_TOKEN"]'
  equal "a changed key replaces the servers" "$(diff <(of Deployment) <(of Deployment --set registration.token=other) | grep -c checksum/secret)" 2
}

# server_takes SETTINGS… has the API server look at each field, and changes nothing.
server_takes() {
  helm template checked "$chart" "$@" | kubectl apply --dry-run=server --validate=strict -f - >/dev/null || die "the API server refuses the chart with $*"
}

api_server_takes_it() {
  say "every field, as the API server sees it"
  server_takes
  server_takes -f "$here/full-values.yaml"
  server_takes --set persistence.storageClass=- --set persistence.keep=false --set networkPolicy.enabled=false --set metrics.enabled=false
  # The look itself must see something.
  if helm template checked "$chart" | sed 's/automountServiceAccountToken/automountToken/' |
    kubectl apply --dry-run=server --validate=strict -f - >/dev/null 2>&1; then die "the API server takes any field"; fi
  if kubectl -n one run greedy --image=localhost/pause:test --dry-run=server >/dev/null 2>&1; then die "the namespace is not a restricted one"; fi
}

service_url() { echo "http://$(kubectl -n "$1" get service mess-exchange -o jsonpath='{.spec.clusterIP}')"; }
pod_names() { kubectl -n "$1" get pods -l app.kubernetes.io/component=server -o name; }
pod_addresses() { kubectl -n "$1" get pods -l app.kubernetes.io/component=server -o jsonpath='{.items[*].status.podIP}'; }
# on_pods NAMESPACE NUMBER: so many there are, and none that is on its way out.
on_pods() { [[ $(pod_names "$1" | wc -l) == "$2" ]]; }

# remember and remembered URL are about one thread.
remember() {
  key=$(curl -sS "$1/api/v1/exchanges/memory/register" -H "X-Registration-Token: ${2:-}" -H 'Content-Type: application/json' -d '{"executor_id": "agent"}' | jq -r .api_key)
  ref=$(curl -sS "$1/api/v1/exchanges/memory/requests" -H "Authorization: Bearer $key" -H 'Content-Type: application/json' -d '{"intent": "Remember"}' | jq -r .ref)
}
remembered() {
  equal "intent of the thread at $1" "$(curl -sS "$1/api/v1/exchanges/memory/requests/$ref" -H "Authorization: Bearer $key" | jq -r .thread.intent)" Remember
}
gone() { ! curl -sf -m 1 "$1/health"; }

one_server() {
  say "one server on a volume"
  # As in the documentation, but for where it is and that it waits.
  helm -n one install mess-exchange "$chart" --set image.repository=your-registry/mess-exchange --set ingress.enabled=true --wait --timeout 90s >"$work/notes"
  grep -qF 'WARNING: whoever reaches the server may register' "$work/notes" || die "the notes say nothing of open registration"
  local url
  url=$(service_url one)
  eventually "the service answers" curl -sf "$url/ready"
  walk "$url"
  remember "$url"
  helm -n one test mess-exchange --timeout 60s >/dev/null || die "helm test fails"
  equal "claim" "$(kubectl -n one get pvc mess-exchange -o jsonpath='{.status.phase}')" Bound
  equal "backend of the Ingress" "$(kubectl -n one get ingress mess-exchange -o json | jq -c '.spec.rules[0].http.paths[0].backend.service')" '{"name":"mess-exchange","port":{"name":"http"}}'

  say "replaced, uninstalled and installed again, with its data"
  helm -n one upgrade mess-exchange "$chart" --reuse-values --set logLevel=debug --set preStopSeconds=1 --wait --timeout 90s >/dev/null
  eventually "the service answers after an upgrade" curl -sf "$url/ready"
  remembered "$url"
  helm -n one uninstall mess-exchange --wait --timeout 60s >/dev/null 2>&1
  eventually "no server after helm uninstall" gone "$url"
  equal "what is left" "$(kubectl -n one get deployments,services,secrets,configmaps,ingresses,networkpolicies,pvc -o name | grep -v kube-root-ca.crt)" persistentvolumeclaim/mess-exchange
  eventually "no pod" on_pods one 0
  helm -n one install mess-exchange "$chart" --set image.repository=your-registry/mess-exchange --set preStopSeconds=1 --wait --timeout 90s >/dev/null
  url=$(service_url one)
  eventually "the service answers" curl -sf "$url/ready"
  remembered "$url"
  helm -n one uninstall mess-exchange >/dev/null 2>&1
}

many_servers() {
  say "three servers on a bucket"
  local url endpoint address
  kubectl -n store wait --for=condition=Ready pod/store --timeout 60s >/dev/null
  endpoint=http://$(kubectl -n store get service store -o jsonpath='{.spec.clusterIP}'):9000
  # No DNS here, so the S3 server is named by its address.
  many=(--set image.repository=your-registry/mess-exchange --set replicaCount=3 --set storage.type=s3 --set s3.bucket=mess --set "s3.endpoint=$endpoint"
    --set s3.accessKey=access --set s3.secretKey=only-reachable-inside --set registration.mode=token --set registration.token=s3cret
    --set 'trustedProxies={10.244.0.0/24}' --set 'notifyAllowNetworks={192.168.0.0/16}' --set publicUrl=https://mess.example.org
    --set metrics.serviceMonitor.enabled=true --set-string 'capabilities.photo\.yaml=id: photo:capture')
  helm -n many install mess-exchange "$chart" "${many[@]}" --wait --timeout 120s >/dev/null
  url=$(service_url many)
  eventually "the service answers" curl -sf "$url/ready"
  equal "status without the token" "$(curl -sS -o /dev/null -w '%{http_code}' "$url/api/v1/exchanges/memory/register" -H 'Content-Type: application/json' -d '{"executor_id": "x"}')" 401
  read -ra addresses <<<"$(pod_addresses many)"
  equal "pods" "${#addresses[@]}" 3
  remember "http://${addresses[0]}:3000" s3cret
  for address in "${addresses[@]}"; do
    remembered "http://$address:3000"
    curl -sf "http://$address:9090/metrics" | grep '^mess_build_info{' >/dev/null || die "no metrics at port 9090 of $address"
    equal "status of the metrics on the public port" "$(curl -sS -o /dev/null -w '%{http_code}' "http://$address:3000/metrics")" 404
  done
  equal "capabilities" "$(curl -sS "$url/api/v1/exchanges/memory/capabilities" -H "Authorization: Bearer $key" | jq -c '[.capabilities[].id]')" '["photo:capture"]'
  equal "addresses for Prometheus" "$(kubectl -n many get endpoints mess-exchange-metrics -o json 2>/dev/null | jq '.subsets[0].addresses | length')" 3
  equal "servers that may be away" "$(kubectl -n many get poddisruptionbudget mess-exchange -o jsonpath='{.status.disruptionsAllowed}')" 1
  helm -n many test mess-exchange --timeout 60s >/dev/null || die "helm test fails"
  # `kubectl exec` uses what the pod may: it has no rights, and a root file system that is read-only.
  equal "groups and capabilities" "$(grep -hE '^(Uid|CapEff|CapBnd|NoNewPrivs|Seccomp):' "/proc/$(pgrep -xo mess-exchange)/status" | awk '{print $1 $2}' | xargs)" \
    "Uid:65532 CapEff:0000000000000000 CapBnd:0000000000000000 NoNewPrivs:1 Seccomp:2"
}

# load_begins NAME OPTIONS… starts a load on the exchange NAME; load_ends wants it to have gone well.
load_begins() {
  load_log=$work/log/load-$1
  "$work/load" -url "$(service_url many)" -exchange "$1" -token s3cret "${@:2}" >"$load_log" 2>&1 &
  load=$!
  eventually "the load is under way" grep -q 'under way' "$load_log"
}
load_ends() {
  kill -INT "$load" 2>/dev/null || true
  wait "$load" || die "under load, exit status $?: $(cat "$load_log")"
  say "   $(tail -1 "$load_log")"
}

restarted() { [[ $(kubectl -n many get pods -l app.kubernetes.io/component=server -o jsonpath='{.items[*].status.containerStatuses[0].restartCount}' | tr ' ' '\n' | sort | xargs) == "0 0 1" ]]; }
all_ready() { [[ $(kubectl -n many get deployment mess-exchange -o jsonpath='{.status.readyReplicas}') == 3 ]]; }

killed_under_load() {
  say "a server killed under load"
  load_begins killed -abrupt
  kill -KILL "$(pgrep -xn mess-exchange)"
  eventually "the server was started again" restarted
  eventually "three servers are ready" all_ready
  load_ends
}

replaced_under_load() {
  say "all servers replaced by a new version under load, and one deleted"
  load_begins replaced
  local before after
  before=$(pod_names many)
  helm -n many upgrade mess-exchange "$chart" "${many[@]}" --set image.tag=next --wait --timeout 180s >/dev/null
  eventually "the former servers are gone" on_pods many 3
  after=$(pod_names many)
  equal "servers of before and after" "$(comm -12 <(sort <<<"$before") <(sort <<<"$after"))" ""
  kubectl -n many delete --wait=false "$(head -1 <<<"$after")" >/dev/null
  eventually "four servers, one of them going" on_pods many 4
  eventually "three servers again" on_pods many 3
  eventually "three servers are ready" all_ready
  load_ends
  remembered "$(service_url many)"
  helm -n many uninstall mess-exchange --wait --timeout 60s >/dev/null
  eventually "no pod" on_pods many 0
  equal "what is left" "$(kubectl -n many get all,secrets,configmaps,serviceaccounts,ingresses,networkpolicies,poddisruptionbudgets,servicemonitors,pvc -o name |
    grep -vE '^(configmap/kube-root-ca.crt|serviceaccount/default)$')" ""
}

inside() {
  export PATH=$kubernetes:$PATH HELM_CACHE_HOME=$work/helm/cache HELM_CONFIG_HOME=$work/helm/config HELM_DATA_HOME=$work/helm/data
  trap '(($? == 0)) || cluster_confess' EXIT
  say "a cluster"
  cluster_up
  images import "$archive"
  for tag in latest next; do images tag docker.io/library/mess-exchange:test docker.io/your-registry/mess-exchange:$tag; done
  with_libraries "$s3" "$work/s3"
  mkdir -p "$work/s3/buckets" "$work/volume"
  image_archive localhost/store:test "$work/s3" '["/usr/bin/versitygw"]' "$work/s3.tar"
  images import "$work/s3.tar"
  sed "s,WORK,$work," "$here/fixtures.yaml" | kubectl apply --validate=strict -f - >/dev/null
  kubectl wait --for=condition=Established crd/servicemonitors.monitoring.coreos.com --timeout 60s >/dev/null
  # One server is started, waited for and ended while the chart is looked at.
  one_server &
  local one=$!
  chart_is_right
  api_server_takes_it
  wait "$one" || die "one server on a volume: see above"
  many_servers
  killed_under_load
  replaced_under_load
  say "kubernetes: all as it should be"
}

# clean removes what outlives the name spaces: the folder, and the empty control groups that are called after it.
clean() {
  find /sys/fs/cgroup -depth -type d -path "*/${work##*/}*" -exec rmdir {} \; 2>/dev/null || true
  rm -rf "$work"
}

if [[ ${1:-} == --apart ]]; then
  work=$2 archive=$3 s3=$4 kubernetes=$5
  inside
  exit
fi
need go
work=$(mktemp -d /tmp/mess-exchange-kubernetes-XXXXXX)
trap clean EXIT
kubernetes=$(kubernetes_programs)
rm -rf "$work/compiled"
[[ ${1:-} != --tools ]] || exit 0
need containerd ctr runc etcd conntrack iptables ip openssl busybox curl jq tar unshare /usr/lib/cni/ptp
(cd "$REPOSITORY" && CGO_ENABLED=0 go build -o "$work/load" ./deploy/test/kubernetes/load)
archive=${1:-$work/image.tar}
[[ -n ${1:-} ]] || "$(dirname "$0")/image.sh" "$archive"
s3=$(s3_program)
apart "$0" --apart "$work" "$archive" "$s3" "$kubernetes"
