// Reading what containers wrote: logs by their last lines, and the termination message.
import fs from "node:fs";

const MESSAGE_BYTES = 4096;
const MESSAGE_FROM_LOG_BYTES = 2048;
const MESSAGE_FROM_LOG_LINES = 80;

/** The file's text, or its last lines; empty where there is no such file (yet). */
export function readLogFile(file: string, tailLines?: number): string {
  const text = readEnd(file);
  if (tailLines === undefined) return text;
  if (tailLines === 0) return "";
  const lines = text.split("\n");
  const complete = lines.at(-1) === "";
  return lines.slice(-(tailLines + (complete ? 1 : 0))).join("\n");
}

/** What the process left in its termination log, else (where `logFile` is given) the end of its log. */
export function terminationMessage(file: string, logFile: string | undefined): string {
  const message = readEnd(file, MESSAGE_BYTES);
  if (message !== "" || logFile === undefined) return message;
  return readEnd(logFile, MESSAGE_FROM_LOG_BYTES).split("\n").slice(-MESSAGE_FROM_LOG_LINES).join("\n");
}

function readEnd(file: string, bytes?: number): string {
  try {
    const content = fs.readFileSync(file);
    return content.subarray(bytes === undefined ? 0 : Math.max(0, content.length - bytes)).toString("utf8");
  } catch {
    return "";
  }
}
