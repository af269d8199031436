# shellcheck shell=bash
# A Kubernetes of one node, as processes in the name spaces of who sources this; $work is its folder. There is no
# DNS in it, no Ingress controller, nothing that makes volumes, and no network plug-in that heeds policies.
# It is for name spaces of their own alone: it mounts over /etc and /proc, and whoever reaches its ports may do all.

NODE_ADDRESS=198.51.100.1 # of a range for examples, so it is nobody's
SERVICES=10.96.0.0/16
PODS=10.244.0.0/24

# background NAME PROGRAM… starts it with a log of its own.
background() {
  local name=$1
  shift
  "$@" >"$work/log/$name" 2>&1 &
}

cluster_network() {
  hostname node1
  ip link add node0 type veth peer name node0-end
  ip link set node0-end up
  ip addr add "$NODE_ADDRESS/24" dev node0
  ip link set node0 up
  ip route add default dev node0
  printf '127.0.0.1 localhost\n%s node1\n' "$NODE_ADDRESS" >"$work/hosts"
  mount --bind "$work/hosts" /etc/hosts
  : >"$work/resolv.conf"
  mkdir -p "$work/cni"
  cat >"$work/cni/10-pods.conflist" <<JSON
{"cniVersion": "0.4.0", "name": "pods", "plugins": [
  {"type": "ptp", "ipMasq": false, "ipam": {"type": "host-local", "dataDir": "$work/run/addresses",
   "ranges": [[{"subnet": "$PODS"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
JSON
}

# cluster_mounts makes what must not be left on the machine a thing of these name spaces. The kubelet sets three
# settings of the kernel and ends where it can't: it gets files that already have what it wants.
cluster_mounts() {
  local folder
  mkdir -p "$work"/{run,kubelet,log}
  for folder in "$work/run" /run /var/lib /var/log; do
    mount -t tmpfs tmpfs "$folder"
  done
  mount --bind "$work/kubelet" "$work/kubelet"
  mount --make-rshared "$work/kubelet"
  echo 1 >"$work/one"
  echo 10 >"$work/ten"
  mount --bind "$work/one" /proc/sys/vm/overcommit_memory
  mount --bind "$work/ten" /proc/sys/kernel/panic
  mount --bind "$work/one" /proc/sys/kernel/panic_on_oops
}

cluster_settings() {
  openssl genrsa -out "$work/accounts.key" 2048 2>/dev/null
  openssl rsa -in "$work/accounts.key" -pubout -out "$work/accounts.pub" 2>/dev/null
  local token
  token=$(openssl rand -hex 16)
  echo "$token,admin,admin,system:masters" >"$work/tokens.csv"
  cat >"$work/kubeconfig" <<YAML
apiVersion: v1
kind: Config
clusters: [{name: test, cluster: {server: "https://127.0.0.1:6443", insecure-skip-tls-verify: true}}]
users: [{name: admin, user: {token: $token}}]
contexts: [{name: test, context: {cluster: test, user: admin}}]
current-context: test
YAML
  chmod 600 "$work/kubeconfig"
  # restrict_oom_score_adj: the tests may run without the right to make a process less likely to be killed.
  cat >"$work/containerd.toml" <<TOML
version = 2
root = "$work/containerd"
state = "$work/run/containerd"
[grpc]
  address = "$work/run/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:test"
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$work/cni"
TOML
  # Control groups of pods go below one that is called after the folder, so that they are found and removed.
  cat >"$work/kubelet.yaml" <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow}
containerRuntimeEndpoint: unix://$work/run/containerd.sock
imageServiceEndpoint: unix://$work/run/containerd.sock
cgroupDriver: cgroupfs
cgroupRoot: /${work##*/}
cgroupsPerQOS: false
enforceNodeAllocatable: []
failCgroupV1: false
failSwapOn: false
oomScoreAdj: 0
makeIPTablesUtilChains: false
localStorageCapacityIsolation: false
healthzPort: 0
resolvConf: $work/resolv.conf
podLogsDir: $work/pods
volumePluginDir: $work/plugins
evictionHard: {memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%}
featureGates: {KubeletInUserNamespace: true}
YAML
}

# image_archive NAME FOLDER ENTRYPOINT FILE makes an image of a folder, in the form that Docker saves.
image_archive() {
  local parts
  parts=$(mktemp -d "$work/image-XXXXXX")
  tar --owner=0 --group=0 -C "$2" -cf "$parts/layer.tar" .
  jq -n --arg machine "$(go env GOARCH)" --argjson entrypoint "$3" --arg layer "sha256:$(sha256sum "$parts/layer.tar" | cut -d' ' -f1)" \
    '{architecture: $machine, os: "linux", config: {Entrypoint: $entrypoint}, rootfs: {type: "layers", diff_ids: [$layer]}}' >"$parts/config.json"
  jq -n --arg name "$1" '[{Config: "config.json", RepoTags: [$name], Layers: ["layer.tar"]}]' >"$parts/manifest.json"
  tar -C "$parts" -cf "$4" manifest.json config.json layer.tar
  rm -rf "$parts"
}

images() { ctr -a "$work/run/containerd.sock" -n k8s.io images "$@" >/dev/null; }

# cluster_up starts everything and waits until the node takes pods.
cluster_up() {
  export KUBECONFIG=$work/kubeconfig
  cluster_mounts
  cluster_network
  cluster_settings
  background containerd containerd -c "$work/containerd.toml"
  background etcd etcd --data-dir "$work/run/etcd"
  background apiserver kube-apiserver --etcd-servers http://127.0.0.1:2379 --bind-address 0.0.0.0 --advertise-address "$NODE_ADDRESS" \
    --cert-dir "$work/certificates" --service-cluster-ip-range "$SERVICES" --service-account-issuer https://kubernetes.default.svc \
    --service-account-key-file "$work/accounts.pub" --service-account-signing-key-file "$work/accounts.key" \
    --token-auth-file "$work/tokens.csv" --authorization-mode Node,RBAC --kubelet-preferred-address-types InternalIP
  eventually "containerd answers" images ls
  mkdir -p "$work/pause/bin"
  cp "$(command -v busybox)" "$work/pause/bin/busybox"
  image_archive localhost/pause:test "$work/pause" '["/bin/busybox", "sleep", "2147483647"]' "$work/pause.tar"
  images import "$work/pause.tar"
  eventually "the API server is ready" kubectl get --raw /readyz
  background controllers kube-controller-manager --kubeconfig "$KUBECONFIG" --service-account-private-key-file "$work/accounts.key" \
    --root-ca-file "$work/certificates/apiserver.crt" --leader-elect=false
  background scheduler kube-scheduler --kubeconfig "$KUBECONFIG" --leader-elect=false
  background kubelet kubelet --kubeconfig "$KUBECONFIG" --config "$work/kubelet.yaml" --root-dir "$work/kubelet" \
    --cert-dir "$work/certificates-kubelet" --hostname-override node1 --node-ip "$NODE_ADDRESS"
  # Settings of the kernel that these name spaces can't change stay as they are: 0.
  background proxy kube-proxy --kubeconfig "$KUBECONFIG" --proxy-mode iptables --hostname-override node1 --cluster-cidr "$PODS" \
    --conntrack-max-per-core 0 --conntrack-tcp-timeout-established 0s --conntrack-tcp-timeout-close-wait 0s
  eventually "the node is there" kubectl get node node1
  kubectl wait --for=condition=Ready node/node1 --timeout 60s >/dev/null
  eventually "accounts are made" kubectl -n default get serviceaccount default
}

# cluster_confess shows, after a failure, what the cluster knows of it.
cluster_confess() {
  {
    kubectl get pods,deployments,pvc --all-namespaces -o wide || tail -n 5 "$work"/log/*
    kubectl get events --all-namespaces --sort-by=.lastTimestamp | tail -15
    for pod in $(kubectl get pods --all-namespaces -l app.kubernetes.io/component=server -o jsonpath='{range .items[*]}{.metadata.namespace}/{.metadata.name} {end}'); do
      echo "== $pod"
      kubectl -n "${pod%/*}" logs --tail 5 "${pod#*/}"
    done
  } >&2
}
