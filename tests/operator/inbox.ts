// Two sinks of the simulated operator, as they see it: what each got, and when it is well.

import type { RollguardConfig } from "../../src/api/rollguardconfig.ts";
import type { Simulation } from "./simulated.ts";

const CONFIGS = { group: "rollguard.dev", version: "v1alpha1", resource: "rollguardconfigs" };

/** What nobody but the sink may ever see. */
export const SECRET = "T0-B0-s3cr3t-of-the-hook";

export interface CloudEvent {
  id: string;
  type: string;
  subject: string;
  time: string;
  data: { reason: string; message: string; severity: string; transition?: { sequence: number; record?: string } };
}

export class Inbox {
  readonly events: CloudEvent[] = [];
  readonly texts: string[] = [];
  /** The HTTP status of every answer; undefined: none comes. */
  audit: number | undefined = 202;
  chat: number | undefined = 200;
  readonly #simulation: Simulation;

  constructor(simulation: Simulation) {
    this.#simulation = simulation;
    simulation.takeMessage = async ({ url, body = "", signal }) => {
      const isAudit = url === "/audit";
      if (!isAudit && url !== `/services/${SECRET}`) throw new Error(`nobody is at ${url}`);
      const status = isAudit ? this.audit : this.chat;
      if (status === undefined)
        return new Promise((_, reject) => signal?.addEventListener("abort", () => reject(new Error("cut off"))));
      if (status < 300 && isAudit) this.events.push(JSON.parse(body) as CloudEvent);
      if (status < 300 && !isAudit) this.texts.push(...(JSON.parse(body) as { text: string }).text.split("\n"));
      return { status, headers: {}, body: "ok" };
    };
  }

  async configure(...notifications: object[]): Promise<void> {
    const simulation = this.#simulation;
    await simulation.apply({
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name: "hook", namespace: "default" },
      data: { url: Buffer.from(`https://hooks.example/services/${SECRET}`).toString("base64") },
    });
    await simulation.apply({
      apiVersion: "rollguard.dev/v1alpha1",
      kind: "RollguardConfig",
      metadata: { name: "cluster" },
      spec: { notifications },
    });
    await simulation.clock.advance(2000);
  }

  /** A sink for everything, and one for people. */
  both(): Promise<void> {
    return this.configure(
      { name: "audit", type: "CloudEvents", url: "https://events.example/audit" },
      { name: "chat", type: "Slack", urlSecretRef: { name: "hook", key: "url" } },
    );
  }

  /** What was got, each once, however often it came: by its id. */
  get types(): string[] {
    return [...new Map(this.events.map((event) => [event.id, event.type.replace("dev.rollguard.", "")])).values()];
  }

  config(): RollguardConfig | undefined {
    return this.#simulation.server.get(CONFIGS, undefined, "cluster") as unknown as RollguardConfig | undefined;
  }

  condition(): string {
    const found = this.config()?.status?.conditions?.find(({ type }) => type === "NotificationsDelivered");
    return found ? `${found.status} ${found.reason}: ${found.message}` : "none";
  }
}
