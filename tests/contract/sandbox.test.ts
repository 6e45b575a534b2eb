// The contract suite against the sandbox: over sockets, and through the dispatcher that needs none.
import { systemClock } from "../../src/clock.ts";
import { ApiServer } from "../../src/sandbox/apiserver/index.ts";
import { describeApiServer } from "./suite.ts";

describeApiServer("the sandbox over HTTP", async () => {
  const server = new ApiServer({ clock: systemClock });
  const { url, close } = await server.listen();
  return {
    url,
    compact: () => server.compact(),
    close: async () => {
      server.close();
      await close();
    },
  };
});

describeApiServer("the sandbox without sockets", async () => {
  const server = new ApiServer({ clock: systemClock });
  const dispatcher = server.dispatcher();
  return {
    url: "http://sandbox.invalid",
    dispatcher,
    compact: () => server.compact(),
    close: async () => {
      server.close();
      await dispatcher.close();
    },
  };
});
