// The parts of the cluster as command lines and configuration files: pure, from the slot and where the programs are.
// Why each unusual setting is there is said beside it; what is not set is Kubernetes' own default.
import { join } from "node:path";
import type { Slot } from "./slots.ts";

export const PARTS = [
  "etcd",
  "containerd",
  "kube-apiserver",
  "kube-controller-manager",
  "kube-scheduler",
  "kubelet",
  "kube-proxy",
] as const;
export type PartName = (typeof PARTS)[number];

/** The image of the first container of each pod; built and loaded by the kit, never pulled. */
export const PAUSE_IMAGE = "localhost/rollguard/pause:1";

export interface PartOptions {
  /** The folder with etcd, kube-apiserver, … */
  programs: string;
  runc: string;
  /** The folder of the CNI plugins. */
  plugins: string;
  cgroup: "v1" | "v2";
  /** Writes an audit log: the bodies of requests that change something, the metadata of all others. */
  audit: boolean;
  /** More flags for the API server. */
  apiServerFlags: readonly string[];
}

export interface Layout {
  pki: string;
  config: string;
  logs: string;
  state: string;
  socket: string;
  audit: string;
}

export function layoutOf({ folder }: Slot): Layout {
  const state = join(folder, "state");
  return {
    pki: join(folder, "pki"),
    config: join(folder, "config"),
    logs: join(folder, "logs"),
    state,
    socket: join(state, "containerd.sock"),
    audit: join(folder, "logs", "audit.log"),
  };
}

/** The command line of each part. */
export function commandLines(slot: Slot, options: PartOptions): Record<PartName, string[]> {
  const { pki, config, state, audit } = layoutOf(slot);
  const program = (name: PartName) => join(options.programs, name);
  const kubeconfigs = (name: string) =>
    ["kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig"].map((flag) => `--${flag}=${pki}/${name}.kubeconfig`);
  // One of each, so no election; the client's limits would make a hundred pods slow.
  const control = [
    "--leader-elect=false",
    "--bind-address=127.0.0.1",
    "--profiling=false",
    "--kube-api-qps=300",
    "--kube-api-burst=500",
  ];
  const auditing = [`--audit-log-path=${audit}`, `--audit-policy-file=${config}/audit.json`, "--audit-log-mode=blocking-strict"];
  const etcd = "http://127.0.0.1:2379";
  const peer = "http://127.0.0.1:2380";
  return {
    etcd: [
      program("etcd"),
      `--data-dir=${state}/etcd`,
      // The machine's crash loses the cluster anyway; the waits for the disk would cost seconds.
      "--unsafe-no-fsync",
      ...["listen-client", "advertise-client"].map((flag) => `--${flag}-urls=${etcd}`),
      ...["listen-peer", "initial-advertise-peer"].map((flag) => `--${flag}-urls=${peer}`),
      `--initial-cluster=default=${peer}`,
    ],
    containerd: ["containerd", "--config", join(config, "containerd.toml")],
    "kube-apiserver": [
      program("kube-apiserver"),
      `--etcd-servers=${etcd}`,
      `--advertise-address=${slot.node}`,
      "--secure-port=6443",
      `--tls-cert-file=${pki}/apiserver.crt`,
      `--tls-private-key-file=${pki}/apiserver.key`,
      `--client-ca-file=${pki}/ca.crt`,
      `--cert-dir=${state}/apiserver`,
      "--service-account-issuer=https://kubernetes.default.svc",
      `--service-account-key-file=${pki}/sa.pub`,
      `--service-account-signing-key-file=${pki}/sa.key`,
      `--service-cluster-ip-range=${slot.services}`,
      "--authorization-mode=Node,RBAC",
      "--enable-admission-plugins=NodeRestriction",
      "--allow-privileged=true",
      "--profiling=false",
      `--kubelet-client-certificate=${pki}/to-kubelet.crt`,
      `--kubelet-client-key=${pki}/to-kubelet.key`,
      `--kubelet-certificate-authority=${pki}/ca.crt`,
      "--kubelet-preferred-address-types=InternalIP",
      ...(options.audit ? auditing : []),
      ...options.apiServerFlags,
    ],
    "kube-controller-manager": [
      program("kube-controller-manager"),
      ...kubeconfigs("controller-manager"),
      `--service-account-private-key-file=${pki}/sa.key`,
      `--root-ca-file=${pki}/ca.crt`,
      "--use-service-account-credentials=true",
      `--cert-dir=${state}/controller-manager`,
      `--cluster-signing-cert-file=${pki}/ca.crt`,
      `--cluster-signing-key-file=${pki}/ca.key`,
      ...control,
    ],
    "kube-scheduler": [program("kube-scheduler"), ...kubeconfigs("scheduler"), ...control],
    kubelet: [
      program("kubelet"),
      `--config=${config}/kubelet.json`,
      `--kubeconfig=${pki}/node.kubeconfig`,
      "--hostname-override=node1",
      `--node-ip=${slot.node}`,
      `--root-dir=${state}/kubelet`,
      `--cert-dir=${state}/kubelet-certificates`,
    ],
    "kube-proxy": [program("kube-proxy"), `--config=${config}/kube-proxy.json`],
  };
}

/** The configuration files by name, for the folder `config` of the layout, but for the one of CNI: it is in `cni/`. */
export function configFiles(slot: Slot, options: PartOptions): Record<string, string> {
  const json = (value: unknown) => JSON.stringify(value, undefined, 2);
  return {
    "containerd.toml": containerd(slot, options),
    "cni/10-bridge.conflist": json(network(slot)),
    "kubelet.json": json(kubelet(slot, options)),
    "kube-proxy.json": json(proxy(slot)),
    "audit.json": json(AUDIT_POLICY),
  };
}

function containerd(slot: Slot, options: PartOptions): string {
  const { state, socket, config } = layoutOf(slot);
  const cri = 'plugins."io.containerd.grpc.v1.cri"';
  const others = ["internal.v1.opt", ...["btrfs", "zfs", "devmapper", "aufs"].map((name) => `snapshotter.v1.${name}`)];
  return `version = 2
root = "${state}/containerd"
state = "${state}/containerd-running"
disabled_plugins = ${JSON.stringify(others.map((name) => `io.containerd.${name}`))}
[grpc]
  address = "${socket}"
[${cri}]
  sandbox_image = "${PAUSE_IMAGE}"
  netns_mounts_under_state_dir = true
  disable_apparmor = true
  restrict_oom_score_adj = true
  tolerate_missing_hugetlb_controller = true
  disable_hugetlb_controller = true
  [${cri}.cni]
    bin_dir = "${options.plugins}"
    conf_dir = "${config}/cni"
  [${cri}.containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [${cri}.containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [${cri}.containerd.runtimes.runc.options]
        BinaryName = "${options.runc}"
        SystemdCgroup = false
`;
}

function network(slot: Slot): unknown {
  const ranges = [[{ subnet: slot.pods, rangeStart: slot.node.replace(/\.1$/, ".10") }]];
  const ipam = { type: "host-local", dataDir: `${layoutOf(slot).state}/addresses`, ranges };
  const bridge = {
    type: "bridge",
    bridge: "cni0",
    isGateway: true,
    isDefaultGateway: true,
    ipMasq: false,
    hairpinMode: true,
    ipam,
  };
  return { cniVersion: "0.4.0", name: "pods", plugins: [bridge] };
}

function kubelet(slot: Slot, options: PartOptions): unknown {
  const { pki, state, socket } = layoutOf(slot);
  return {
    apiVersion: "kubelet.config.k8s.io/v1beta1",
    // The default of 110 is too few for a hundred deployments and what else there is; the node's network has 254 addresses.
    maxPods: 200,
    kind: "KubeletConfiguration",
    authentication: { anonymous: { enabled: false }, webhook: { enabled: true }, x509: { clientCAFile: `${pki}/ca.crt` } },
    authorization: { mode: "Webhook" },
    tlsCertFile: `${pki}/node.crt`,
    tlsPrivateKeyFile: `${pki}/node.key`,
    containerRuntimeEndpoint: `unix://${socket}`,
    cgroupDriver: "cgroupfs",
    // The pods' control groups are below the slot's, so that clusters don't meet there.
    cgroupRoot: `/${slot.name}`,
    enforceNodeAllocatable: [],
    failCgroupV1: options.cgroup !== "v1",
    failSwapOn: false,
    // The kernel's settings are as it wants them, in files that only this cluster sees: nothing is to be changed.
    protectKernelDefaults: true,
    makeIPTablesUtilChains: false,
    oomScoreAdj: 0,
    imageGCHighThresholdPercent: 100,
    imageGCLowThresholdPercent: 99,
    evictionHard: { "memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%" },
    resolvConf: "",
    clusterDomain: "cluster.local",
    hairpinMode: "none",
    volumePluginDir: `${state}/volume-plugins`,
    podLogsDir: `${state}/pod-logs`,
    registerNode: true,
    nodeStatusUpdateFrequency: "5s",
  };
}

function proxy(slot: Slot): unknown {
  return {
    apiVersion: "kubeproxy.config.k8s.io/v1alpha1",
    kind: "KubeProxyConfiguration",
    clientConnection: { kubeconfig: `${layoutOf(slot).pki}/proxy.kubeconfig` },
    mode: "iptables",
    clusterCIDR: slot.pods,
    hostnameOverride: "node1",
    nodePortAddresses: [`${slot.node}/32`],
    // These belong to the machine, not to the cluster's network: left alone.
    conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: "0s", tcpCloseWaitTimeout: "0s" },
    iptables: { syncPeriod: "10s", minSyncPeriod: "0s" },
  };
}

const AUDIT_POLICY = {
  apiVersion: "audit.k8s.io/v1",
  kind: "Policy",
  omitStages: ["RequestReceived"],
  rules: [
    { level: "Metadata", resources: [{ group: "", resources: ["secrets", "serviceaccounts/token"] }] },
    { level: "Request", verbs: ["create", "update", "patch", "delete", "deletecollection"] },
    { level: "Metadata" },
  ],
};
