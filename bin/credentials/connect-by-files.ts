import { join, resolve } from 'node:path';

import { systemClock } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import { gitVersion } from '#api/release.ts';
import type { KubeletTls } from '#agent/kubelet/server/kubelet-server.ts';
import type { ClusterGuard } from '#agent/node/cluster-guard.ts';
import { createApiClient } from '#client/api-client.ts';
import type { ApiClient } from '#client/client.ts';
import { RequestsAsked } from '#client/requests/requests-asked.ts';
import { createHttpTransport, type HttpTransportOptions } from '#client/http-transport.ts';
import { proxyKubeconfigName } from '#bin/paths.ts';
import type { AgentCommandOptions } from '#bin/options/command-options.ts';
import { followCredentials, type Credentials, type FollowedCredentials } from './follow-credentials.ts';

interface FilesToConnectBy {
  readonly options: Pick<AgentCommandOptions, 'credentials' | 'clientCaFile'> & { readonly nodeName: string };
  readonly credentials: Credentials;
  readonly cluster: ClusterGuard;
  readonly logger: Logger;
}

/** The way to the API server, by credentials that may be renewed in their files. */
export function connectByFiles(
  stack: AsyncDisposableStack,
  { options, credentials, cluster, logger }: FilesToConnectBy,
): {
  readonly client: ApiClient;
  /** As whom the node's proxy, DNS and routes ask, where there is such an identity: a node may not read all Nodes. */
  readonly proxyClient: ApiClient | undefined;
  /** What the kubelet asks by `client`. */
  readonly asked: RequestsAsked;
  /** What the proxy, DNS and routes ask; without an identity of theirs it is the kubelet's. */
  readonly proxyAsked: RequestsAsked;
  readonly followed: FollowedCredentials;
  readonly renewed: Set<(tls: KubeletTls) => void>;
} {
  const renewed: Set<(tls: KubeletTls) => void> = new Set();
  const followed = stack.use(
    followCredentials(credentials, {
      directory: resolve(options.credentials),
      clientCaFile: options.clientCaFile,
      nodeName: options.nodeName,
      clock: systemClock,
      logger,
      onChange: ({ tls }) => renewed.forEach((tell) => tell(tls)),
    }),
  );
  const countedOf = (access: HttpTransportOptions): RequestsAsked =>
    new RequestsAsked(new URL(access.server).host, systemClock);
  const { proxyAccess } = credentials;
  const asked = countedOf(credentials.access);
  const proxyAsked = proxyAccess === undefined ? asked : countedOf(proxyAccess);
  const clientBy = (
    program: 'kubelet' | 'kube-proxy', // What managedFields call the manager.
    first: HttpTransportOptions,
    now: (held: Credentials) => HttpTransportOptions | undefined,
  ): ApiClient => {
    const transport = stack.use(
      createHttpTransport({
        ...first,
        credentials: () => now(followed.current()) ?? first,
        admit: cluster.admit,
      }),
    );
    return createApiClient({
      transport: (program === 'kubelet' ? asked : proxyAsked).of(transport),
      userAgent: `${program}/${gitVersion} (linux/${process.arch})`,
    });
  };
  if (proxyAccess === undefined) {
    const file = join(resolve(options.credentials), proxyKubeconfigName);
    logger.warn(
      { file },
      'not there: Nodes, Services and their endpoints are asked for as the node, which Node authorisation forbids; copy the directory of credentials from the server again',
    );
  }
  return {
    client: clientBy('kubelet', credentials.access, ({ access }) => access),
    proxyClient: proxyAccess && clientBy('kube-proxy', proxyAccess, (held) => held.proxyAccess),
    ...{ asked, proxyAsked, followed, renewed },
  };
}
