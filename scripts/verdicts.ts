// The page docs/verdicts.md: prose, and the tables that the tests judge and measure. Pure; `npm run generate` writes it.
import { GUARD_BASELINE_MS, GUARD_FALSE_ALARM } from "../src/api/defaults.ts";
import { judge } from "../src/core/verdict.ts";
import { addReading, emptyWindow } from "../src/core/window.ts";
import { MEASURED } from "../tests/core/measured.ts";
import { CHECKS, judgeRow, VERDICTS } from "../tests/core/verdict-table.ts";
import { ANSWERS } from "../tests/signals/answers.ts";

const DAY_MS = 86_400_000;

const cell = (text: string) => text.replaceAll("|", "\\|");
const percent = (share: number) => `${Number((100 * share).toPrecision(3))} %`;
const count = (value: number) => value.toLocaleString("en-US");

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map(cell).join(" | ")} |`;
  return [line(head), `|${head.map(() => "---").join("|")}|`, ...rows.map(line)].join("\n");
}

function verdictTables(): string {
  return Object.entries(VERDICTS)
    .map(([title, rows]) => {
      const cells = rows.map((row) => {
        const { verdict, reason, message } = judgeRow(row);
        const stage = row.stage === undefined ? "" : ` (${row.stage})`;
        return [`${CHECKS[row.check].words}${stage}`, row.shape, `**${verdict}**${reason ? `, ${reason}` : ""}`, message];
      });
      return `### ${title}\n\n${table(["check", "what was measured", "verdict", "message"], cells)}`;
    })
    .join("\n\n");
}

/** The verdict on a source that gives this answer and no other. */
function answered(kind: (typeof ANSWERS)[number]["kind"]): string {
  if (kind === "Value") return "is judged";
  const { check } = CHECKS.value;
  const window = emptyWindow(check, 0);
  for (const at of [1, 2]) addReading(window, check, { at: at * check.intervalMs, kind });
  return `**${judge(check, window, {}, "Guard").verdict}**`;
}

function answersTable(): string {
  const rows = ANSWERS.map((one) => [one.source === "Any" ? "each source" : one.source, one.name, one.kind, answered(one.kind)]);
  return table(["source", "the answer", "reading", "verdict"], rows);
}

function sequenceTable(): string {
  const { healthy, doubling } = MEASURED;
  const needed = (one: { half: number; most: number }) => [count(one.half), count(one.most)];
  return table(
    [
      "method",
      `healthy series that are ever called breached, in ${count(healthy.looks)} looks`,
      "requests until a doubling is seen: half of the cases",
      "nine of ten",
    ],
    [
      ["confidence sequence, looked at all the time", percent(healthy.sequence), ...needed(doubling.sequence)],
      [
        "Wilson's interval, looked at once, at a size that was planned",
        `${percent(doubling.fixed.once)}, if it is once`,
        ...needed(doubling.fixed),
      ],
      ["Wilson's interval, looked at all the time", percent(healthy.fixed), "–", "–"],
    ],
  );
}

function alarmsTable(): string {
  return table(
    ["requests a sample", "promised: samples between false alarms", "measured, mean"],
    MEASURED.falseAlarms.map((row) => [count(row.perSample), `at least ${count(row.promised)}`, count(row.mean)]),
  );
}

function delaysTable(): string {
  return table(
    ["rate before", "the rate becomes 2 % on", "requests until the alarm: mean", "half of the cases", "nine of ten"],
    MEASURED.delays.map((row) => [percent(row.before), `day ${row.days}`, count(row.mean), count(row.half), count(row.most)]),
  );
}

export function verdictsPage(): string {
  const { atMost, perMs } = GUARD_FALSE_ALARM;
  const atLimit = MEASURED.delays.find((row) => row.before === 0.01 && row.days === 90);
  return `# Verdicts

<!-- Made by npm run generate from scripts/verdicts.ts and the data of the tests; do not edit. -->

A check of a revision has one verdict at any time:

| verdict | meaning |
|---|---|
| \`Healthy\` | enough samples, and too few of the last ones are bad |
| \`Breached\` | at least \`breach.count\` of the last \`breach.of\` conclusive samples lie beyond the threshold or the baseline. **Only this may take traffic away** |
| \`Insufficient\` | samples come, and are too few, or do not tell for sure |
| \`NoData\` | the source answers, with nothing that can be judged |
| \`ProviderError\` | the source does not answer, or not in its own language |

Unknown never rolls back and never proves: the last three are no reason to return, and no reason to promote.

## How samples are read

- A reading becomes a sample when its source gave one finite number (see [sources.md](sources.md)). One unusable reading keeps what is known; two in a row say that the source is dark.
- One burst must not count twice: a reading whose range overlaps with the last sample's is the same one again. A check with \`overlapping: true\` is asked no oftener than its window is long. A repeated reading and one that is late change nothing.
- Times are the source's own. A clock that is set back shows in two readings that are more than a minute behind the samples and in order among themselves; from then on the times are carried on from where they were. A clock that is set forward proves at most two intervals of a bake.
- A ratio pools its readings until it has \`minSamples\`, over \`bake\` at most. With less traffic than that it is \`Insufficient\`.
- The samples of a breach belong together: one that is older than the newest by more than \`2 × of × interval + window\` does not count to it (of a ratio, which pools, \`bake\` stands for the interval where it is longer). What was measured before an outage of the source makes no breach with what is measured after it; three bad ones after it do.
- A window has at most 100 samples, whatever the length of the guard.

## The table

Each row is judged by the function that the operator judges with, in \`tests/core/verdict-table.ts\`. Where nothing else is said: one reading a minute, \`breach: {count: 3, of: 5}\`, in guard.

${verdictTables()}

## What a source may answer

Each shape of answer that is tested against a real server, the reading that it becomes, and the verdict when it is all that the source says, twice in a row.

${answersTable()}

## Ratios: two situations, two methods

A share of errors among few requests says little, and a check is looked at again and again: whoever compares a plain value with a limit a thousand times will see it beyond the limit by chance. Both methods below count requests, and both hold their promise however often one looks.

### Candidate and bake: a confidence sequence

With \`confidence: 0.95\` a sample of a candidate or a bake is bad when its own value lies beyond the limit *and* the whole confidence sequence of everything counted since judging began does too; it is good when the whole sequence lies within. In between it is \`Insufficient\`. The sequence is right at all looks together with the given confidence, so a healthy model is taken back by chance in at most 5 of 100 rollouts, however long they take.

It is a mixture over Beta(½, ½): H. Robbins, "Statistical methods related to the law of the iterated logarithm", Annals of Mathematical Statistics 41 (1970); S. R. Howard, A. Ramdas, J. McAuliffe, J. Sekhon, "Time-uniform, nonparametric, nonasymptotic confidence sequences", Annals of Statistics 49 (2021).

Measured over ${count(MEASURED.healthy.series)} series at the limit itself (1 %), the worst of what is healthy, 50 requests a look; and for a rate that is 2 % where 1 % is allowed:

${sequenceTable()}

The price of being allowed to look all the time is two to four times the requests. Looking all the time without paying it is wrong in every third rollout. A coarse fault needs neither: where half of the requests fail, the samples of the breach itself (three, say) are enough.

Without \`confidence\`, the value of each pooled sample is compared with the limit as it is.

### Guard: a change detector

The guard never ends, and a confidence sequence over a life of months would get slower and slower: a bad hour weighs little against a good quarter of a year. So a ratio that is guarded is watched by a change detector. It is a breach when \`breach.count\` of the last \`breach.of\` samples lie beyond the limit *and* the detector has crossed its level; with bad samples and a detector below its level it is \`Insufficient\`; while some of the last samples are good, the line in the status stays \`Healthy\`, since that is what chance brings. The message says what was counted: "the change detector crossed its level: 41 of 900 since 2026-11-24T10:03:04Z".

\`falseAlarm: {atMost, per}\` sets the level: with one look a minute and one false alarm in 90 days, ${count(90 * 24 * 60)}, which is the number of looks in that time. Without it, ${atMost} in ${perMs / DAY_MS} days; each ratio is watched. Where a check has several limits, they share what is allowed. The alarm is over when \`breach.of\` samples in a row are within the limit, and the detector starts anew.

It is the Shiryaev–Roberts e-detector with a mixture over seven alternatives, from 1.25 to 100 times the odds of the limit: J. Shin, A. Ramdas, A. Rinaldo, "E-detectors: a nonparametric framework for sequential change detection", New England Journal of Statistics in Data Science 2 (2024). It keeps seven numbers for each limit, whatever the length of the life. While the rate is within the limit, the mean time to a false alarm is at least the promised one, whatever the traffic:

${alarmsTable()}

The delay does not grow with the life that it guards. Limit 1 %, 500 requests a sample, a sample each 5 minutes, one false alarm in 90 days:

${delaysTable()}

${atLimit ? `At the limit itself ${atLimit.falseAlarms} of ${atLimit.falseAlarms + atLimit.series} series had a false alarm within the 90 days; at half the limit none had.` : ""} What is measured is the detector alone; the samples of the breach come on top where they are not bad yet.

A limit that a baseline sets is watched in the same way over the samples that are kept, since it moves with the baseline. That alarms no earlier than a detector that saw everything, so the promise holds.

Both methods take the requests of a sample as independent. A model that fails for whole batches or users at once is less predictable than that; \`breach\` is what protects from a single burst, and larger windows help.

## Baselines

| \`baseline.from\` | compared with |
|---|---|
| \`LastHealthy\` | the newest proven revision other than the judged one: what it measured at the same hour of the day (UTC) while it was proven and healthy, where that is known, otherwise while it baked |
| \`Active\` | the active revision, live: the samples of both since the later of the two beginnings. Until it has one, \`Insufficient\` |
| \`ValidationMetric\` | what the version scored before it was shipped |

- \`maxIncreasePercent\` and \`maxDecreasePercent\` are shares of the baseline's size, \`maxIncrease\` and \`maxDecrease\` are in the value's own unit. Of two limits on one side the nearer one counts.
- A baseline that is missing or not finite is \`NoData\` with the reason \`NoBaseline\`, and so is a zero where only percentages are given. An absolute limit can be laid around zero.
- In guard a breach of a comparison only holds, unless the check says \`guard: Rollback\` and the baseline covers ${GUARD_BASELINE_MS / 3_600_000} hours: a bake as long as that, or samples in each hour of the day. An hour with fewer samples than \`breach.of\` is none: a single one could take back a healthy revision.
- A baseline is of the source and query that it was measured with. When these change, the old value is no baseline of the check, whatever its name; another threshold, severity or \`breach\` keeps it.
- The profile by the hour is kept on the revision's \`ControllerRevision\` (\`rollguard.dev/baseline-hours\`), written four times a day. An operator that ends loses what came since the last write. An hour remembers about the last 500 to 1,000 samples, so that it follows slow changes.
`;
}
