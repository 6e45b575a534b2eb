// The commands by which a person decides: which there are and what they are called. What they do is in requests.ts.
import type { Command } from "commander";
import type { RequestKind } from "../api/names.ts";
import type { Io } from "./io.ts";
import type { RequestOptions } from "./requests.ts";

interface Described {
  command: string;
  kind: RequestKind;
  summary: string;
  /** What the target may be; absent: there is one thing to name. */
  target?: string;
}

const COMMANDS: readonly Described[] = [
  {
    command: "rollback",
    kind: "rollbackTo",
    summary: "take the traffic back to an earlier revision; what serves now is quarantined",
    target: "a version, a revision such as r7, or previous (the default): the one that was proven last",
  },
  {
    command: "promote",
    kind: "promote",
    summary:
      "give the candidate more traffic whatever its checks or a freeze say, end a canary's pause, or declare what bakes proven",
    target: "a revision such as r7, or a version; default: the candidate, otherwise what bakes",
  },
  {
    command: "retry",
    kind: "retry",
    summary: "lift a quarantine or a stall and try it again",
    target: "a version, or a revision such as r7; default: the pinned version",
  },
  {
    command: "approve",
    kind: "approve",
    summary: "do what is recommended (mode Recommend)",
    target: "the revision to leave, such as r7; default: the one that is recommended to be left",
  },
  { command: "pause", kind: "pause", summary: "stop rollouts and automatic returns; see the help for what goes on" },
  { command: "resume", kind: "resume", summary: "end a pause" },
];

const PAUSED =
  "\nPaused or not: scaling, healing, revocations, a rollback that a person asks for and the returns of a Required policy go on.";

/** @param people adds the options that all commands for people have */
export function addRequestCommands(input: {
  program: Command;
  io: Io;
  done(code: number): void;
  people(command: Command, ...aside: string[]): Command;
}): void {
  const { program, io, done, people } = input;
  for (const { command, kind, summary, target } of COMMANDS) {
    const built = people(program.command(command), "allNamespaces")
      .description(summary)
      .argument("<name>", "a ModelDeployment")
      .option("--reason <text>", "why; it is kept in the history and in the record")
      .option("--no-wait", "do not wait until the operator has handled it")
      .option("--timeout <seconds>", "how long to wait for the operator", "60");
    if (target !== undefined) built.argument("[target]", target);
    if (kind === "pause") built.addHelpText("after", PAUSED);
    built.action(async (name: string, ...rest: unknown[]) => {
      const { request } = await import("./requests.ts");
      const self = rest.at(-1) as Command;
      const asked = target === undefined ? undefined : (rest[0] as string | undefined);
      done(await request(kind, name, asked, self.optsWithGlobals<RequestOptions>(), io));
    });
  }
}
