// The commands for trying a policy before it is trusted: their flags and their help.
import { type Command, Option } from "commander";
import type { Io } from "./io.ts";
import type { LintOptions } from "./lint.ts";
import { MATRIX_FORMATS, type MatrixOptions } from "./matrix-formats.ts";
import type { ReplayOptions } from "./replay.ts";

export interface TrialDeps {
  program: Command;
  io: Io;
  done(code: number): void;
  /** Adds the options that all commands for people have, but those named. */
  people(command: Command, ...aside: string[]): Command;
}

export function addTrialCommands({ program, io, done, people }: TrialDeps): void {
  people(program.command("matrix"), "output")
    .description("what a policy does in every situation, decided by the operator's own code")
    .argument("[name]", "a ModelDeployment: its policy in force, with the row marked that applies now")
    .option("-f, --filename <file>", "a policy in a file instead (with the ModelDeployment beside it, if its strategy matters)")
    .addOption(new Option("-o, --output <format>", "table; wide has the words of the decisions").choices(MATRIX_FORMATS))
    .addHelpText(
      "after",
      `
Examples:
  kubectl rollguard matrix -f policy.yaml                    what would happen under this policy, and how fast
  kubectl rollguard matrix -f policy.yaml -o html > m.html   a page to pass on
  kubectl rollguard matrix fraud-scorer -n fraud             the policy in force, and where the deployment is in it now

Times run from the first bad sample; "+ one write" is the Service's selector. Nothing of the cluster is changed.`,
    )
    .action(async (name: string | undefined, _flags: object, command: Command) => {
      const { matrixCommand } = await import("./matrix.ts");
      done(await matrixCommand(name, command.optsWithGlobals<MatrixOptions>(), io));
    });

  people(program.command("replay"), "allNamespaces")
    .description("what a policy would have done with the metrics of a past time, when, and why")
    .requiredOption("-f, --filename <file>", "the policy")
    .option("--against <file>", "a second policy, side by side")
    .option("--from <time>", "since when: RFC 3339, or how long ago, such as 6h or 7d")
    .option("--to <time>", "until when; default: now, or the end of the recording")
    .option("--prometheus <url>", "ask this server, without credentials")
    .option("--source <name>", "ask this MetricSource of the cluster; default: the one that each check names")
    .option("--operator-namespace <name>", "where the secrets of MetricSources are (default: rollguard-system)")
    .option("--recording <file>", "read a recorded file instead: JSON lines or CSV (time,check,value,numerator,denominator)")
    .option("--record <file>", "write what was read; .csv makes it CSV, otherwise JSON lines")
    .option("--name <name>", "${name}: the ModelDeployment that served")
    .option("--revision <number>", "${revision}; with --name also ${workload}")
    .option("--workload <name>", "${workload}, such as fraud-scorer-r7")
    .option("--model-version <name>", "${version}")
    .option("--validation <metric=value...>", "what the version scored before it was shipped, for ValidationMetric")
    .option("--bake", "begin with a revision that has just got the traffic; default: it is proven, with a warm standby")
    .option("--svg <file>", "write a picture of the values with the decisions marked")
    .addHelpText(
      "after",
      `
Examples:
  kubectl rollguard replay -f policy.yaml -n fraud --workload fraud-scorer-r7 --from 24h
  kubectl rollguard replay -f policy.yaml --prometheus http://localhost:9090 -n fraud --workload fraud-scorer-r7 --from 7d --record week.jsonl
  kubectl rollguard replay -f policy.yaml --against stricter.yaml --recording week.jsonl --svg week.svg

The same decisions as the operator's, on recorded time. After a return another revision would have served, of which nothing was
recorded: the incident is noted, and after its cooldown the series goes on being judged as that of a fresh proven revision.
LastHealthy compares with what the recording measured in its first \`bake\`. Built-in checks are left out: pods are not recorded.`,
    )
    .action(async (_flags: object, command: Command) => {
      const { replayCommand } = await import("./replay.ts");
      done(await replayCommand(command.optsWithGlobals<ReplayOptions>(), io));
    });

  people(program.command("lint"))
    .description("what is likely wrong in a policy or a deployment, and how to mend it")
    .argument("[name]", "a ModelDeployment: it, its policy in force and the sources that it uses")
    .option(
      "-f, --filename <file...>",
      "files or folders instead: policies and deployments, best with their sources and versions",
    )
    .option("--strict", "end with 1 for warnings too")
    .addHelpText(
      "after",
      `
Examples:
  kubectl rollguard lint -f policy.yaml -f deployment.yaml
  kubectl rollguard lint -f deploy/ --strict -o json         in a pipeline
  kubectl rollguard lint fraud-scorer -n fraud

Ends with 1 where there is an error. What is found is in addition to what the API server refuses by itself.`,
    )
    .action(async (name: string | undefined, _flags: object, command: Command) => {
      const { lintCommand } = await import("./lint.ts");
      done(await lintCommand(name, command.optsWithGlobals<LintOptions>(), io));
    });
}
