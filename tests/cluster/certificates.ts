// The cluster's certificates: an authority of its own, one certificate a part, made by openssl; and kubeconfigs that carry them.
import { execFile } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Slot } from "./slots.ts";

const run = promisify(execFile);
const DAYS = "30";

interface Subject {
  name: string;
  /** As openssl writes it. */
  subject: string;
  usage: "clientAuth" | "serverAuth" | "clientAuth,serverAuth";
  /** Names and addresses that it is served under. */
  names?: string;
}

/** Who has a certificate. The names are those that Kubernetes' own RBAC rules are about. */
export function subjects({ node, kubernetes }: Slot): Subject[] {
  const hosts = "DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,IP:127.0.0.1";
  return [
    { name: "apiserver", subject: "/CN=kube-apiserver", usage: "serverAuth", names: `${hosts},IP:${node},IP:${kubernetes}` },
    {
      name: "node",
      subject: "/O=system:nodes/CN=system:node:node1",
      usage: "clientAuth,serverAuth",
      names: `DNS:node1,IP:${node}`,
    },
    { name: "admin", subject: "/O=system:masters/CN=admin", usage: "clientAuth" },
    { name: "to-kubelet", subject: "/O=system:masters/CN=apiserver-kubelet-client", usage: "clientAuth" },
    { name: "controller-manager", subject: "/CN=system:kube-controller-manager", usage: "clientAuth" },
    { name: "scheduler", subject: "/CN=system:kube-scheduler", usage: "clientAuth" },
    { name: "proxy", subject: "/CN=system:kube-proxy", usage: "clientAuth" },
  ];
}

const KUBECONFIGS = ["admin", "controller-manager", "scheduler", "node", "proxy"];

/** Writes `<folder>/<name>.{crt,key,kubeconfig}`, `ca.{crt,key}` and the keys of service accounts, `sa.{key,pub}`. */
export async function makeCertificates(slot: Slot, folder: string): Promise<void> {
  const at = (file: string) => join(folder, file);
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  const common = ["req", "-x509", "-days", DAYS, ...key];
  const authority = ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,digitalSignature"];
  const extensions = (list: string[]) => list.flatMap((each) => ["-addext", each]);
  await run("openssl", [
    ...common,
    "-subj",
    `/CN=${slot.name}`,
    "-keyout",
    at("ca.key"),
    "-out",
    at("ca.crt"),
    ...extensions(authority),
  ]);
  await Promise.all(
    subjects(slot).map(({ name, subject, usage, names }) => {
      const list = ["basicConstraints=critical,CA:FALSE", "keyUsage=critical,digitalSignature", `extendedKeyUsage=${usage}`];
      if (names) list.push(`subjectAltName=${names}`);
      const signed = ["-CA", at("ca.crt"), "-CAkey", at("ca.key"), "-subj", subject];
      return run("openssl", [...common, ...signed, "-keyout", at(`${name}.key`), "-out", at(`${name}.crt`), ...extensions(list)]);
    }),
  );
  const accounts = generateKeyPairSync("ec", { namedCurve: "P-256" });
  writeFileSync(at("sa.key"), accounts.privateKey.export({ type: "sec1", format: "pem" }), { mode: 0o600 });
  writeFileSync(at("sa.pub"), accounts.publicKey.export({ type: "spki", format: "pem" }));
  for (const name of KUBECONFIGS) {
    const data = (file: string) => readFileSync(at(file)).toString("base64");
    const cluster = { server: slot.url, "certificate-authority-data": data("ca.crt") };
    const user = { "client-certificate-data": data(`${name}.crt`), "client-key-data": data(`${name}.key`) };
    const config = {
      apiVersion: "v1",
      kind: "Config",
      clusters: [{ name: slot.name, cluster }],
      users: [{ name, user }],
      contexts: [{ name: slot.name, context: { cluster: slot.name, user: name } }],
      "current-context": slot.name,
    };
    // JSON is YAML.
    writeFileSync(at(`${name}.kubeconfig`), JSON.stringify(config, undefined, 2), { mode: 0o600 });
  }
}
