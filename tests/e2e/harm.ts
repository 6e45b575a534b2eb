// What goes wrong with a model server, for real: code that Node loads before the server of the example, by the variable
// NODE_OPTIONS of a version's settings.
import type { Manifest } from "./real.ts";

const preload = (code: string) => `--import=data:text/javascript,${encodeURIComponent(code)}`;

export const HARMS = {
  /** After ten seconds every third answer is a 500. */
  errors: preload(
    "const {concat}=Buffer;let n=0;setTimeout(()=>{Buffer.concat=(...a)=>{if(++n%3===0)throw new Error('broken');return concat(...a)}},10000)",
  ),
  /** After ten seconds each answer takes 0.8 s longer; nothing else of the process does. */
  latency: preload(
    "import{IncomingMessage as M}from'node:http';const own=M.prototype[Symbol.asyncIterator];let slow=false;setTimeout(()=>{slow=true},10000);" +
      "M.prototype[Symbol.asyncIterator]=async function*(){if(slow)await new Promise(r=>setTimeout(r,800));yield*own.call(this)}",
  ),
  /** Takes memory until the kernel ends it. */
  memory: preload("const kept=[];setInterval(()=>kept.push(Buffer.alloc(4e7,1)),20)"),
  /** Ends with an error as soon as it starts. */
  crash: preload("console.error('cannot start');process.exit(3)"),
} as const;

/** Version 1's good weights under another name, with other settings. */
export const harmed =
  (name: string, serving: Record<string, unknown>) =>
  (manifest: Manifest): void => {
    manifest.metadata.name = name;
    Object.assign(manifest.spec ?? {}, { version: name.replace("digits-", ""), serving });
  };

/** The setting that harms. */
export const env = (harm: keyof typeof HARMS, rejectBelow = "0.50") => ({
  env: [
    { name: "REJECT_BELOW", value: rejectBelow },
    { name: "NODE_OPTIONS", value: HARMS[harm] },
  ],
});
