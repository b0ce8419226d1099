// PostGraphile on one view, as its documentation recommends it for production: a process for each processor, prepared statements
// (its default), neither the IDE nor anything that watches. The tenant is a setting of the transaction of each request.
// Where the database is comes from libpq's variables, the port from PORT, the number of processes from WORKERS.
import cluster from "node:cluster";
import { createServer } from "node:http";

import { grafserv } from "grafserv/node";
import { postgraphile } from "postgraphile";
import { makePgService } from "postgraphile/adaptors/pg";
import { PostGraphileAmberPreset } from "postgraphile/presets/amber";

const workers = Number(process.env.WORKERS ?? 2);
const connections = Number(process.env.CONNECTIONS ?? 32);

if (cluster.isPrimary) {
  for (let worker = 0; worker < workers; worker += 1) {
    cluster.fork();
  }
  cluster.on("exit", () => process.exit(1));
} else {
  const preset = {
    extends: [PostGraphileAmberPreset],
    pgServices: [
      makePgService({ poolConfig: { max: Math.ceil(connections / workers) }, schemas: ["rivals"], pubsub: false }),
    ],
    grafast: {
      context: (context) => ({
        pgSettings: { "attestry.tenant": context.node.req.headers.authorization?.slice("Bearer ".length) },
      }),
    },
    grafserv: { graphqlPath: "/graphql", graphiql: false, watch: false, websockets: false },
  };
  const server = createServer();
  const instance = postgraphile(preset).createServ(grafserv);
  await instance.addTo(server);
  server.keepAliveTimeout = 0;
  server.listen(Number(process.env.PORT), "127.0.0.1");
}
