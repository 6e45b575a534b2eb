// What a played Prometheus has to know of the operator's questions: several queries may come as one, each with a mark.

/** The queries in a request's form, each with its mark; one without a mark was asked alone. */
export function queriesOf(body: string): { text: string; mark?: string }[] {
  const asked = new URLSearchParams(body).get("query") ?? "";
  const group = [...asked.matchAll(/label_replace\((.*?),"rollguard_query","(\d+)","",""\)/gs)];
  if (group.length === 0) return [{ text: asked }];
  return group.map(([, text = "", mark = ""]) => ({ text: /^vector\((.*)\)$/s.exec(text)?.[1] ?? text, mark }));
}

type Labels = Record<string, string>;

/**
 * The body of an answer, of an instant or a range query.
 * @param valuesOf what a query gives at a time (ms epoch): no, one or more series
 */
export function answerQueries(
  body: string,
  nowMs: number,
  valuesOf: (text: string, atMs: number) => readonly (number | string)[],
): string {
  const form = new URLSearchParams(body);
  const [start, end, step, time] = ["start", "end", "step", "time"].map((name) => Number(form.get(name)) * 1000);
  const label = (mark: string | undefined, index: number, count: number): Labels => ({
    ...(count > 1 ? { series: String(index) } : {}),
    ...(mark === undefined ? {} : { rollguard_query: mark }),
  });
  const success = (resultType: string, result: unknown) => JSON.stringify({ status: "success", data: { resultType, result } });
  if (!form.has("start")) {
    const at = time || nowMs;
    const result = queriesOf(body).flatMap(({ text, mark }) =>
      valuesOf(text, at).map((value, index, all) => ({
        metric: label(mark, index, all.length),
        value: [at / 1000, String(value)],
      })),
    );
    return success("vector", result);
  }
  const times = Array.from(
    { length: Math.floor(((end ?? 0) - (start ?? 0)) / (step ?? 1) + 1e-6) + 1 },
    (_, i) => (start ?? 0) + i * (step ?? 1),
  );
  const result = queriesOf(body).flatMap(({ text, mark }) => {
    const columns = times.map((at) => ({ at, values: valuesOf(text, at) }));
    const most = Math.max(0, ...columns.map(({ values }) => values.length));
    return Array.from({ length: most }, (_, index) => ({
      metric: label(mark, index, most),
      values: columns.flatMap(({ at, values }) => (index < values.length ? [[at / 1000, String(values[index])]] : [])),
    }));
  });
  return success("matrix", result);
}
