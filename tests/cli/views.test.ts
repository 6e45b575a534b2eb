// What people see, as golden texts: plain in a pipe, a table on a terminal, nothing harmful in either.
import { expect, test } from "vitest";
import { explainView, renderExplain } from "../../src/cli/explain-view.ts";
import { after, age, moment, number, span } from "../../src/cli/format.ts";
import { historyRows, renderHistory } from "../../src/cli/history-view.ts";
import { document, type Style } from "../../src/cli/output.ts";
import { renderList, renderStatus, statusView } from "../../src/cli/status-view.ts";
import { ago, deployment, guarding, history, identity, NOW, record, ref, rolledBack } from "./fixtures.ts";

const PIPE: Style = { terminal: false, color: false, width: 80, wide: false };
const TERMINAL: Style = { terminal: true, color: false, width: 100, wide: false };

test("status of a proven deployment", () => {
  expect(renderStatus(statusView(guarding()), NOW, PIPE)).toBe(`fraud/scorer   Guarding
Why      r1 (scorer-1.0.0) is proven and guarded
Pinned   scorer-1.0.0 (r1)
Serves   r1 (scorer-1.0.0), since 2026-11-24 11:00:00Z (1h), proven 50m ago, 3 of 3 pods ready
Return   not possible (NoTarget): there is no proven revision to return to
Policy   RollbackPolicy/strict (generation 2)

CHECK         VERDICT   VALUE      THRESHOLD   BASELINE   SEVERITY   SINCE   MESSAGE
error-ratio   Healthy   0.001235   ≤ 0.02      -          Critical   50m     0.00123 within ≤ 0.02
`);
});

test("status after a rollback names what was taken back, when, and why", () => {
  expect(renderStatus(statusView(rolledBack()), NOW, PIPE)).toBe(`fraud/scorer   RolledBack
Why           scorer-2.0.0 is quarantined and is not rolled out again; r1 (scorer-1.0.0) serves
Pinned        scorer-2.0.0 (r2)
Serves        r1 (scorer-1.0.0), since 2026-11-24 11:57:01Z (2m59s), proven 1h13m ago, 3 of 3 pods ready
Return        not possible (NoTarget): there is no other proven revision
Last return   r2 (scorer-2.0.0) → r1 (scorer-1.0.0), 2m59s ago, Verified; accuracy: 0.62 is not ≥ 0.85; detected 2026-11-24 11:57:00Z, decided +12ms, traffic restored +238ms, verified +1m20s

CHECK       VERDICT        VALUE   THRESHOLD   BASELINE   SEVERITY   SINCE   MESSAGE
accuracy    Healthy        0.91    ≥ 0.85      0.913      Critical   1m40s   -
available   Insufficient   -       -           -          Critical   1m40s   -

QUARANTINED    REVISION   REASON     SINCE   WEIGHTS        MESSAGE
scorer-2.0.0   r2         Breached   3m      222222222222   accuracy: 0.62 is not ≥ 0.85
`);
});

test("status of a canary shows its step, what is asked and what is reached", () => {
  const mdep = guarding();
  mdep.spec.strategy = {
    type: "Canary",
    canary: {
      steps: [
        { weight: 5, hold: "5m" },
        { weight: 50, pause: true },
      ],
    },
  } as never;
  const candidate = { candidate: ref(2) };
  const rollout = { sequence: 2, revision: 2, startedAt: ago(300), step: 0, weight: 5, share: 25, stepSince: ago(60) };
  mdep.status = { ...mdep.status, phase: "Shifting", ...candidate, rollout };
  const text = renderStatus(statusView(mdep), NOW, PIPE);
  expect(text).toContain("Candidate   r2 (scorer-2.0.0), unproven\n");
  expect(text).toContain("Canary      step 1 of 2, 5 % asked, 25 % reached, for 1m\n");
  mdep.status.rollout = { ...rollout, step: 2 };
  expect(renderStatus(statusView(mdep), NOW, PIPE)).toContain("Canary      past its last step");
});

test("status of several on a terminal is a table that keeps to its width", () => {
  const views = [guarding(), rolledBack()].map(statusView);
  const text = renderList(views, NOW, { ...TERMINAL, namespaces: true });
  expect(
    text,
  ).toBe(`NAMESPACE   NAME     PINNED         SERVES                     SINCE   PHASE        HEALTHY   RETURN     READY
fraud       scorer   scorer-1.0.0   r1 (scorer-1.0.0) Proven   1h      Guarding     True      NoTarget   3/3
fraud       scorer   scorer-2.0.0   r1 (scorer-1.0.0) Proven   2m59s   RolledBack   True      NoTarget   3/3
`);
  const wide = renderStatus(statusView(rolledBack()), NOW, { ...TERMINAL, width: 120 });
  expect(Math.max(...wide.split("\n").map((line) => line.length))).toBeLessThanOrEqual(120);
});

test("colours stand beside words, never in place of them", () => {
  const plain = renderStatus(statusView(rolledBack()), NOW, { ...TERMINAL, width: 200 });
  const colored = renderStatus(statusView(rolledBack()), NOW, { ...TERMINAL, width: 200, color: true });
  expect(colored).toContain("\u001b[31mRolledBack\u001b[39m");
  expect(colored.replace(/\u001b\[\d+m/g, "")).toBe(plain);
});

test("a deployment that no operator has seen yet", () => {
  const view = statusView(deployment("fresh", {}));
  expect(renderStatus(view, NOW, PIPE)).toBe(`fraud/fresh   Unknown
Pinned   scorer-1.0.0
Serves   nothing
Return   not known yet
`);
  expect(explainView(deployment("fresh", {})).cause).toContain("no operator has looked at it yet");
});

test("status says what would be done, what limits it, and which request was refused", () => {
  const about = guarding();
  Object.assign(about.status ?? {}, {
    recommendation: {
      action: "Return",
      mode: "Recommend",
      from: identity(2),
      to: identity(1),
      reason: "Breached",
      message: "error-ratio (≤ 0.02) is breached",
      since: ago(300),
    },
    freeze: { active: true, from: ago(60), until: ago(-3600), schedule: "0 18 * * 5 (Europe/Berlin)" },
    missingData: { since: ago(900), checks: ["latency"], alerted: true },
    refused: { kind: "promote", request: "r9/x", message: "r9 is neither the candidate nor baking", at: ago(10) },
  });
  const text = renderStatus(statusView(about), NOW, PIPE);
  expect(text).toContain("return from r2 (scorer-2.0.0) to r1 (scorer-1.0.0), recommended since");
  expect(text).toMatch(/Frozen +until .*, by 0 18 \* \* 5 \(Europe\/Berlin\)/);
  expect(text).toMatch(/No data +of latency since/);
  expect(text).toMatch(/Refused +promote r9\/x: r9 is neither/);
  Object.assign(about.status?.refused ?? {}, { at: ago(7200) });
  expect(renderStatus(statusView(about), NOW, PIPE)).not.toContain("Refused");
});

test("no terminal escape, line break or reordering mark of an answer reaches the terminal", () => {
  const evil = rolledBack();
  const text = "\u001b]0;owned\u0007\u001b[2Jgone\r\nfake line\u009b31m\u202etxt.exe";
  Object.assign(evil.metadata, { name: text, namespace: text });
  Object.assign(evil.spec, { version: text });
  const status = evil.status ?? {};
  Object.assign(status, { message: text, reason: text, phase: text });
  for (const check of status.checks ?? []) Object.assign(check, { name: text, message: text, threshold: text, verdict: text });
  for (const entry of status.quarantine ?? []) Object.assign(entry, { version: text, message: text, reason: text });
  Object.assign(status.rollback ?? {}, { message: text, check: text });
  for (const entry of status.history ?? []) Object.assign(entry, { message: text, changeCause: text, action: text });
  const harmless = /^[^\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]*$/;
  for (const style of [PIPE, TERMINAL, { ...PIPE, wide: true }]) {
    const view = statusView(evil);
    expect(renderStatus(view, NOW, style)).toMatch(harmless);
    expect(renderList([view], NOW, { ...style, namespaces: true })).toMatch(harmless);
    expect(renderExplain(explainView(evil), style)).toMatch(harmless);
    expect(renderHistory(historyRows(evil, []), NOW, style)).toMatch(harmless);
  }
  for (const format of ["json", "yaml"] as const) expect(document(statusView(evil), format)).toMatch(harmless);
  // JSON keeps what it hides.
  expect(JSON.parse(document({ text }, "json"))).toEqual({ text });
});

test("history is the status and the records as one list, oldest to newest, each transition once", () => {
  const rows = historyRows(rolledBack(), [
    record(2, { message: "as the record says" }),
    record(0, { startedAt: "2026-11-01T00:00:00Z" }),
  ]);
  expect(rows.map((row) => [row.sequence, row.message, row.record])).toEqual([
    [0, "every Critical check was healthy for 10 min", "scorer-0"],
    [1, "every Critical check was healthy for 10 min", undefined],
    [2, "as the record says", "scorer-2"],
  ]);
  // The same number of an earlier deployment of this name is another transition.
  const earlier = record(2, { deployment: { name: "scorer", uid: "uid-0" }, finishedAt: "2026-01-01T00:00:00Z" });
  expect(historyRows(rolledBack(), [earlier]).map((row) => [row.sequence, row.deployment])).toEqual([
    [1, "uid-1"],
    [2, "uid-0"],
    [2, "uid-1"],
  ]);
});

test("the history table says who, what, how it ended and why", () => {
  expect(renderHistory(historyRows(rolledBack(), []), NOW, PIPE)).toBe(
    `SEQ   ENDED       ACTION          FROM                TO                  OUTCOME      BY                     TOOK    WHY
1     1h13m ago   Rollout (Pin)   -                   r1 (scorer-1.0.0)   Proven       flux (field manager)   10m     every Critical check was healthy for 10 min
2     3m ago      Rollout (Pin)   r1 (scorer-1.0.0)   r2 (scorer-2.0.0)   RolledBack   ada@example.com        3m40s   "retrained on October data"; accuracy: 0.62 is not ≥ 0.85
`,
  );
  const wide = renderHistory(historyRows(rolledBack(), [record(2)]), NOW, { ...PIPE, wide: true });
  expect(wide).toContain("scorer-2   accuracy 0.62 Breached (≥ 0.85, baseline 0.91)");
  expect(history()).toHaveLength(2);
});

test("explain says why, and what can be done now, as commands to copy", () => {
  expect(renderExplain(explainView(rolledBack()), PIPE)).toBe(
    `fraud/scorer is RolledBack: the pinned version was taken back and its content is quarantined, so that syncing the same pin again changes nothing; the last healthy version serves.

The operator says
  scorer-2.0.0 is quarantined and is not rolled out again; r1 (scorer-1.0.0) serves

Also
  - r1 (scorer-1.0.0) serves.
  - Check available (Critical) of r1 is Insufficient: too few samples to judge.
  - scorer-2.0.0 is quarantined by its content, as r2, since 2026-11-24T11:57:00.000Z (Breached: accuracy: 0.62 is not ≥ 0.85).
  - If it breaches now, no return is possible: there is no other proven revision.

What can be done now
  - see what happened before
      kubectl rollguard history scorer -n fraud
  - pin another version (in Git, where Git owns the object)
      kubectl patch mdep scorer -n fraud --type=merge -p '{"spec":{"version":"<version>"}}'
  - or try the same one again
      kubectl rollguard retry scorer scorer-2.0.0 -n fraud
`,
  );
});

test("a name that a shell would take for more than a name is quoted in commands", () => {
  const evil = rolledBack();
  Object.assign(evil.spec, { version: "x;rm -rf ~'`id`" });
  const { next } = explainView(evil);
  expect(next.at(-1)?.command).toContain("retry scorer 'x;rm -rf ~`id`' -n fraud");
});

test("numbers and times as a person reads them", () => {
  expect([0, 3, 850, 12_000, 200_000, 18_120_000, 90_000_000, 1.2e9].map(span)).toEqual([
    "0ms",
    "3ms",
    "850ms",
    "12s",
    "3m20s",
    "5h2m",
    "1d1h",
    "13d",
  ]);
  expect(age("2026-11-24T11:59:59.500Z", NOW)).toBe("0s");
  expect(age("2026-11-24T13:00:00Z", NOW)).toBe("0s");
  expect(age("nonsense", NOW)).toBeUndefined();
  expect(after("2026-11-24T12:00:00Z", "2026-11-24T12:00:01.500Z")).toBe("+1s");
  expect(moment("2026-11-24T12:00:00.999Z")).toBe("2026-11-24 12:00:00Z");
  expect([0.0012346, 12, 0.1 + 0.2, 1234.5678, undefined].map(number)).toEqual(["0.001235", "12", "0.3", "1235", undefined]);
});
