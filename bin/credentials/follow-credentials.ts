/** A node's credentials, renewed in their directory while its agent runs. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import type { Clock } from '#base/clock.ts';
import { describeError, PodwrightError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { KubeletTls } from '#agent/kubelet/server/kubelet-server.ts';
import type { HttpTransportOptions } from '#client/http-transport.ts';
import { loadKubeconfig } from '#client/kubeconfig.ts';
import { proxyKubeconfigName } from '#bin/paths.ts';
import { nodeNameOf } from './node-identity.ts';

export interface Credentials {
  readonly access: HttpTransportOptions;
  /** As whom the node's proxy, DNS and routes ask; undefined: as the node, with credentials of another cluster. */
  readonly proxyAccess: HttpTransportOptions | undefined;
  /** What the kubelet's server shows and believes. */
  readonly tls: KubeletTls;
}

/**
 * @param clientCaFile of those whose certificates the kubelet's server believes; default the cluster's
 * @throws E_INVALID for files that are not there, damaged, or not of each other
 */
export function readCredentials(
  directory: string,
  clock: Clock,
  clientCaFile: string = join(directory, 'ca.crt'),
): Credentials {
  const read = (name: string): string => readFileSync(join(directory, name), 'utf8');
  const access = loadKubeconfig(join(directory, 'kubeconfig'), clock);
  const tls = {
    cert: read('serving.crt'),
    key: read('serving.key'),
    clientCa: readFileSync(clientCaFile, 'utf8'),
  };
  requirePair(tls.cert, tls.key, join(directory, 'serving.crt'));
  requireOwnKey(access, join(directory, 'kubeconfig'));
  const proxyPath = join(directory, proxyKubeconfigName);
  const proxyAccess = existsSync(proxyPath) ? loadKubeconfig(proxyPath, clock) : undefined;
  if (proxyAccess !== undefined) requireOwnKey(proxyAccess, proxyPath);
  return { access, proxyAccess, tls };
}

function requireOwnKey({ clientCertPem, clientKeyPem }: HttpTransportOptions, path: string): void {
  if (clientCertPem !== undefined && clientKeyPem !== undefined)
    requirePair(clientCertPem, clientKeyPem, path);
}

/** Between the writing of one file and the next they are of two issues. */
function requirePair(certPem: string, keyPem: string, path: string): void {
  if (new X509Certificate(certPem).checkPrivateKey(createPrivateKey(keyPem))) return;
  throw new PodwrightError('E_INVALID', `read ${path}: the key is not that of the certificate`);
}

export interface FollowOptions {
  readonly directory: string;
  readonly clientCaFile?: string | undefined;
  readonly nodeName: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly onChange: (credentials: Credentials) => void;
}

export interface FollowedCredentials extends Disposable {
  /** As they are now. */
  current(): Credentials;
  /** Looks now: somebody knows that there are others. */
  look(): void;
}

/** How soon renewed files are taken. */
const lookMs = 30_000;

/** Reads the directory every 30 s until disposed; what is not whole, or another node's, leaves what there was. */
export function followCredentials(first: Credentials, options: FollowOptions): FollowedCredentials {
  const { directory, clientCaFile, nodeName, clock, logger } = options;
  let held = first;
  let timer = clock.after(lookMs, look);
  function look(): void {
    timer[Symbol.dispose]();
    timer = clock.after(lookMs, look);
    try {
      const found = readCredentials(directory, clock, clientCaFile);
      if (textOf(found) === textOf(held)) return;
      nodeNameOf(found.access.clientCertPem, { nodeName, credentials: directory });
      held = found;
      options.onChange(found);
      const { validTo } = new X509Certificate(found.tls.cert);
      logger.info({ directory, validTo }, 'renewed credentials taken');
    } catch (error) {
      logger.warn({ directory, error: describeError(error) }, 'credentials not read again');
    }
  }
  return { current: () => held, look, [Symbol.dispose]: () => timer[Symbol.dispose]() };
}

function textOf({ access, proxyAccess, tls }: Credentials): string {
  const own = [access, proxyAccess].map((one) => [one?.caPem, one?.clientCertPem, one?.clientKeyPem]);
  return JSON.stringify([own, tls]);
}
