// Faults that are planted in a copy of the operator's code, one at a time, to see that the simulation finds them. `find` must be there
// exactly once: where the code has changed, the fault has to be planted anew.

export interface Planted {
  name: string;
  file: string;
  find: string;
  replace: string;
}

export const PLANTED: readonly Planted[] = [
  {
    name: "skip the write-ahead: act first, write the status afterwards",
    file: "src/controllers/reconcile.ts",
    find: `    const after = decision.changed ? await this.#write(key, deployment, decision) : deployment;`,
    replace: `    const after = { ...deployment, status: decision.status };
    if (decision.changed) await this.#act(key, after, { ...snapshot, deployment: after }, plan(snapshot, decision.status, now)).then(() => this.#write(key, deployment, decision));`,
  },
  {
    name: "write the status without its resource version",
    file: "src/controllers/execute.ts",
    find: `metadata: { name, namespace, uid, resourceVersion }, spec: deployment.spec, status };`,
    replace: `metadata: { name, namespace, uid, resourceVersion: (await executor.client.get(RESOURCES.modelDeployments, { name, namespace })).metadata.resourceVersion }, spec: deployment.spec, status };`,
  },
  {
    name: "apply Services and children without the resource version that was compared with",
    file: "src/controllers/apply.ts",
    find: `resourceVersion === undefined ? wanted : { ...wanted, metadata: { ...wanted.metadata, resourceVersion } };`,
    replace: `wanted;`,
  },
  {
    name: "decide on the cached status, not on the newer one that was written",
    file: "src/controllers/memory.ts",
    find: `    if (!cached || !written) return cached;`,
    replace: `    if (cached) return cached;
    if (!cached || !written) return cached;`,
  },
  {
    name: "hold nothing that a restart has not seen: trust a list that failed as an empty one",
    file: "src/kube/reflector.ts",
    find: `    this.#failures++;
    const text`,
    replace: `    this.#failures++;
    if (state.name === "Listing") {
      this.#store.swap([]);
      this.#synced.resolve();
    }
    const text`,
  },
  {
    name: "lose one event in fifty",
    file: "src/kube/reflector.ts",
    find: `        if (event.type !== "BOOKMARK" && holds(event.object) &&`,
    replace: `        if (Number(version) % 50 !== 7 && event.type !== "BOOKMARK" && holds(event.object) &&`,
  },
  {
    name: "after 410 go on watching from the same place",
    file: "src/kube/reflector.ts",
    find: `    if (now.name !== "Watching" || kind === "Gone") return { name: "Listing" };`,
    replace: `    if (now.name !== "Watching") return { name: "Listing" };`,
  },
  {
    name: "never notice a watch that went dead",
    file: "src/kube/reflector.ts",
    find: `        else controller.abort(new ApiError("Network", \`watch \${resource.plural}: nothing came for \${silenceMs} ms\`));`,
    replace: `        else timer = arm(silenceMs);`,
  },
  {
    name: "take an event that is told again for a change, whatever its version",
    file: "src/kube/store.ts",
    find: `    if (isNewer(metadata.resourceVersion, since) === false) return old === undefined ? "OutOfOrder" : "Stale";`,
    replace: ``,
  },
  {
    name: "take 409 for success",
    file: "src/controllers/apply.ts",
    find: `  const applied = await executor.client.apply(object, { fieldManager: FIELD_MANAGER, force: true, ...(lane ? { lane } : {}) });`,
    replace: `  const applied = await executor.client.apply(object, { fieldManager: FIELD_MANAGER, force: true, ...(lane ? { lane } : {}) }).catch(() => present ?? object);
  if (applied.metadata.resourceVersion === resourceVersion) executor.settled.set(present ?? object, text);`,
  },
  {
    name: "write without holding the lease",
    file: "src/controllers/operator.ts",
    find: `    if (remainingMs() < WRITE_LIMIT_MS) throw`,
    replace: `    if (remainingMs() < -WRITE_LIMIT_MS) throw`,
  },
  {
    name: "lead by the wall clock, not by the monotonic one",
    file: "src/kube/lease.ts",
    find: `      safetyMs: 1_000,
      ...options,`,
    replace: `      safetyMs: 1_000,
      ...options,
      clock: { now: () => options.clock.now(), monotonic: () => options.clock.now(), after: (ms, fn) => options.clock.after(ms, fn) },`,
  },
  {
    name: "take over a lease by the times that are written in it",
    file: "src/kube/lease.ts",
    find: `    return !lease.spec?.holderIdentity || this.#isOurs(lease) || this.#options.clock.monotonic() >= this.#expiry(lease);`,
    replace: `    return !lease.spec?.holderIdentity || this.#isOurs(lease) || this.#options.clock.now() >= Date.parse(lease.spec?.renewTime ?? "") + 10_000;`,
  },
  {
    name: "measure the API server's time by our wall clock",
    file: "src/kube/servertime.ts",
    find: `    return this.#clock.monotonic() + this.#offset;`,
    replace: `    return this.#clock.now();`,
  },
  {
    name: "judge on unknown: what is not a number is bad",
    file: "src/core/window.ts",
    find: `  const usable = reading.kind === "Value" && reading.value !== undefined && Number.isFinite(reading.value);`,
    replace: `  if (reading.kind === "NotFinite" || reading.kind === "Error") reading = { ...reading, kind: "Value", value: 1 };
  const usable = reading.kind === "Value" && reading.value !== undefined && Number.isFinite(reading.value);`,
  },
  {
    name: "forget to quarantine what was left",
    file: "src/core/rules/return.ts",
    find: `  if (!own.every((one) => isShared(one, snapshot, context.candidate))) quarantine(context, active, "Breached", breached);`,
    replace: ``,
  },
  {
    name: "forget the number of a transition in progress after a restart: count by the history",
    file: "src/core/transitions.ts",
    find: `  status.sequence = Math.max(status.sequence ?? 0, snapshot.floor.sequence) + 1;`,
    replace: `  status.sequence = Math.max(status.history?.at(-1)?.sequence ?? 0, snapshot.floor.sequence) + 1;`,
  },
  {
    name: "drop the entry of a return that is closed",
    file: "src/core/transitions.ts",
    find: `  if (outcome === "Verified") rollback.verifiedAt = iso(now);
  close(context, {`,
    replace: `  if (outcome === "Verified") rollback.verifiedAt = iso(now);
  if (outcome !== "Unverified") close(context, {`,
  },
  {
    name: "take a record for written before it is",
    file: "src/controllers/record.ts",
    find: `    executor.assertLeading();
    try {
      await writeRecord(`,
    replace: `    executor.assertLeading();
    written.add(id);
    try {
      await writeRecord(`,
  },
  {
    name: "name a record by the process that writes it",
    file: "src/controllers/record.ts",
    find: `    metadata: { name: recordName(name, entry.sequence), namespace`,
    replace: `    metadata: { name: \`\${recordName(name, entry.sequence)}-\${kept.length}\`, namespace`,
  },
  {
    name: "move the traffic to a target that is not ready",
    file: "src/core/target.ts",
    find: `  return activeReady === 0 || (targetReady > 0 && targetReady >= WARM_SHARE * activeReady);`,
    replace: `  return activeReady === 0 || targetReady >= 0;`,
  },
  {
    name: "return to what is quarantined",
    file: "src/core/target.ts",
    find: `      !known.revoked &&
      !isQuarantined(status, known.hash) &&
      !passedOver`,
    replace: `      !known.revoked &&
      !passedOver`,
  },
  {
    name: "prove by time alone, also without samples",
    file: "src/core/gates.ts",
    find: `    if (judgement.verdict !== "Healthy") return { reason: "AwaitingData"`,
    replace: `    if (judgement.verdict === "Insufficient") return { reason: "AwaitingData"`,
  },
  {
    name: "not count the decision that gives the traffic back",
    file: "src/core/transitions.ts",
    find: `  const { status, now } = context;
  status.decision = (status.decision ?? 0) + 1;
  const active`,
    replace: `  const { status, now } = context;
  if (!status.rollback) status.decision = (status.decision ?? 0) + 1;
  const active`,
  },
  {
    name: "hold a candidate responsible for pods that the node does not run",
    file: "src/controllers/facts.ts",
    find: `    accountable: started && nodeReady && !evicted,`,
    replace: `    accountable: true,`,
  },
  {
    name: "leave a failed pass until something changes",
    file: "src/workqueue/queue.ts",
    find: `    } else entry.due = retry;`,
    replace: `    } else if (entry.failures > 3) entry.due = retry;`,
  },
];
