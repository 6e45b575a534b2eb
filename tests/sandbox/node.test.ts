// What becomes of containers is reported as a kubelet reports it: crashes, memory, images, init containers, probes, logs.
// Kubernetes' own expansion makes "$$" one "$": the scripts here write "$$$$" for the shell's process id.
import fs from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { OWN_IMAGE as CONFIGURED_IMAGE } from "../../src/config.ts";
import { CONFIG_MAPS, condition, EVENTS, PODS } from "../../src/sandbox/controllers/kinds.ts";
import { OWN_IMAGE, type Sandbox, startSandbox } from "../../src/sandbox/sandbox.ts";
import { containerStatus, eventually, get, getPod, pod, serverContainer, shell } from "./support.ts";

let sandbox: Sandbox;
beforeAll(async () => {
  sandbox = await startSandbox({ restartBackoffMs: 300, images: { "registry.example/tool": ["echo", "tool"] } });
});
afterAll(() => sandbox.close());

const status = (name: string, container: string) => containerStatus(getPod(sandbox.api, name), container);
const conditionOf = (name: string, type: string) => condition(getPod(sandbox.api, name)?.status?.conditions, type);
const log = (name: string, container?: string, options = {}) => sandbox.node.readLog("default", name, container, options);

test("a crash loop: restarted at once, then with back-off, with its message and its previous log", async () => {
  const script = 'echo "run of $NAME"; echo -n "bad weights" > /dev/termination-log; exit 7';
  const env = [{ name: "NAME", value: "loop" }];
  sandbox.api.create(PODS, pod("loop", { containers: [shell("main", script, { env })] }));
  const found = await eventually("a back-off", () => {
    const seen = status("loop", "main");
    return seen?.state.waiting?.reason === "CrashLoopBackOff" && seen.restartCount >= 2 && seen;
  });
  expect(found.state.waiting.message).toMatch(/^back-off 0\.6s restarting failed container=main pod=loop_default\(/);
  expect(found.lastState.terminated).toMatchObject({ exitCode: 7, reason: "Error", message: "bad weights" });
  expect(found.ready).toBe(false);
  expect(getPod(sandbox.api, "loop")?.status?.phase).toBe("Running");
  expect(conditionOf("loop", "Ready")).toMatchObject({ status: "False", message: "containers with unready status: [main]" });
  expect(log("loop", undefined, { previous: true })).toBe("run of loop\n");
  const events = sandbox.api.list(EVENTS, "default").filter((event) => event.involvedObject?.name === "loop");
  expect(events.map((event) => event.reason)).toContain("BackOff");
});

test("memory above the limit ends as OOMKilled, 137", async () => {
  const resources = { limits: { memory: "120Mi" } };
  sandbox.api.create(PODS, pod("greedy", { containers: [serverContainer("one", { resources })] }));
  await eventually("ready", () => conditionOf("greedy", "Ready")?.status === "True");
  await get(`http://${getPod(sandbox.api, "greedy")?.status?.podIP}:8080/eat`);
  const found = await eventually("killed", () => status("greedy", "server")?.lastState.terminated && status("greedy", "server"));
  expect(found?.lastState.terminated).toMatchObject({ exitCode: 137, reason: "OOMKilled" });
  expect(found?.restartCount).toBe(1);
});

test("init containers run in order, before the others, and a bad exit is tried again", async () => {
  const data = { name: "data", mountPath: "/models" };
  const first = shell("first", "test -e /models/once && echo weights > /models/w && exit 0; touch /models/once; exit 65", {
    volumeMounts: [data],
  });
  const second = shell("second", "cat /models/w", { volumeMounts: [data] });
  const main = shell("main", 'cat "$MODEL"; exec sleep 60', {
    volumeMounts: [data],
    env: [{ name: "MODEL", value: "/models/w" }],
  });
  const spec = { initContainers: [first, second], containers: [main], volumes: [{ name: "data", emptyDir: {} }] };
  sandbox.api.create(PODS, pod("inits", spec));
  const failed = await eventually("a first failure", () => {
    const seen = status("inits", "first");
    return (seen?.state.terminated?.exitCode === 65 || seen?.lastState.terminated?.exitCode === 65) && seen;
  });
  expect(failed.name).toBe("first");
  await eventually("running", () => status("inits", "main")?.state.running);
  expect(status("inits", "first")).toMatchObject({
    restartCount: 1,
    ready: true,
    state: { terminated: { exitCode: 0, reason: "Completed" } },
    lastState: { terminated: { exitCode: 65, reason: "Error" } },
  });
  expect(log("inits", "second")).toBe("weights\n");
  await eventually("its log", () => log("inits", "main") === "weights\n");
  expect(conditionOf("inits", "Initialized")?.status).toBe("True");
});

test("while an init container fails, the pod is Pending and its containers wait", async () => {
  const spec = { initContainers: [shell("fetch", "exit 65")], containers: [shell("main", "exec sleep 60")] };
  sandbox.api.create(PODS, pod("stuck", spec));
  await eventually("a back-off", () => status("stuck", "fetch")?.state.waiting?.reason === "CrashLoopBackOff");
  const found = getPod(sandbox.api, "stuck");
  expect(found?.status?.phase).toBe("Pending");
  expect(status("stuck", "main")?.state).toEqual({ waiting: { reason: "PodInitializing" } });
  expect(conditionOf("stuck", "Initialized")).toMatchObject({
    status: "False",
    reason: "ContainersNotInitialized",
    message: "containers with incomplete status: [fetch]",
  });
});

test("an image that is not there, and a registry that does not answer", async () => {
  const container = (image: string) => shell("main", "exec sleep 60", { image });
  sandbox.api.create(PODS, pod("missing", { containers: [container("registry.example/does-not-exist:1")] }));
  sandbox.api.create(PODS, pod("sick", { containers: [container("registry-unreachable.example/model:1")] }));
  const reasons = new Set<string>();
  await eventually("both reasons", () => {
    reasons.add(status("missing", "main")?.state.waiting?.reason ?? "");
    return reasons.has("ErrImagePull") && reasons.has("ImagePullBackOff");
  });
  expect(status("missing", "main")?.state.waiting.message).toMatch(/registry\.example\/does-not-exist:1: not found/);
  const sick = await eventually("not pulled", () => status("sick", "main")?.state.waiting?.message);
  expect(sick).toMatch(/i\/o timeout/);
});

test("what can't be run, and a ConfigMap that is missing, are told as such", async () => {
  const env = [{ name: "A", valueFrom: { configMapKeyRef: { name: "late", key: "a" } } }];
  sandbox.api.create(PODS, pod("nothing", { containers: [{ name: "main", image: "i", command: ["no-such-program"] }] }));
  sandbox.api.create(PODS, pod("late", { containers: [shell("main", "echo $A; exec sleep 60", { env })] }));
  const nothing = await eventually("not started", () => {
    const seen = status("nothing", "main");
    return seen?.state.terminated ?? seen?.lastState.terminated;
  });
  expect(nothing).toMatchObject({ exitCode: 128, reason: "StartError" });
  await eventually("waiting", () => status("late", "main")?.state.waiting?.reason === "CreateContainerConfigError");
  expect(status("late", "main")?.state.waiting.message).toBe('configmap "late" not found');
  sandbox.api.create(CONFIG_MAPS, { metadata: { name: "late", namespace: "default" }, data: { a: "here" } });
  await eventually("its log", () => log("late") === "here\n");
});

test("readiness follows its probe, and a failed liveness probe restarts", async () => {
  const livenessProbe = { exec: { command: ["sh", "-c", "test ! -e $TMPDIR/dead"] }, periodSeconds: 1, failureThreshold: 1 };
  const spec = { containers: [serverContainer("one", { livenessProbe })], terminationGracePeriodSeconds: 1 };
  sandbox.api.create(PODS, pod("probed", spec));
  const { uid } = await eventually(
    "ready",
    () => conditionOf("probed", "Ready")?.status === "True" && getPod(sandbox.api, "probed")?.metadata,
  );
  await get(`http://${getPod(sandbox.api, "probed")?.status?.podIP}:8080/unready`);
  await eventually("unready", () => conditionOf("probed", "Ready")?.status === "False");
  expect(status("probed", "server")).toMatchObject({ restartCount: 0, started: true, ready: false });
  const [pods] = fs.readdirSync(sandbox.dir).filter((entry) => entry.startsWith("pods-"));
  fs.writeFileSync(`${sandbox.dir}/${pods}/${uid}/tmp/dead`, "");
  await eventually("restarted", () => status("probed", "server")?.restartCount === 1);
  const events = sandbox.api.list(EVENTS, "default").filter((event) => event.involvedObject?.name === "probed");
  expect(events.map((event) => event.message).join("\n")).toMatch(/Liveness probe failed: command exited with 1/);
});

test("environment, arguments and volumes are what the kubelet would make of them", async () => {
  const { api } = sandbox;
  api.create(CONFIG_MAPS, { metadata: { name: "settings", namespace: "default" }, data: { LEVEL: "9", "a.txt": "file a" } });
  const field = (fieldPath: string) => ({ valueFrom: { fieldRef: { fieldPath } } });
  const container = {
    name: "main",
    image: "sh",
    command: ["sh", "-c", 'printf "%s|" "$0" "$@" "$WHO" "$LEVEL" "$IP"; cat /etc/settings/a.txt; exec sleep 60'],
    args: ["--who=$(WHO)", "$$(WHO)", "$(NONE)", "http://h/etc/settings"],
    env: [
      { name: "NAME", ...field("metadata.name") },
      { name: "IP", ...field("status.podIP") },
      { name: "WHO", value: "$(NAME)/x" },
    ],
    envFrom: [{ configMapRef: { name: "settings" } }],
    volumeMounts: [{ name: "settings", mountPath: "/etc/settings" }],
  };
  api.create(PODS, pod("told", { containers: [container], volumes: [{ name: "settings", configMap: { name: "settings" } }] }));
  const text = await eventually(
    "its log",
    () => status("told", "main")?.state.running && log("told").endsWith("file a") && log("told"),
  );
  const ip = getPod(api, "told")?.status?.podIP;
  expect(text).toBe(`--who=told/x|$(WHO)|$(NONE)|http://h/etc/settings|told/x|9|${ip}|file a`);
});

test("deleting a pod: SIGTERM, its grace period, SIGKILL, and nothing is left", async () => {
  const polite = shell("polite", "trap 'exit 0' TERM; echo $$$$; while :; do sleep 0.05; done");
  const stubborn = shell("stubborn", "trap '' TERM; echo $$$$; while :; do sleep 0.05; done");
  const spec = { containers: [polite, stubborn], terminationGracePeriodSeconds: 1 };
  sandbox.api.create(PODS, pod("ending", spec));
  const pids = await eventually("both run", () => {
    const texts = status("ending", "polite")?.state.running ? [log("ending", "polite"), log("ending", "stubborn")] : [];
    return texts.length > 0 && texts.every((text) => text !== "") && texts.map(Number);
  });
  const began = performance.now();
  sandbox.api.delete(PODS, "default", "ending");
  await eventually("polite ended", () => status("ending", "polite")?.state.terminated);
  expect(status("ending", "polite")?.state.terminated).toMatchObject({ exitCode: 0, reason: "Completed" });
  await eventually("gone", () => getPod(sandbox.api, "ending") === undefined);
  expect(performance.now() - began).toBeGreaterThan(900);
  for (const pid of pids) expect(() => process.kill(pid, 0)).toThrow("ESRCH");
});

test("a pod that runs once succeeds; one that fails once has failed", async () => {
  const spec = (script: string) => ({ restartPolicy: "Never" as const, containers: [shell("main", script)] });
  sandbox.api.create(PODS, pod("done", spec("echo a; echo b; echo c")));
  sandbox.api.create(PODS, pod("failed", spec("kill -9 $$$$")));
  await eventually("succeeded", () => getPod(sandbox.api, "done")?.status?.phase === "Succeeded");
  await eventually("failed", () => getPod(sandbox.api, "failed")?.status?.phase === "Failed");
  expect(status("failed", "main")?.state.terminated).toMatchObject({ exitCode: 137, signal: 9, reason: "Error" });
  expect(log("done", "main", { tailLines: 2 })).toBe("b\nc\n");
  expect(() => log("done", "other")).toThrow("container other is not valid for pod done");
  expect(() => log("nobody")).toThrow('pods "nobody" not found');
});

test("an image that stands for a program is run without a command, whatever its tag", async () => {
  const container = { name: "main", image: "registry.example/tool:v2@sha256:00", args: ["fetch", "--to=/w"] };
  sandbox.api.create(PODS, pod("tool", { restartPolicy: "Never", containers: [container] }));
  await eventually("succeeded", () => getPod(sandbox.api, "tool")?.status?.phase === "Succeeded");
  expect(log("tool")).toBe("tool fetch --to=/w\n");
  expect(OWN_IMAGE).toBe(CONFIGURED_IMAGE);
});
