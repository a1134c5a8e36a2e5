import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { createApiClient } from '#client/api-client.ts';
import type { ApiClient } from '#client/client.ts';
import { createInformers } from '#client/informers.ts';
import type { User } from '#control-plane/apiserver/serve/request.ts';
import type { ApiServerOptions } from '#control-plane/apiserver/server.ts';
import {
  wholeBody,
  startTestServer,
  type Answer,
  type TestServer,
} from '#control-plane/apiserver/test-server.fixture.ts';
import type { IsOn } from '#control-plane/controllers/controller-names.ts';
import { createOwnClients } from '#control-plane/controllers/own-clients.ts';
import { startControllers } from '#control-plane/controllers/start-controllers.ts';

export const nodeA: User = { name: 'system:node:a', groups: ['system:nodes'] };
export const bob: User = { name: 'bob', groups: ['devs'] };

/** A real server with controllers, and ways to be somebody there. */
export interface TestCluster extends AsyncDisposable {
  readonly test: TestServer;
  client(user?: User): ApiClient;
  /** A request as that user; the body is JSON. */
  as(user: User, method: string, path: string, body?: unknown): Promise<Pick<Answer, 'status' | 'json'>>;
}

/** With all controllers, or those that are on. */
export async function startTestCluster(
  options: Partial<ApiServerOptions> = {},
  isOn?: IsOn,
): Promise<TestCluster> {
  const test = await startTestServer(options);
  const client = (user?: User): ApiClient =>
    createApiClient({ transport: test.server.transport(user), userAgent: 'test' });
  const shared = { clock: systemClock, logger: silentLogger };
  const own = createOwnClients(test.server);
  const informers = createInformers({ client: own.controllerManager, ...shared });
  const controllers = startControllers({
    informers,
    clientAs: own.controller,
    ...shared,
    rootCa: test.server.rootCa,
    signRequest: test.server.signRequest,
    signToken: test.server.signSecretToken,
    isOn,
  });
  return {
    test,
    client,
    as: async (user, method, path, body) => {
      const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
      const response = await test.server.transport(user).request({
        method,
        path,
        headers: body === undefined ? {} : { 'content-type': type },
        ...(body === undefined ? {} : { body: Buffer.from(JSON.stringify(body)) }),
      });
      const text = Buffer.from(await wholeBody(response.body)).toString();
      return { status: response.status, json: JSON.parse(text) };
    },
    [Symbol.asyncDispose]: async () => {
      await controllers[Symbol.asyncDispose]();
      await informers[Symbol.asyncDispose]();
      await test[Symbol.asyncDispose]();
    },
  };
}
