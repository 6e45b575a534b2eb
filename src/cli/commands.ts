// The commands for people: status, history, explain. Each reads from the cluster, makes a view, and prints it.
import type { ModelDeployment } from "../api/modeldeployment.ts";
import type { RolloutRecord } from "../api/rolloutrecord.ts";
import { systemClock } from "../clock.ts";
import type { KubeObject } from "../kube/objects.ts";
import { RESOURCES } from "../kube/resources.ts";
import { explainView, renderExplain } from "./explain-view.ts";
import { follow } from "./follow.ts";
import { historyRows, renderHistory } from "./history-view.ts";
import { CliError, EXIT, type Io } from "./io.ts";
import { document, type Format, type Style } from "./output.ts";
import { type CommonOptions, findDeployment, listObjects, type Session, unknownDeployment, withSession } from "./session.ts";
import { renderList, renderStatus, type StatusView, statusView } from "./status-view.ts";

const styleOf = (io: Io, format: Format): Style => ({
  terminal: io.terminal,
  color: io.color,
  width: io.width,
  wide: format === "wide",
});

const isDocument = (format: Format): format is "json" | "yaml" => format === "json" || format === "yaml";

/** `status [name]`, once or, with `watch`, until Ctrl-C. */
export function status(name: string | undefined, options: CommonOptions & { watch?: boolean }, io: Io): Promise<number> {
  const format = options.output ?? "table";
  return withSession(options, io, async (session) => {
    if (options.watch) return watchStatus(session, name, format);
    if (name !== undefined) {
      const mdep = await findDeployment(session, name);
      if (!mdep) throw await unknownDeployment(session, name);
      io.out(statusText(session, [statusView(mdep)], name, format));
      return EXIT.ok;
    }
    const { items } = await listObjects<ModelDeployment & KubeObject>(
      session.client,
      RESOURCES.modelDeployments,
      session.namespace,
    );
    if (items.length === 0 && !isDocument(format)) {
      io.err(`there are no ModelDeployments in ${session.namespace ?? "any namespace"}\n`);
      return EXIT.ok;
    }
    io.out(statusText(session, items.map(statusView), name, format));
    return EXIT.ok;
  });
}

function statusText(session: Session, views: StatusView[], name: string | undefined, format: Format): string {
  const single = name === undefined ? undefined : views[0];
  if (isDocument(format)) return document(single ?? views, format);
  const style = styleOf(session.io, format);
  const now = session.client.serverNow();
  if (single) return renderStatus(single, now, style);
  return renderList(views, now, { ...style, namespaces: session.namespace === undefined });
}

/** How often a screen is drawn anew without a change, since the ages on it grow. */
const REDRAW_MS = 5000;

async function watchStatus(session: Session, name: string | undefined, format: Format): Promise<number> {
  const { io } = session;
  let shown: StatusView[] | undefined;
  const draw = () => {
    if (!shown) return;
    if (isDocument(format)) return io.out(format === "json" ? document(shown, "json", 0) : `---\n${document(shown, "yaml")}`);
    const text = shown.length === 0 ? "nothing to show\n" : statusText(session, shown, name, format);
    // Home, each line cleared to its end, then the rest of the screen: no flicker, and the scroll-back stays.
    if (io.terminal) io.out(`\u001b[H${text.replaceAll("\n", "\u001b[K\n")}\u001b[J`);
    else io.out(`${text}\n`);
  };
  if (io.terminal && !isDocument(format)) io.out("\u001b[2J");
  const ended = new AbortController();
  const redraw = () => {
    draw();
    if (!ended.signal.aborted) timer = systemClock.after(REDRAW_MS, redraw);
  };
  let timer = systemClock.after(REDRAW_MS, io.terminal && !isDocument(format) ? redraw : () => {});
  try {
    for await (const items of follow(session, name, io.signal)) {
      if (shown === undefined && name !== undefined && items.length === 0) throw await unknownDeployment(session, name);
      shown = items.map(statusView);
      draw();
    }
  } finally {
    ended.abort();
    timer.cancel();
  }
  return EXIT.ok;
}

/** `history <name>`: also of a deployment that is gone, from the records that outlive it. */
export function history(name: string, options: CommonOptions & { limit?: string }, io: Io): Promise<number> {
  const format = options.output ?? "table";
  const limit = options.limit === undefined ? 20 : Number(options.limit);
  if (!Number.isInteger(limit) || limit < 0) throw new CliError("--limit must be a whole number; 0 is all", [], EXIT.usage);
  return withSession(options, io, async (session) => {
    const mdep = await findDeployment(session, name);
    const namespace = mdep?.metadata.namespace ?? session.namespace;
    const { items } = await listObjects<RolloutRecord & KubeObject>(session.client, RESOURCES.rolloutRecords, namespace);
    const rows = historyRows(
      mdep,
      items.filter((record) => record.spec.deployment.name === name),
    );
    if (!mdep && rows.length === 0) throw await unknownDeployment(session, name);
    const shown = limit === 0 ? rows : rows.slice(-limit);
    if (isDocument(format)) {
      io.out(document(shown, format));
      return EXIT.ok;
    }
    if (rows.length === 0) {
      io.err(`${name} has no finished transition yet\n`);
      return EXIT.ok;
    }
    io.out(renderHistory(shown, session.client.serverNow(), styleOf(io, format)));
    if (shown.length < rows.length) io.err(`${rows.length - shown.length} older ones are not shown; --limit 0 shows all\n`);
    return EXIT.ok;
  });
}

/** `explain <name>`. */
export function explain(name: string, options: CommonOptions, io: Io): Promise<number> {
  const format = options.output ?? "table";
  return withSession(options, io, async (session) => {
    const mdep = await findDeployment(session, name);
    if (!mdep) throw await unknownDeployment(session, name);
    const view = explainView(mdep);
    io.out(isDocument(format) ? document(view, format) : renderExplain(view, styleOf(io, format)));
    return EXIT.ok;
  });
}
