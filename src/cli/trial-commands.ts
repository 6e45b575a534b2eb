// The commands for trying a policy before it is trusted: their flags and their help.
import { type Command, Option } from "commander";
import type { Io } from "./io.ts";
import { MATRIX_FORMATS, type MatrixOptions } from "./matrix-formats.ts";

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
}
