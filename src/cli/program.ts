// The command line: which commands and flags there are, their help, and how an error becomes lines and an exit code.
import { Command, CommanderError, Option } from "commander";
import { ConfigError, fetchEnvironment, type OperatorFlags, SETTINGS } from "../config.ts";
import { sanitizeLine } from "../text.ts";
import { buildInfo } from "../version.ts";
import { CliError, EXIT, type Io } from "./io.ts";
import { document, FORMATS, type Format } from "./output.ts";
import type { PolicyOptions } from "./policy.ts";
import { addRequestCommands } from "./request-commands.ts";
import type { SandboxFlags } from "./sandbox.ts";
import type { CommonOptions } from "./session.ts";
import { addTrialCommands } from "./trial-commands.ts";

/** Runs one command line (without node and script) and resolves with its exit code. Never rejects. */
export async function run(argv: readonly string[], invokedAs: string, io: Io): Promise<number> {
  try {
    // Each pod with weights starts with it: nothing of commander or the Kubernetes client needs to be loaded.
    if (argv[0] === "fetch" && !argv.includes("--help") && !argv.includes("-h")) return await fetchWeights(argv.slice(1), io);
    let code: number = EXIT.ok;
    const program = build(invokedAs, io, (result) => {
      code = result;
    });
    await program.parseAsync([...argv], { from: "user" });
    return code;
  } catch (error) {
    return report(error, io);
  }
}

async function fetchWeights(argv: readonly string[], io: Io): Promise<number> {
  const { runFetch } = await import("../artifacts/run.ts");
  return runFetch(fetchEnvironment(), argv, { write: (line) => io.out(`${line}\n`), signal: io.signal });
}

function report(error: unknown, io: Io): number {
  // commander has said it already.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  if (error instanceof ConfigError) {
    for (const line of error.message.split("\n")) io.err(`error: ${sanitizeLine(line)}\n`);
    return EXIT.usage;
  }
  const message = error instanceof Error ? error.message : String(error);
  io.err(`error: ${sanitizeLine(message, 1024)}\n`);
  if (error instanceof CliError) {
    for (const hint of error.hints) io.err(`  ${sanitizeLine(hint, 1024)}\n`);
    return error.exitCode;
  }
  // Whatever is left is a bug of ours; its place is worth more than a pretty screen.
  if (error instanceof Error && error.stack) {
    for (const line of error.stack.split("\n").slice(1, 8)) io.err(`${sanitizeLine(line)}\n`);
  }
  return EXIT.failed;
}

function build(invokedAs: string, io: Io, done: (code: number) => void): Command {
  const program = new Command(invokedAs)
    .description("Keeps model deployments on the version they are pinned to, guards them, and takes them back by itself.")
    .exitOverride()
    // After a command's name its own options count: what `-o` may be differs.
    .enablePositionalOptions()
    .showHelpAfterError("(--help shows what there is)")
    .configureOutput({ writeOut: (text) => io.out(text), writeErr: (text) => io.err(text) })
    .addHelpText("after", `\nExit codes: ${EXIT.ok} done, ${EXIT.failed} failed or not found, ${EXIT.usage} wrong usage.`);
  // Known before a command too, as kubectl's users write them; each command's help shows its own.
  for (const option of commonOptions()) program.addOption(option.hideHelp());

  const people = (command: Command, ...aside: string[]) => {
    for (const option of commonOptions()) if (!aside.includes(option.attributeName())) command.addOption(option);
    return command;
  };
  const merged = (command: Command) => command.optsWithGlobals<CommonOptions & Record<string, string | boolean>>();

  people(program.command("status"))
    .description("what serves, since when, proven or not, and what each check says")
    .argument("[name]", "a ModelDeployment; without one, all are listed")
    .option("-w, --watch", "stay, and show each change until Ctrl-C")
    .action(async (name: string | undefined, _flags: object, command: Command) => {
      const { status } = await import("./commands.ts");
      done(await status(name, merged(command), io));
    });
  people(program.command("history"))
    .description("every rollout and return of a deployment, oldest first, also after it was deleted")
    .argument("<name>", "a ModelDeployment")
    .option("--limit <number>", "the newest ones only; 0 is all", "20")
    .action(async (name: string, _flags: object, command: Command) => {
      const { history } = await import("./commands.ts");
      done(await history(name, merged(command), io));
    });
  people(program.command("explain"))
    .description("why a deployment is as it is, and what you can do now")
    .argument("<name>", "a ModelDeployment")
    .action(async (name: string, _flags: object, command: Command) => {
      const { explain } = await import("./commands.ts");
      done(await explain(name, merged(command), io));
    });
  addRequestCommands({ program, io, done, people });
  addTrialCommands({ program, io, done, people });
  const policy = program.command("policy").description("the policy of a deployment, merged from its layers");
  people(policy.command("show"))
    .description("the policy in force: each field with the layer that it comes from, and what a layer was refused")
    .argument("[name]", "a ModelDeployment")
    .option(
      "-f, --filename <file>",
      "what these files would make together instead: cluster policies, a RollbackPolicy, a ModelDeployment",
      (file: string, all: string[] = []) => [...all, file],
    )
    .action(async (name: string | undefined, _flags: object, command: Command) => {
      const { policyShow } = await import("./policy.ts");
      done(await policyShow(name, command.optsWithGlobals<PolicyOptions>(), io));
    });
  people(program.command("version"), "namespace", "allNamespaces", "kubeconfig", "context")
    .description("the version of this program")
    .action((_flags: object, command: Command) => {
      io.out(versionText(merged(command).output ?? "table"));
    });

  const operator = program
    .command("operator")
    .description("run the operator, inside of a cluster or, with --kubeconfig, outside of one");
  for (const setting of SETTINGS) {
    operator.addOption(new Option(setting.flag, `${setting.help} (${setting.env}; default: ${setting.fallback})`));
    if (setting.key === "leaderElect")
      operator.addOption(new Option("--no-leader-elect", "the same as --leader-elect false").hideHelp());
    if (setting.key === "namespaces")
      operator.addOption(new Option("-n, --namespace <name>", "the same for one namespace").hideHelp());
  }
  operator
    .addHelpText(
      "after",
      "\nA flag goes before its variable. The log is JSON on standard output; SIGTERM releases the Lease and ends it.",
    )
    .action(async (_flags: object, command: Command) => {
      const { operator: start } = await import("./operator.ts");
      done(await start(operatorFlags(merged(command)), io));
    });

  program
    .command("sandbox")
    .description("start an embedded Kubernetes on this machine, to try Rollguard with kubectl; it stays up until Ctrl-C")
    .option("--dir <folder>", "keep the kubeconfig and the pods' files here; default: a temporary folder that is removed")
    .option("--port <number>", "port of its API server on 127.0.0.1; default: a free one")
    .action(async (flags: SandboxFlags) => {
      const { sandbox } = await import("./sandbox.ts");
      done(await sandbox(flags, invokedAs, io));
    });
  program
    .command("fetch")
    .description(
      "download and verify a model's weights; what the init container runs, by the ROLLGUARD_ variables of its environment",
    );
  return program;
}

/** Names as the settings have them. `-n x` means the same as `--namespaces x`; commander makes booleans of the negated flag. */
function operatorFlags(options: CommonOptions & Record<string, string | boolean>): OperatorFlags {
  const flags: OperatorFlags = {};
  for (const { key } of SETTINGS) {
    const value = options[key];
    if (value !== undefined) flags[key] = value;
  }
  if (flags.namespaces === undefined && options.namespace !== undefined) flags.namespaces = options.namespace;
  return flags;
}

function commonOptions(): Option[] {
  return [
    new Option("-n, --namespace <name>", "the namespace; default: the context's"),
    new Option("-A, --all-namespaces", "all namespaces"),
    new Option("--kubeconfig <file>", "kubeconfig of the cluster; default: KUBECONFIG, then ~/.kube/config"),
    new Option("--context <name>", "context of the kubeconfig; default: its current one"),
    new Option("-o, --output <format>", "table and wide are lines in a pipe; json and yaml are for programs").choices(FORMATS),
  ];
}

function versionText(format: Format): string {
  const info = buildInfo();
  if (format === "json" || format === "yaml") return document(info, format);
  const commit = info.commit === undefined ? "" : `, commit ${info.commit}`;
  return `rollguard ${info.version} (node ${info.node}${commit}${info.bundled ? "" : ", from its sources"})\n`;
}
