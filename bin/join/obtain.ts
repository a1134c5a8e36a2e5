/** A node's credentials, by a bootstrap token. */
import { formatTokenText } from '#api/bootstrap-token/bootstrap-token.ts';
import { isConditionTrue } from '#api/meta/condition.ts';
import { nodes } from '#api/schema/kind-ref.ts';
import type { Clock } from '#base/clock.ts';
import { PodwrightError } from '#base/errors.ts';
import { createApiClient } from '#client/api-client.ts';
import { isForbidden, isNotFound, isUnauthorized } from '#client/api-error.ts';
import type { ApiClient } from '#client/client.ts';
import { createHttpTransport, type HttpTransportOptions } from '#client/http-transport.ts';
import { filesOf, temporaryServing } from '#bin/credentials/node-files.ts';
import { requestCertificate } from '#bin/credentials/request-certificate.ts';
import type { JoinTarget } from './arguments.ts';

export interface ObtainOptions {
  readonly caCertPem: string;
  readonly nodeIps: readonly string[];
  readonly clock: Clock;
  readonly waitMs: number;
  readonly signal: AbortSignal;
  readonly tell: (line: string) => void;
}

/** How long an administrator who approves by hand may take. */
export const approvalWaitMs = 60_000;

/**
 * What the agent's directory of credentials is to hold: name and text, all in memory.
 * @throws with what to do: E_PERMISSION, E_EXISTS, E_TIMEOUT
 */
export async function obtainCredentials(
  target: JoinTarget,
  options: ObtainOptions,
): Promise<readonly (readonly [name: string, text: string])[]> {
  const { server, token, nodeName } = target;
  const { caCertPem, nodeIps, clock, waitMs, signal, tell } = options;
  const access: HttpTransportOptions = { server, caPem: caCertPem, clock };
  const wanted = { nodeName, nodeIps };
  const waiting = { clock, waitMs, signal };
  await using asToken = createHttpTransport({ ...access, token: formatTokenText(token) });

  const joiner = createApiClient({ transport: asToken, userAgent: 'podwright-join' });
  await checkName(joiner, target);
  tell('asking for the certificate of the node');
  const client = await explained(target, () =>
    requestCertificate({ ...wanted, purpose: 'client' }, { ...waiting, client: joiner }),
  );
  await using asNode = createHttpTransport({
    ...access,
    clientCertPem: client.certPem,
    clientKeyPem: client.keyPem,
  });

  const node = createApiClient({ transport: asNode, userAgent: 'podwright-join' });
  tell('asking for the certificate of its proxy');
  const proxy = await requestCertificate({ ...wanted, purpose: 'proxy' }, { ...waiting, client: node });
  const serving = await temporaryServing(nodeName, nodeIps, clock.now());
  const place = { server, caCertPem, nodeName };
  return [
    ['ca.crt', caCertPem],
    ...filesOf('serving', serving, place),
    ...filesOf('proxy', proxy, place),
    ...filesOf('client', client, place),
  ];
}

/** @throws E_EXISTS where a node of that name runs; two of one name would take each other's pods */
async function checkName(client: ApiClient, target: JoinTarget): Promise<void> {
  const { nodeName, server } = target;
  const node = await explained(target, async () => {
    try {
      return await client.get(nodes, { name: nodeName });
    } catch (error) {
      // A token whose groups may not look at nodes may join nevertheless.
      if (isNotFound(error) || isForbidden(error)) return undefined;
      throw error;
    }
  });
  if (!isConditionTrue(node?.status?.conditions, 'Ready')) return;
  throw new PodwrightError(
    'E_EXISTS',
    `join ${server}: the cluster has a node ${nodeName} that is Ready; give this one another name with --name, or end that one and kubectl delete node ${nodeName}`,
  );
}

/** What the server says of a token, in words of who made it. */
async function explained<T>({ server, token }: JoinTarget, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (cause) {
    const make = 'make another with podwright token create --print-join-command';
    if (isUnauthorized(cause)) {
      throw new PodwrightError(
        'E_PERMISSION',
        `join ${server}: token ${token.id} has ended, or is not for authentication; ${make}`,
        { cause },
      );
    }
    if (isForbidden(cause)) {
      throw new PodwrightError(
        'E_PERMISSION',
        `join ${server}: token ${token.id} may not ask for a node's certificate: its groups give no such right; ${make}`,
        { cause },
      );
    }
    throw cause;
  }
}
