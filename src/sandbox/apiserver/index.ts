// What the rest of the sandbox and the tests use of the API server.
export type { FaultAction, Faults, Intercept } from "./faults.ts";
export { ConnectionReset } from "./faults.ts";
export type { ApiRequest, ApiResponse } from "./http.ts";
export { kubeconfig, type Listening } from "./listen.ts";
export { ApiServer, type ApiServerOptions } from "./server.ts";
export type { Change } from "./store.ts";
